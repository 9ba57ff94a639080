"""Which devices this host lends to runs, one run each: RUN_DEVICES, or what is there."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from django.conf import settings

from labeling.runs.models import LIVE, Run

AUTO = "auto"


def admitted() -> list[str]:
    """Names like `cpu:0`, `cuda:1`, `mps:0`; several hosts on one database put their name in front: `gpu-a/cuda:0`.

    `cuda:0+1` lends both GPUs to one run, which then has a process on each.
    """
    if settings.RUN_DEVICES != [AUTO]:
        return list(settings.RUN_DEVICES)
    if cards := sorted(Path("/dev").glob("nvidia[0-9]*")):
        return [f"cuda:{number}" for number, _ in enumerate(cards)]
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return ["mps:0"]
    return ["cpu:0"]


def kind_of(device: str) -> str:
    """`cuda` of `gpu-a/cuda:1`."""
    return device.rpartition("/")[2].partition(":")[0]


def numbers_of(device: str) -> list[str]:
    """`["0", "1"]` of `gpu-a/cuda:0+1`."""
    return device.rpartition(":")[2].split("+")


def suitable(wanted: str) -> list[str]:
    """The admitted devices on which a run whose config says `device = wanted` may compute."""
    return [device for device in admitted() if wanted in (AUTO, kind_of(device))]


def holders() -> dict[str, Run]:
    """The live run on each device that is taken."""
    return {run.device: run for run in Run.objects.filter(state__in=LIVE).exclude(device="")}


def visible_to(device: str) -> dict[str, str]:
    """The environment that lets a trainer see its own devices and no other GPU."""
    return {"CUDA_VISIBLE_DEVICES": ",".join(numbers_of(device)) if kind_of(device) == "cuda" else ""}
