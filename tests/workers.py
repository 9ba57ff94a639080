"""Real Celery processes for tests, on the test database and this test process's own broker database."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

OWNER = "LOOP_TEST_OWNER"


class CeleryProcess:
    """`celery -A labeling …` as a process; leaving the context ends it and every process it started."""

    def __init__(self, arguments: list[str], *, log: Path, ready: str) -> None:
        self.owner = uuid.uuid4().hex
        self.log = log
        with log.open("wb") as sink:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "labeling", *arguments],
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, OWNER: self.owner},
                start_new_session=True,
            )
        self.wait_for(ready)

    @classmethod
    def worker(cls, folder: Path) -> Self:
        """A worker that does one task at a time, of all queues."""
        arguments = [
            "worker",
            "-P",
            "solo",
            "-Q",
            "default,long,training",
            "-n",
            f"test-{uuid.uuid4().hex}@%h",
            "-l",
            "info",
        ]
        arguments += ["--without-gossip", "--without-mingle"]
        return cls(arguments, log=folder / "celery-worker.log", ready=" ready.")

    @classmethod
    def beat(cls, folder: Path) -> Self:
        """The clock behind the sweeps."""
        arguments = ["beat", "-l", "info", "--pidfile=", "--schedule", str(folder / "beat-schedule")]
        return cls(arguments, log=folder / "celery-beat.log", ready="beat: Starting")

    def output(self) -> str:
        """Everything the process has printed."""
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        """Until the process prints `text`; AssertionError with its output otherwise."""
        until = time.monotonic() + seconds
        while text not in self.output():
            assert self.popen.poll() is None and time.monotonic() < until, f"no {text!r} from Celery:\n{self.output()}"
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """SIGTERM, ten seconds, then SIGKILL for it and for all it started, detached runs included."""
        self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for pid in self.descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def descendants(self) -> list[int]:
        """Processes that inherited our mark (Linux)."""
        from labeling.core.stack.processes import marked_processes

        return marked_processes(self.owner, variable=OWNER)
