"""A service and one process of it: started as its own session, tied to the supervisor, stopped step by step."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labeling.core.stack.identity import Identity

PR_SET_PDEATHSIG = 1
MARK = "LOOP_STACK"  # in the environment of everything a supervisor starts


@dataclass(frozen=True)
class Service:
    """What to run and how to stop it: `stop` is signals, each with the seconds it is given; SIGKILL comes last."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stop: Sequence[tuple[signal.Signals, float]]
    identity: Identity = Identity()
    stdin: bytes = b""
    ready: Callable[[], bool] | None = None
    ready_seconds: float = 60.0
    tier: int = 0  # stopped from the highest tier to the lowest; one tier at the same time
    guard_seconds: float = 4.0  # what the guard allows it after the supervisor was killed


class Process:
    """One running process of a service, the leader of a session of its own."""

    def __init__(self, service: Service, *, log: Path, piped: bool) -> None:
        self.service = service
        self.log = log
        self.started = time.monotonic()
        self.first_signal, _ = service.stop[0]
        with log.open("ab") as sink:
            self.popen = subprocess.Popen(
                [*service.identity.prefix, *service.argv],
                env=dict(service.env),
                cwd=service.cwd,
                stdin=subprocess.PIPE if service.stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(self.first_signal),
                **service.identity.credentials(),
            )
        if service.stdin and self.popen.stdin:
            self.popen.stdin.write(service.stdin)
            self.popen.stdin.close()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self.popen.pid

    def is_running(self) -> bool:
        """Whether the leader is still there."""
        return self.popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Signal the leader alone: it knows how to end its children."""
        if self.is_running():
            self.popen.send_signal(number)

    def kill_group(self) -> None:
        """End whatever is left of the session."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()

    def tail(self, lines: int = 15) -> str:
        """The end of the log, for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """For a new child on Linux: get `number` when the supervisor dies, however it dies. Elsewhere the guard alone sees to it."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(1)

    return tie


def marked_processes(mark: str, *, variable: str = MARK) -> list[int]:
    """The live processes whose environment carries `variable=mark` (Linux; elsewhere none can be seen)."""
    needle = f"{variable}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*") if sys.platform.startswith("linux") else ():
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
