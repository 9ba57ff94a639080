"""Following metrics.jsonl into the database while a stage appends to it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction

from labeling.runs import fencing
from labeling.runs.models import Run, RunMetric

BATCH_BYTES = 1 << 20
PROGRESS = "progress/"
BY_CANDIDATES = "best_of"  # the split of a curve: its steps count candidates, not what the run has done


class Follower:
    """Reads whole new lines. A resumed stage cuts the file back to its checkpoint; then the stored rows are read anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.row = 0
        self.last_line = b""
        self.untouched = (
            self._modified()
        )  # an earlier attempt's lines are not read before this attempt has opened the file

    def _modified(self) -> int:
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def has_begun(self) -> bool:
        """Whether this attempt's stage has opened the file."""
        return self._modified() != self.untouched

    def read(self) -> tuple[bool, list[bytes]]:
        """(the file was cut back, the whole lines that are new); at most 1 MiB at a time."""
        if not self.has_begun:
            return False, []
        with self.path.open("rb") as file:
            cut = self._was_cut(file.fileno())
            if cut:
                self.offset, self.row, self.last_line = 0, 0, b""
            file.seek(self.offset)
            chunk = file.read(BATCH_BYTES)
        end = chunk.rfind(b"\n") + 1
        return cut, chunk[:end].split(b"\n")[:-1]

    def _was_cut(self, file: int) -> bool:
        if not self.last_line:
            return False
        return os.pread(file, len(self.last_line), self.offset - len(self.last_line) - 1) != self.last_line

    def store(self, *, run_id: UUID, attempt: int) -> bool:
        """Put what is new into the database, all or nothing; True when there was something. Raises LostAttempt."""
        cut, lines = self.read()
        if not lines and not cut:
            return False
        first = self.row
        rows = [row for number, line in enumerate(lines) if (row := parse(line, run_id, first + number)) is not None]
        with transaction.atomic():
            run = fencing.hold(run_id=run_id, attempt=attempt)
            if first == 0:
                RunMetric.objects.filter(run=run).delete()
                run.latest = {}
            RunMetric.objects.bulk_create(rows, batch_size=1000)
            absorb(run, rows)
            run.metrics_rows = first + len(lines)
            run.save(update_fields=["metrics_rows", "latest", "step", "progress", "eta_seconds"])
        if lines:
            self.offset += sum(len(line) + 1 for line in lines)
            self.row = first + len(lines)
            self.last_line = lines[-1]
        return True


def parse(line: bytes, run_id: UUID, number: int) -> RunMetric | None:
    """One line as a row; None for a line that is not an object with a step (it keeps its number)."""
    try:
        row: dict[str, Any] = json.loads(line)
        step, split, time = int(row.pop("step")), str(row.pop("split", "train")), float(row.pop("time", 0.0))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    values = {name: value for name, value in row.items() if isinstance(value, (int, float))}
    return RunMetric(run_id=run_id, row=number, step=step, split=split[:12], time=time, values=values)


def absorb(run: Run, rows: list[RunMetric]) -> None:
    """Bring the row that lists and pages read up to date."""
    for row in rows:
        prefix = "" if row.split == "train" else f"{row.split}/"
        run.latest.update({prefix + name: value for name, value in row.values.items() if not name.startswith(PROGRESS)})
        if row.split != BY_CANDIDATES:
            run.step = row.step
        run.progress = min(1.0, max(0.0, row.values.get(f"{PROGRESS}fraction", run.progress)))
        run.eta_seconds = row.values.get(f"{PROGRESS}eta_seconds", run.eta_seconds)
