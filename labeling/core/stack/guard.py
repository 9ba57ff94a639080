"""Ends everything a supervisor started when the supervisor itself is killed: `python guard.py`, orders on stdin.

The supervisor holds the other end of the pipe. Orders, one a line:

    remember PID SIGNAL SECONDS   a session leader, and how it likes to be stopped
    forget PID                    it has ended
    sweep MARK                    at the end also kill every process whose environment carries LOOP_STACK=MARK
    remove PATH                   at the end also remove this directory
    done                          the supervisor has stopped everything itself

End of file without `done` means the supervisor is dead. Runs with the standard library alone, outside the package.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable


def read_orders(lines: Iterable[str]) -> tuple[dict[int, tuple[int, float]], list[str], list[str]] | None:
    """Follow the orders until the pipe closes: what is left to end, or None after `done`."""
    children: dict[int, tuple[int, float]] = {}
    sweeps: list[str] = []
    folders: list[str] = []
    for line in lines:
        verb, _, rest = line.strip().partition(" ")
        if verb == "remember":
            pid, number, seconds = rest.split()
            children[int(pid)] = (int(number), float(seconds))
        elif verb == "forget":
            children.pop(int(rest), None)
        elif verb == "sweep":
            sweeps.append(rest)
        elif verb == "remove":
            folders.append(rest)
        elif verb == "done":
            return None
    return children, sweeps, folders


def group_is_alive(pid: int) -> bool:
    """Whether any process of the group is there. (One that has ended but was not collected counts, for a moment.)"""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not only_zombies(pid)


def only_zombies(group: int) -> bool:
    """On Linux: whether every process of the group has ended and merely was not collected by its parent."""
    seen = False
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        try:
            with open(f"/proc/{name}/stat") as file:
                state, _, pgrp = file.read().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(pgrp) == group:
            seen = True
            if state not in "ZX":
                return False
    return seen


def end(pid: int, number: int, seconds: float) -> None:
    """Ask the leader, wait, then kill the whole group."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
    until = time.monotonic() + seconds
    while group_is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def sweep(mark: str) -> None:
    """Kill every process that carries the mark, except this one."""
    needle = f"LOOP_STACK={mark}".encode()
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                carries = needle in file.read().split(b"\0")
            if carries and int(name) != os.getpid():
                os.kill(int(name), signal.SIGKILL)
        except (OSError, ValueError):
            continue


def main() -> None:
    """Wait for the end of the pipe; then the newest process first, the servers last."""
    for unwanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(unwanted, signal.SIG_IGN)
    left = read_orders(sys.stdin)
    if left is None:
        return
    children, sweeps, folders = left
    for pid, (number, seconds) in reversed(children.items()):
        end(pid, number, seconds)
    for mark in sweeps:
        sweep(mark)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
