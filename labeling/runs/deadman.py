"""Ends a trainer whose supervisor died or fell silent: `python deadman.py TOKEN SILENCE GRACE`, orders on stdin.

The supervisor holds the other end of the pipe. Orders, one a line:

    watch PID   the trainer's process group
    beat        the lease was renewed in the database
    done        the supervisor has ended the group itself

End of file, or SILENCE seconds without a beat, means: SIGTERM to the group, GRACE seconds, then SIGKILL for it and for
every process whose environment carries LOOP_RUN_TOKEN=TOKEN. Runs with the standard library alone, outside the package.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time


def marked(token: str) -> list[int]:
    """The processes that carry the token (Linux)."""
    needle = f"LOOP_RUN_TOKEN={token}".encode()
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if needle in file.read().split(b"\0") and int(name) != os.getpid():
                    found.append(int(name))
        except (OSError, ValueError):
            continue
    return found


def group_is_alive(group: int) -> bool:
    """Whether a process of the group runs; one that merely was not collected does not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    seen = False
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        try:
            with open(f"/proc/{name}/stat") as file:
                state, _, found = file.read().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(found) == group:
            seen = True
            if state not in "ZX":
                return True
    return not seen


def send(number: int, group: int) -> None:
    """Signal a group that may be gone."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def end(group: int, token: str, grace: float) -> None:
    """Ask, wait, kill."""
    if group:
        send(signal.SIGTERM, group)
        until = time.monotonic() + grace
        while group_is_alive(group) and time.monotonic() < until:
            time.sleep(0.05)
        send(signal.SIGKILL, group)
    for _ in range(20):
        left = marked(token)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if not left:
            return
        time.sleep(0.05)


def wait(silence: float) -> int | None:
    """Follow the orders until `done` (returns None) or until there is something to end (returns the group, 0 if none)."""
    group, text, heard = 0, b"", time.monotonic()
    while True:
        left = heard + silence - time.monotonic()
        if left <= 0 or not select.select([0], [], [], left)[0]:
            if time.monotonic() - heard >= silence:
                return group
            continue
        chunk = os.read(0, 4096)
        if not chunk:
            return group
        *lines, text = (text + chunk).split(b"\n")
        for line in lines:
            verb, _, rest = line.decode().partition(" ")
            if verb == "done":
                return None
            if verb == "watch":
                group = int(rest)
            heard = time.monotonic()


def main(token: str, silence: str, grace: str) -> None:
    """Wait for the supervisor's end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    group = wait(float(silence))
    if group is not None:
        end(group, token, float(grace))


if __name__ == "__main__":
    main(*sys.argv[1:])
