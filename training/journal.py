"""metrics.jsonl and samples.jsonl: append, flush, and cut back to where a checkpoint stood. Writers hear the numbers too."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from training.contracts import canonical_json
from training.writers import Writer, tag

FILES = ("metrics", "samples")


class Journal:
    """The two growing files of a run. `position` (from `position()` of an earlier process) says where to go on; None = empty.

    A `quiet` one, of a rank that does not write, checks the numbers and keeps none.
    """

    def __init__(
        self,
        run_dir: Path,
        position: dict[str, int] | None = None,
        writers: Sequence[Writer] = (),
        *,
        quiet: bool = False,
    ) -> None:
        self._files: dict[str, IO[str]] = {}
        for name in () if quiet else FILES:
            path = run_dir / f"{name}.jsonl"
            path.touch()
            os.truncate(path, min(position[name], path.stat().st_size) if position else 0)
            self._files[name] = path.open("a", encoding="utf-8")
        self._writers = writers
        self.tokens = 0
        self._total = 0
        self._done_before = 0
        self._started = self._last = time.monotonic()

    def plan(self, *, done: int, total: int) -> None:
        """From here on `done` of `total` steps are behind; the clock of the estimate starts now."""
        self._done_before, self._total = done, total
        self._started = self._last = time.monotonic()

    def position(self) -> dict[str, int]:
        """Bytes written so far to each file, after forcing them to disk."""
        for handle in self._files.values():
            handle.flush()
            os.fsync(handle.fileno())
        return {name: os.fstat(handle.fileno()).st_size for name, handle in self._files.items()}

    def log(self, step: int, split: str, metrics: dict[str, float | None]) -> None:
        """Append one line of numbers, with progress on lines of the `train` split."""
        for name, value in metrics.items():
            if value is not None and not math.isfinite(value):
                raise FloatingPointError(f"{name} is {value} at step {step}; a lower learning_rate is the usual mend")
        row: dict[str, Any] = {"step": step, "time": round(time.time(), 3), "split": split}
        row |= {name: value for name, value in metrics.items() if value is not None}
        if split == "train" and self._total:
            row |= self._progress(step)
        self._write("metrics", row)
        numbers = {tag(name, split): value for name, value in row.items() if name not in ("step", "time", "split")}
        for writer in self._writers:
            writer.write(step, numbers)

    def _progress(self, step: int) -> dict[str, float]:
        now = time.monotonic()
        fresh = max(1, step - self._done_before)
        row = {
            "progress/fraction": min(1.0, round(step / self._total, 6)),
            "progress/eta_seconds": round((now - self._started) / fresh * max(0, self._total - step), 1),
        }
        if self.tokens:
            row["progress/tokens_per_second"] = round(self.tokens / max(now - self._last, 1e-6), 1)
            self.tokens = 0
        self._last = now
        return row

    def sample(self, row: dict[str, Any]) -> None:
        """Append one text with its facts."""
        self._write("samples", row)

    def _write(self, name: str, row: dict[str, Any]) -> None:
        if name not in self._files:
            return
        self._files[name].write(canonical_json(row) + "\n")
        self._files[name].flush()

    def close(self) -> None:
        """Close files and writers. Every line was flushed when it was written; one that could not be has been reported then."""
        for handle in self._files.values():
            with contextlib.suppress(OSError):
                handle.close()
        for writer in self._writers:
            writer.close()
