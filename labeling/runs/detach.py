"""Starts a command that outlives its parent: `python detach.py LOG COMMAND…`. Own session, no open files, adopted by init.

Runs with the standard library alone, outside the package.
"""

from __future__ import annotations

import os
import sys


def main(log: str, command: list[str]) -> None:
    """Fork once; the parent ends at once, the child becomes the command."""
    if os.fork():
        os._exit(0)
    os.setsid()
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.closerange(3, 4096)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
