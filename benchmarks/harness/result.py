"""The last line of a benchmark: one JSON object, with the machine and the versions it was measured on."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "trl")


def machine() -> dict[str, Any]:
    """Processor, load and versions; threads, GPU and training packages where the benchmark used torch."""
    facts: dict[str, Any] = {
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "loadavg": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    return facts | training_facts() if "torch" in sys.modules else facts


def training_facts() -> dict[str, Any]:
    """Threads, GPU and versions; a package that is not installed is left out."""
    import torch

    facts: dict[str, Any] = {"threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    for name in PACKAGES:
        try:
            facts[name] = importlib.import_module(name).__version__
        except ImportError:
            continue
    return facts


def cpu_name() -> str:
    """The processor's name where /proc tells it, else what Python knows."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measured(name: str, values: Iterable[int], compare: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """What `compare` finds for each value, under the name with the value behind it; each is printed as soon as it is there."""
    found: dict[str, Any] = {}
    for value in values:
        found[f"{name}{value}"] = compare(value)
        print(f"{name}{value}: {found[f'{name}{value}']}", flush=True)
    return found


def report(result: dict[str, Any]) -> None:
    """Print the result and the machine as the last line."""
    print(json.dumps({**result, "machine": machine()}), flush=True)
