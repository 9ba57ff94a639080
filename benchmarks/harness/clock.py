"""Time as the benchmarks count it: CPU seconds of this process on a CPU, synchronised wall seconds on a GPU.

CPU seconds of one thread hardly change when neighbours use the other cores; wall seconds do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


@dataclass
class Clock:
    """Seconds by name, a list for each: `with clock.of("train"): …`, then `clock.median("train")`."""

    device: torch.device = torch.device("cpu")
    warmup: int = 0  # times at the start of each list that do not count
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def now(self) -> float:
        """CPU seconds of this process so far; on a GPU wall seconds once the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time the block under `name`."""
        begin = self.now()
        yield
        self.add(name, self.now() - begin)

    def add(self, name: str, seconds: float) -> None:
        """One more time under `name`."""
        self.seconds.setdefault(name, []).append(seconds)

    def counted(self, name: str) -> list[float]:
        """The times under `name` after the warm-up."""
        return self.seconds[name][self.warmup :]

    def median(self, name: str) -> float:
        """The median of the times that count."""
        return statistics.median(self.counted(name))
