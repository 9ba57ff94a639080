"""What `manage.py up` does, step by step: services, migrate, accounts, workers, beat, web; or a command under services."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands

from labeling.core.errors import Unavailable
from labeling.core.stack.application import beat_service, web_service, worker_services
from labeling.core.stack.directory import DataDirectory, Ports, free_port, is_free
from labeling.core.stack.postgres import postgres_service
from labeling.core.stack.processes import MARK
from labeling.core.stack.supervisor import Interrupted, Supervisor
from labeling.core.stack.valkey import valkey_service


@dataclass(frozen=True)
class Options:
    """The command line of `manage.py up`."""

    var: Path | None  # None: a directory of its own, removed at the end
    host: str = "127.0.0.1"
    port: int = 0  # 0: 8000, or the next free one
    web_workers: int = 2
    services_only: bool = False
    with_workers: bool = False
    fast: bool = False
    demo_accounts: bool = False
    command: Sequence[str] = field(default=())


def run(options: Options) -> int:
    """Start what is asked for, wait for its end, stop it in order; returns the exit code."""
    directory = DataDirectory(options.var) if options.var else DataDirectory.fresh()
    try:
        directory.lock()
        return run_in(directory, options)
    finally:
        directory.release()


def run_in(directory: DataDirectory, options: Options) -> int:
    """Everything that happens while the directory is ours."""
    mark = secrets.token_hex(8)
    under_command = bool(options.command)
    supervisor = Supervisor(directory, mark=mark, echo=not under_command, sweep=under_command or options.services_only)
    with supervisor.listening():
        try:
            env = start_services(supervisor, options)
            if options.with_workers:
                start_workers(supervisor, env)
            if under_command:
                return supervisor.foreground(options.command, env)
            if options.services_only:
                print(environment_lines(directory, env), flush=True)
            else:
                start_application(supervisor, env, options)
            supervisor.watch()
        except Interrupted:
            return 128 + supervisor.stop_signals[0] if under_command else 0
        finally:
            if not under_command:
                print("Stopping …", flush=True)
    return 0


def start_services(supervisor: Supervisor, options: Options) -> dict[str, str]:
    """PostgreSQL and Valkey, unless the environment names servers; returns the environment for all that follows."""
    directory, mark = supervisor.directory, {MARK: supervisor.mark}
    ports = directory.ports()
    env = {**os.environ, **mark, "LOOP_VAR": str(directory.path), "PYTHONUNBUFFERED": "1"}
    if env.get("DJANGO_SETTINGS_MODULE") == "labeling.settings":
        del env["DJANGO_SETTINGS_MODULE"]  # everybody's default; a command such as pytest has its own
    services = []
    if not os.environ.get("DATABASE_URL"):
        services.append(postgres_service(directory, ports, mark=mark, fast=options.fast))
        env |= {"DATABASE_URL": ports.database_url(), "LOOP_EMBEDDED": "1"}
    if not os.environ.get("REDIS_URL"):
        services.append(valkey_service(directory, ports, mark=mark, fast=options.fast))
        env["REDIS_URL"] = ports.redis_url()
    supervisor.start(*services)
    return env


def manage(*arguments: str) -> list[str]:
    """A management command's command line."""
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]


def start_workers(supervisor: Supervisor, env: dict[str, str]) -> None:
    """The schema brought up to date, then the workers and beat."""
    supervisor.step("migrate", manage("migrate", "--no-input"), env, settings.BASE_DIR)
    supervisor.start(*worker_services(env), beat_service(env, supervisor.directory.path))


def start_application(supervisor: Supervisor, env: dict[str, str], options: Options) -> None:
    """Workers, static files, web; ends with the address on the terminal."""
    port = choose_port(options.host, options.port)
    start_workers(supervisor, env)
    supervisor.step("collectstatic", manage("collectstatic", "--no-input"), env, settings.BASE_DIR)
    accounts = demo_accounts(supervisor, env) if options.demo_accounts else ""
    supervisor.start(web_service(env, host=options.host, port=port, workers=options.web_workers))
    print(f"\n  Loop is ready: http://{options.host}:{port}/\n{accounts}  Ctrl-C stops everything.\n", flush=True)


def demo_accounts(supervisor: Supervisor, env: dict[str, str]) -> str:
    """One account for each demo role, on our own database only; their passwords as lines for the terminal."""
    if "LOOP_EMBEDDED" not in env:
        return "  DATABASE_URL names a server of yours: no demo accounts are made there.\n"
    if "demo_accounts" not in get_commands():
        return ""
    output = supervisor.step("accounts", manage("demo_accounts"), env, settings.BASE_DIR)
    (supervisor.directory.path / "log" / "accounts.log").unlink(missing_ok=True)  # it holds passwords
    return "".join(f"  {line}\n" for line in output.strip().splitlines()) + "\n"


def choose_port(host: str, wanted: int) -> int:
    """The port asked for, or the first free one from 8000 on; raises Unavailable when the wanted one is taken."""
    if wanted:
        if not is_free(wanted, host):
            raise Unavailable(f"Port {wanted} is taken by another program: name another with --port, or leave it out.")
        return wanted
    return next((port for port in range(8000, 8100) if is_free(port, host)), 0) or free_port()


def print_environment(var: Path) -> str:
    """Lines for `eval`: where the servers of this data directory answer; raises Unavailable before the first start."""
    directory = DataDirectory(var)
    ports: Ports | None = directory.kept_ports()
    if ports is None:
        raise Unavailable(f"Nothing was started on {directory.path} yet: run `python manage.py up` first.")
    if not directory.is_running():
        print("# These servers are not running now: start them with `python manage.py up`.", file=sys.stderr)
    env = {"DATABASE_URL": ports.database_url(), "REDIS_URL": ports.redis_url(), "LOOP_EMBEDDED": "1"}
    for name in ("DATABASE_URL", "REDIS_URL"):
        env[name] = os.environ.get(name) or env[name]
    if os.environ.get("DATABASE_URL"):
        del env["LOOP_EMBEDDED"]
    return environment_lines(directory, env)


def environment_lines(directory: DataDirectory, env: dict[str, str]) -> str:
    """`export NAME=value` lines, quoted for a POSIX shell."""
    values = {"LOOP_VAR": str(directory.path)} | {
        name: env[name] for name in ("DATABASE_URL", "REDIS_URL", "LOOP_EMBEDDED") if name in env
    }
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())
