"""A stage killed with SIGKILL at drawn moments and started again, until it has been killed often enough and has finished.

    python -m tests.training.killing KIND SOURCE FOLDER KILLS SEED

Copies the run directory SOURCE to FOLDER/whole, which is left in peace, and to FOLDER/broken-0, broken-1, …, which are not.
A moment is a number of calls made from within `training/`, so it may lie between steps, in the middle of one, or while a
checkpoint is written. Every start is a fork of this process, which has paid for importing torch. Prints one JSON object.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

import training
from training.session import main as run_stage

ROOT = str(Path(training.__file__).parent)
REACH = 2  # a start is killed, on average, after 1 / (2 · REACH) of a whole run


def start(kind: str, folder: Path, *, kill_at: int | None) -> tuple[int, int]:
    """Run the stage in a child; return (wait status, calls made from within `training/`; 0 when it was killed)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(folder.parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        calls = Counter(kill_at)
        sys.setprofile(calls)
        status = run_stage(importlib.import_module(f"training.{kind}").train, [str(folder)])
        sys.setprofile(None)
        os.write(writing, str(calls.made).encode())
        os._exit(status)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return status, int(pipe.read() or 0)


class Counter:
    """Counts calls, Python's and C's, made from our own code; ends the process at the `kill_at`-th."""

    def __init__(self, kill_at: int | None) -> None:
        self.made, self.kill_at = 0, kill_at
        self._ours: dict[CodeType, bool] = {}

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        ours = self._ours.get(code)
        if ours is None:
            ours = self._ours[code] = code.co_filename.startswith(ROOT)
        if ours and event in ("call", "c_call"):
            self.made += 1
            if self.made == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def main(kind: str, source: Path, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Do all of the above; {"calls": of the whole run, "killed_at": per broken directory}."""
    importlib.import_module(f"training.{kind}")
    torch.set_num_threads(1)
    whole = Path(shutil.copytree(source, folder / "whole"))
    status, calls = start(kind, whole, kill_at=None)
    assert status == 0, status
    draw = random.Random(seed)
    killed_at: list[list[int]] = []
    while sum(map(len, killed_at)) < kills:
        broken = Path(shutil.copytree(source, folder / f"broken-{len(killed_at)}"))
        killed_at.append([])
        status = -1
        while status:
            left = kills - sum(map(len, killed_at))
            moment = draw.randint(1, calls // REACH) if left else None
            status, _ = start(kind, broken, kill_at=moment)
            if status:
                assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
                killed_at[-1].append(moment or 0)
    return {"calls": calls, "killed_at": killed_at}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))))
