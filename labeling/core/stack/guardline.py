"""Our end of the guard's pipe: the guard hears of every process, and acts when this end closes without `done`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import IO

from labeling.core.stack import guard
from labeling.core.stack.directory import DataDirectory


class GuardLine:
    """Starts the guard of one data directory and talks to it. The guard holds the directory's lock until it has ended."""

    def __init__(self, directory: DataDirectory) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
            pass_fds=(directory.lock_fd,),
            env={},
        )
        if directory.temporary:
            self.tell(f"remove {directory.path}")

    @property
    def pipe(self) -> IO[str]:
        """What the guard reads."""
        assert self.popen.stdin is not None
        return self.popen.stdin

    def tell(self, order: str) -> None:
        """One order, see guard.py; a guard that was killed cannot hear it, and PDEATHSIG remains."""
        with contextlib.suppress(BrokenPipeError):
            self.pipe.write(order + "\n")

    def close(self) -> None:
        """Everything was stopped in order: nothing is left to do."""
        self.tell("done")
        with contextlib.suppress(BrokenPipeError):
            self.pipe.close()
        self.popen.wait()
