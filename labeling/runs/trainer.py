"""The stage as a process: scrubbed environment, own session, and a dead man's switch that outlives its supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings

from labeling.runs import deadman, devices, processes

# What a stage may see of our environment. No secret, no address of a database or a broker.
PASSED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "HF_HOME",
    "HF_HUB_CACHE",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NVIDIA_VISIBLE_DEVICES",
    "PYTORCH_CUDA_ALLOC_CONF",
    "WANDB_MODE",
    "WANDB_BASE_URL",
    "WANDB_ENTITY",
    "TRACKIO_DIR",
)


def environment(*, token: str, device: str) -> dict[str, str]:
    """The whole environment of a stage."""
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    return {
        **passed,
        "PYTHONPATH": str(settings.BASE_DIR),
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),  # 0 lets a hub name in BASE_MODEL be fetched
        **devices.visible_to(device),
        processes.TOKEN: token,
    }


def command(folder: Path, *, kind: str, device: str) -> list[str]:
    """How the stage is started: by itself, or on a device of several (`cuda:0+1`) by torchrun with a process for each.

    TORCHRUN_OPTIONS adds hosts and their meeting point; whoever runs the other hosts starts the same line there.
    """
    processes = len(devices.numbers_of(device))
    if processes == 1 and not settings.TORCHRUN_OPTIONS:
        return [settings.TRAINING_PYTHON, "-m", f"training.{kind}", str(folder)]
    options = ["--nproc-per-node", str(processes), *settings.TORCHRUN_OPTIONS]
    return [settings.TRAINING_PYTHON, "-m", "training.launch", *options, kind, str(folder)]


class Trainer:
    """One running stage. Construct it to start it; `end()` leaves nothing of it behind."""

    def __init__(self, folder: Path, *, kind: str, token: str, device: str) -> None:
        self.switch = DeadMansSwitch(token)
        with (folder / "log.txt").open("ab") as log:
            self.popen = subprocess.Popen(
                command(folder, kind=kind, device=device),
                cwd=folder,
                env=environment(token=token, device=device),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.switch.say(f"watch {self.popen.pid}")
        self.started = time.monotonic()
        self.token = token
        self.asked_to_stop: float | None = None

    def exit_code(self) -> int | None:
        """None while the stage runs; -9 and the like when a signal ended it. The leader is left for `end` to collect."""
        if self.popen.returncode is not None or not hasattr(os, "waitid"):
            return self.popen.poll()
        done = os.waitid(os.P_PID, self.popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if done is None:
            return None
        return done.si_status if done.si_code == os.CLD_EXITED else -done.si_status

    def stop(self) -> None:
        """SIGTERM to the group, once: a stage writes a checkpoint and ends."""
        if self.asked_to_stop is None:
            self.asked_to_stop = time.monotonic()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Until the stage has ended, or so long."""
        until = time.monotonic() + seconds
        while self.exit_code() is None and time.monotonic() < until:
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to the group."""
        processes.kill(self.popen.pid, group=True)

    def end(self) -> None:
        """Kill what is left of the group and of everything marked, collect the leader, put the switch to rest."""
        self.kill()  # the leader was not collected yet, so its number still is this group's
        self.popen.wait()
        for pid in processes.marked(self.token):
            processes.kill(pid)
        self.switch.rest()


class DeadMansSwitch:
    """A process that ends the group when our end of the pipe closes, or when no beat came for RUN_FENCE_SECONDS (JOB-6)."""

    def __init__(self, token: str) -> None:
        arguments = [token, str(settings.RUN_FENCE_SECONDS), str(min(10.0, settings.RUN_CANCEL_GRACE_SECONDS))]
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-S", deadman.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )

    def say(self, order: str) -> None:
        """One order; a switch that was killed cannot hear it, and the supervisor and the sweep remain."""
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.popen.stdin.write(f"{order}\n".encode())
            self.popen.stdin.flush()

    def rest(self) -> None:
        """Nothing is left to end."""
        self.say("done")
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()
        self.popen.wait()
