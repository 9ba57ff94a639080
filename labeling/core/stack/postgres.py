"""A private PostgreSQL cluster under the data directory: TCP on the loopback address, SCRAM passwords, no sockets."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from labeling.core.errors import Unavailable
from labeling.core.stack.binaries import postgres_bin, postgres_major
from labeling.core.stack.directory import DataDirectory, Ports, is_alive
from labeling.core.stack.identity import Identity, service_identity
from labeling.core.stack.processes import Service

LOCALE = "C.UTF-8" if sys.platform.startswith("linux") else "C"
UNSAFE = ("fsync", "full_page_writes", "synchronous_commit")


def postgres_service(directory: DataDirectory, ports: Ports, *, mark: dict[str, str], fast: bool) -> Service:
    """Prepare the cluster (made when missing) and say how to run it. `fast` gives up durability: for tests only."""
    programs = postgres_bin()
    home = directory.path / "postgres"
    home.mkdir(mode=0o700, exist_ok=True)
    identity = service_identity(programs / "postgres", home)
    identity.own(home)
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": LOCALE, "HOME": str(home), **mark}
    data = home / "data"
    if not (data / "PG_VERSION").exists():
        create_cluster(programs, home, ports.postgres_password, identity=identity, env=env, fast=fast)
    check_version(data, programs)
    clear_stale_pid(data)
    settings = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        "password_encryption=scram-sha-256",
        "timezone=UTC",
        *([f"{name}=off" for name in UNSAFE] if fast else []),
    ]
    options = [part for setting in settings for part in ("-c", setting)]
    return Service(
        name="postgres",
        argv=[str(programs / "postgres"), "-D", str(data), "-p", str(ports.postgres), *options],
        env=env,
        cwd=home,
        stop=[(signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0)],
        identity=identity,
        ready=lambda: is_ready(ports, fast=fast),
        guard_seconds=30.0,
    )


def create_cluster(
    programs: Path, home: Path, password: str, *, identity: Identity, env: dict[str, str], fast: bool
) -> None:
    """Run initdb beside the final place and rename: a killed initdb leaves no half cluster that looks finished."""
    draft, secret = home / "data.new", home / "password.new"
    shutil.rmtree(draft, ignore_errors=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    if identity.uid is not None and identity.gid is not None:
        os.chown(secret, identity.uid, identity.gid)
    command = [str(programs / "initdb"), "-D", str(draft), "-U", "app", "--pwfile", str(secret)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", f"--locale={LOCALE}", *(["--no-sync"] if fast else [])]
    try:
        done = subprocess.run(
            [*identity.prefix, *command],
            env=env,
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
            **identity.credentials(),
        )
    finally:
        secret.unlink()
    if done.returncode:
        raise Unavailable(f"initdb could not make a cluster in {home}:\n{done.stderr.strip()}")
    draft.rename(home / "data")


def check_version(data: Path, programs: Path) -> None:
    """Refuse to run one major version's programs on another's data."""
    made_by, here = int((data / "PG_VERSION").read_text()), postgres_major(programs)
    if made_by != here:
        raise Unavailable(
            f"{data} was made by PostgreSQL {made_by}, but {programs} is version {here}. Name the programs of "
            f"version {made_by} in PG_BIN and save the data with pg_dump, then start on a fresh --var and load it "
            f"with pg_restore. Or move {data} away to begin with an empty database."
        )


def clear_stale_pid(data: Path) -> None:
    """We hold the directory's lock, so a postmaster.pid is left from before: end its server, or drop a reused id."""
    note = data / "postmaster.pid"
    first = note.read_text().split("\n", 1)[0] if note.exists() else ""
    if not first.isdigit() or not is_alive(int(first)):
        return
    if not is_postmaster(int(first)):
        note.unlink()
        return
    os.kill(int(first), signal.SIGINT)
    until = time.monotonic() + 30
    while is_alive(int(first)):
        if time.monotonic() > until:
            raise Unavailable(f"A PostgreSQL server (process {first}) still uses {data} and does not end: stop it.")
        time.sleep(0.05)


def is_postmaster(pid: int) -> bool:
    """Whether this process is a PostgreSQL server, and not another that got the same number after a restart."""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return "postgres" in shown


def is_ready(ports: Ports, *, fast: bool) -> bool:
    """Whether the cluster answers; makes the database `app` when it is missing."""
    try:
        with psycopg.connect(ports.database_url("postgres"), autocommit=True, connect_timeout=2) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'app'").fetchone():
                connection.execute("CREATE DATABASE app")
            check_durable(connection, fast=fast)
    except psycopg.OperationalError as problem:
        if "password authentication failed" in str(problem):
            raise Unavailable(
                "The cluster does not accept the password in ports.json: put the file back that belongs to this data."
            ) from None
        return False
    return True


def check_durable(connection: psycopg.Connection[tuple[str]], *, fast: bool) -> None:
    """Raise Unavailable when the cluster would lose acknowledged work in a crash (unless that was asked for)."""
    query = "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off'"
    off = [name for (name,) in connection.execute(query, [list(UNSAFE)])]
    if off and not fast:
        raise Unavailable(f"PostgreSQL runs with {', '.join(off)} off: acknowledged labels could be lost. Turn it on.")
