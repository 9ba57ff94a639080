"""Starts services in order, shows their output, restarts what crashes, and stops everything in order. One thread."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from labeling.core.errors import Unavailable
from labeling.core.stack.directory import DataDirectory
from labeling.core.stack.guardline import GuardLine
from labeling.core.stack.processes import Process, Service, die_with_parent, marked_processes

LONGEST_PAUSE = 30.0  # seconds between two restarts of a process that keeps crashing
STEADY = 60.0  # a process that ran this long starts its back-off afresh
COLOURS = {"postgres": 34, "valkey": 35, "worker": 32, "long": 92, "trainer": 36, "beat": 33, "web": 37}


class Interrupted(Exception):
    """A person or the system asked the supervisor to stop."""


@dataclass
class Child:
    """A service under watch: its present process and how often it crashed in a row."""

    service: Service
    process: Process
    crashes: int = 0
    restart_at: float = 0.0


class Supervisor:
    """Owns every process of one data directory."""

    def __init__(self, directory: DataDirectory, *, mark: str, echo: bool, sweep: bool) -> None:
        """`echo` copies output to the terminal; `sweep` ends detached descendants too when all is stopped."""
        self.directory = directory
        self.mark = mark
        self.echo = echo
        self.sweep = sweep
        self.children: list[Child] = []
        self.stop_signals: list[int] = []
        self.selector = selectors.DefaultSelector()
        self.bell, ringer = socket.socketpair()
        self.ringer = ringer
        for end in (self.bell, ringer):
            end.setblocking(False)
        self.selector.register(self.bell, selectors.EVENT_READ)
        self.guard = GuardLine(directory)
        if sweep:
            self.guard.tell(f"sweep {mark}")

    # ---- signals

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Note SIGINT, SIGTERM and SIGHUP instead of dying of them; everything is stopped in order at the end."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self.note) for number in numbers}
        wakeup = signal.set_wakeup_fd(self.ringer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            try:
                self.stop()
            finally:
                signal.set_wakeup_fd(wakeup)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: remember it."""
        self.stop_signals.append(number)

    def check_interrupted(self) -> None:
        """Raise Interrupted once a stop was asked for."""
        if self.stop_signals:
            raise Interrupted

    # ---- starting and watching

    def start(self, *services: Service) -> None:
        """Start services at the same time, wait until all are ready, and keep them under watch from then on."""
        for service in services:
            self.children.append(Child(service, self.launch(service)))
        for child in self.children[len(self.children) - len(services) :]:
            self.await_ready(child)

    def await_ready(self, child: Child) -> None:
        """Wait until a service says that it is ready; raises Unavailable when it ends first or takes too long."""
        service, process = child.service, child.process
        while service.ready and not service.ready():
            if not process.is_running():
                raise Unavailable(f"{service.name} ended at its start ({process.log}):\n{process.tail()}")
            if time.monotonic() > process.started + service.ready_seconds:
                raise Unavailable(f"{service.name} is not ready after {service.ready_seconds:.0f} s: see {process.log}")
            self.pump(0.03)
            self.check_interrupted()

    def launch(self, service: Service) -> Process:
        """One new process, known to the guard, its output followed."""
        process = Process(service, log=self.directory.log(service.name), piped=self.echo and service.tier > 1)
        self.guard.tell(f"remember {process.pid} {int(process.first_signal)} {service.guard_seconds}")
        self.follow(process)
        return process

    def follow(self, process: Process) -> None:
        """Copy a piped process's output to its log and to the terminal."""
        if process.popen.stdout is not None:
            os.set_blocking(process.popen.stdout.fileno(), False)
            self.selector.register(process.popen.stdout, selectors.EVENT_READ, process)

    def pump(self, seconds: float) -> None:
        """Wait at most this long for output, a signal or nothing."""
        for key, _ in self.selector.select(seconds):
            if key.fileobj is self.bell:
                with contextlib.suppress(BlockingIOError):
                    self.bell.recv(4096)
            else:
                self.copy(key.data, key.fileobj)  # type: ignore[arg-type]

    def copy(self, process: Process, stream: IO[bytes]) -> None:
        """Move what a process wrote; stop following at its end."""
        chunk = stream.read(1 << 16)
        if chunk is None:
            return
        if not chunk:
            self.selector.unregister(stream)
            return
        with process.log.open("ab") as log:
            log.write(chunk)
        for line in chunk.decode(errors="replace").splitlines():
            self.say(process.service.name, line)

    def say(self, name: str, line: str) -> None:
        """One line on the terminal, after the name of who says it."""
        if self.echo:
            head = f"{name:>8} |"
            shown = f"\033[{COLOURS.get(name, 0)}m{head}\033[0m" if sys.stdout.isatty() else head
            print(shown, line, flush=True)

    def report(self, child: Child, news: str) -> None:
        """Say that something went wrong; beside a person's command it goes to stderr."""
        if self.echo:
            self.say(child.service.name, news)
        else:
            print(f"{child.service.name}: {news}", file=sys.stderr, flush=True)

    def tend(self) -> None:
        """Restart what has crashed, after a pause that doubles with every crash in a row."""
        now = time.monotonic()
        for child in self.children:
            if child.process.is_running():
                continue
            if not child.restart_at:
                code = child.process.popen.returncode
                child.crashes = 0 if now - child.process.started > STEADY else child.crashes
                pause = min(LONGEST_PAUSE, 0.5 * 2**child.crashes)
                child.crashes += 1
                child.restart_at = now + pause
                self.retire(child.process)
                self.report(
                    child, f"ended with code {code}; starting it again in {pause:.1f} s (log: {child.process.log})"
                )
            elif now >= child.restart_at:
                child.restart_at = 0.0
                child.process = self.launch(child.service)

    def retire(self, process: Process) -> None:
        """A process is gone: end the rest of its group and let the guard forget it."""
        process.kill_group()
        self.guard.tell(f"forget {process.pid}")

    def watch(self) -> None:
        """Until a stop is asked for."""
        while not self.stop_signals:
            self.pump(0.5)
            self.tend()

    # ---- commands

    def step(self, name: str, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> str:
        """Run one command to its end and return its output; raises Unavailable with that output when it fails."""
        service = Service(name=name, argv=argv, env=env, cwd=cwd, stop=[(signal.SIGTERM, 10.0)], tier=2)
        log = self.directory.log(name)
        begin = log.stat().st_size if log.exists() else 0
        process = Process(service, log=log, piped=False)
        self.guard.tell(f"remember {process.pid} {int(signal.SIGTERM)} 2")
        try:
            while process.is_running():
                self.pump(0.03)
                self.check_interrupted()
        finally:
            self.retire(process)
        output = log.read_bytes()[begin:].decode(errors="replace")
        if process.popen.returncode:
            raise Unavailable(f"{name} failed:\n{output.strip()}")
        return output

    def foreground(self, argv: Sequence[str], env: Mapping[str, str]) -> int:
        """Run a person's command on our terminal, passing stop signals on; returns its exit code."""
        try:
            popen = subprocess.Popen(list(argv), env=dict(env), preexec_fn=die_with_parent(signal.SIGTERM))
        except OSError as problem:
            raise Unavailable(f"{argv[0]} cannot be started: {problem.strerror}.") from None
        self.guard.tell(f"remember {popen.pid} {int(signal.SIGTERM)} 2")
        passed, patience = 0, float("inf")
        while popen.poll() is None:
            self.pump(0.1)
            self.tend()
            if len(self.stop_signals) > passed:
                passed, patience = len(self.stop_signals), time.monotonic() + 30.0
                number = self.stop_signals[-1]
                if not (number == signal.SIGINT and shares_terminal()):
                    popen.send_signal(number)
            elif time.monotonic() > patience:
                popen.kill()
        self.guard.tell(f"forget {popen.pid}")
        return popen.returncode if popen.returncode >= 0 else 128 - popen.returncode

    # ---- stopping

    def stop(self) -> None:
        """Stop every tier, the highest first; then the guard has nothing left to do."""
        for tier in sorted({child.service.tier for child in self.children}, reverse=True):
            self.stop_tier([child for child in self.children if child.service.tier == tier])
        self.children.clear()
        left = marked_processes(self.mark)
        if self.sweep:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        elif left:
            print(f"A training run goes on by itself (process {left[0]}); the next start finds it again.", flush=True)
        self.guard.close()
        self.selector.close()
        self.bell.close()
        self.ringer.close()

    def stop_tier(self, children: list[Child]) -> None:
        """Step through the signals of each service until it has ended; a second Ctrl-C hurries."""
        waiting: list[tuple[Process, Iterator[tuple[signal.Signals, float]], float]] = []
        for child in children:
            waiting.append((child.process, iter(child.service.stop), 0.0))
        asked = len(self.stop_signals)
        while waiting:
            hurry = len(self.stop_signals) > max(asked, 1)
            asked = max(asked, len(self.stop_signals))
            still = []
            for process, steps, until in waiting:
                if not process.is_running():
                    self.retire(process)
                elif time.monotonic() < until and not hurry:
                    still.append((process, steps, until))
                elif step := next(steps, None):
                    process.send(step[0])
                    still.append((process, steps, time.monotonic() + step[1]))
                else:
                    self.retire(process)
            waiting = still
            self.pump(0.03 if waiting else 0.0)


def shares_terminal() -> bool:
    """Whether Ctrl-C on our terminal reaches the command as well as us."""
    with contextlib.suppress(OSError):
        return os.tcgetpgrp(0) == os.getpgrp()
    return False
