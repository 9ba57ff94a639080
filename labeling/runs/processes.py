"""Who a process is (host, boot, pid, start time), whether it still lives, and ending it with everything it started (JOB-8)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from labeling.core.stack.processes import marked_processes

TOKEN = "LOOP_RUN_TOKEN"  # in the environment of a trainer and of all its children
LINUX = sys.platform.startswith("linux")


def token_of(run_id: object, attempt: int) -> str:
    """The mark of one attempt's processes."""
    return f"{run_id}.{attempt}"


def boot_id() -> str:
    """Changes when the machine restarts; "" where it cannot be read."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_time(pid: int) -> str:
    """When the process started, so that a pid used again is not taken for it; "" when there is none (or only a zombie)."""
    if not LINUX:
        shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return shown.stdout.strip()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def identify(pid: int) -> dict[str, Any]:
    """What tells this process from every other on this host."""
    return {"pid": pid, "started": start_time(pid)}


def here() -> dict[str, Any]:
    """This host, as it is recorded with a run."""
    return {"host": socket.gethostname(), "boot": boot_id()}


def is_alive(who: dict[str, Any] | None) -> bool:
    """Whether exactly this process still runs."""
    return who is not None and bool(who["started"]) and start_time(int(who["pid"])) == who["started"]


def members(group: int) -> list[int]:
    """The live processes of a group (zombies do not count)."""
    if not LINUX:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [group]
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(int(entry.parent.name))
    return found


def kill(pid: int, *, group: bool = False) -> None:
    """SIGKILL; it is no error when nothing is there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)


def marked(token: str) -> list[int]:
    """Live processes that carry an attempt's token."""
    return marked_processes(token, variable=TOKEN)


def leftovers(run_id: object, attempt: int, process: dict[str, Any]) -> list[int]:
    """Live processes of an attempt on this host: its supervisor, and everything that carries its token."""
    found = set(marked(token_of(run_id, attempt)))
    for who in (process.get("supervisor"), process.get("trainer")):
        if is_alive(who):
            found.add(int(who["pid"]))  # type: ignore[index]
    return sorted(pid for pid in found if pid != os.getpid() and start_time(pid))


def end_attempt(run_id: object, attempt: int, process: dict[str, Any], *, seconds: float = 5.0) -> bool:
    """Kill whatever an attempt left on this host; True once all of it is gone."""
    until = time.monotonic() + seconds
    while left := leftovers(run_id, attempt, process):
        for pid in left:
            kill(pid)
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
