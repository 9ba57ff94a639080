"""One data directory (`var/`, `var/demo`, …): who uses it, which ports and passwords it has, where its logs are."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from labeling.core.errors import Conflict, Unavailable

LOG_LIMIT = 20 * 1024 * 1024
GUARD_SECONDS = 30.0


@dataclass
class Ports:
    """What `ports.json` keeps: the same ports and passwords at every start."""

    postgres: int
    valkey: int
    postgres_password: str
    valkey_password: str

    def database_url(self, name: str = "app") -> str:
        """Where the private cluster answers."""
        return f"postgresql://app:{self.postgres_password}@127.0.0.1:{self.postgres}/{name}"

    def redis_url(self) -> str:
        """Where the private broker answers."""
        return f"redis://:{self.valkey_password}@127.0.0.1:{self.valkey}/0"


class DataDirectory:
    """A data directory, locked while a supervisor uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.lock_fd = -1
        self.temporary = False

    @classmethod
    def fresh(cls) -> Self:
        """A new directory for one run; its owner removes it at the end."""
        path = Path(tempfile.mkdtemp(prefix="loop-"))
        path.chmod(0o711)  # the servers' account passes through; it cannot list
        made = cls(path)
        made.temporary = True
        return made

    def lock(self) -> None:
        """Take the directory, or raise Conflict naming who has it. Waits for the guard of a killed supervisor."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "log").mkdir(exist_ok=True)
            self.lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as problem:
            raise Unavailable(
                f"{self.path} cannot be used for data ({problem.strerror}): name another with --var."
            ) from None
        deadline = time.monotonic() + GUARD_SECONDS
        while not self.try_lock():
            holder = self.holder()
            if holder and is_alive(holder):
                raise Conflict(
                    f"Loop is already running on {self.path} (process {holder}). "
                    "Stop it first (Ctrl-C there), or use other data: --var DIR."
                )
            if time.monotonic() > deadline:
                raise Conflict(
                    f"{self.path} is still in use: a server of an earlier start has not ended yet. Try again."
                )
            time.sleep(0.1)
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, f"{os.getpid()}\n".encode(), 0)

    def try_lock(self) -> bool:
        """Whether the lock is ours now."""
        try:
            fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def holder(self) -> int:
        """The process that wrote the lock file; 0 when unknown."""
        text = (self.path / "lock").read_text().strip() if (self.path / "lock").exists() else ""
        return int(text) if text.isdigit() else 0

    def is_running(self) -> bool:
        """Whether a supervisor holds this directory now."""
        holder = self.holder()
        return bool(holder) and is_alive(holder)

    def kept_ports(self) -> Ports | None:
        """The ports of earlier starts, if there were any."""
        kept = self.path / "ports.json"
        if not kept.exists():
            return None
        try:
            return Ports(**json.loads(kept.read_text()))
        except (ValueError, TypeError):
            raise Unavailable(f"{kept} is damaged: move it away; new ports and passwords are made then.") from None

    def ports(self) -> Ports:
        """Ports and passwords, kept from earlier starts where the ports are still free."""
        kept = self.kept_ports()
        ports = kept or Ports(0, 0, secrets.token_urlsafe(18), secrets.token_urlsafe(18))
        if not is_free(ports.postgres):
            ports.postgres = free_port()
        if not is_free(ports.valkey):
            ports.valkey = free_port()
        self.keep(ports)
        return ports

    def keep(self, ports: Ports) -> None:
        """Write `ports.json`, readable by its owner alone."""
        draft = self.path / f".ports.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(ports), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / "ports.json")

    def log(self, name: str) -> Path:
        """The log file of one process; an overlong one is set aside first."""
        path = self.path / "log" / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return path

    def release(self) -> None:
        """Give the directory back, and remove it when it was made for this run."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether this port of the address can be listened on."""
    if not port:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
