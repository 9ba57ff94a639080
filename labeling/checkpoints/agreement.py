"""How well a reward model agrees with held-out rankings: the table its run left in agreement.json, made ready to show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from labeling.checkpoints.models import Checkpoint
from labeling.core.files import artifact_path

LARGEST = 1 << 20  # bytes; a table of ours is a few kilobytes
LEFT, RIGHT, TOP, BOTTOM = 40.0, 340.0, 12.0, 172.0  # the plot's field, in units of its view box
PARTS = (
    ("by_distance", _("By how far apart the labeler ranked them")),
    ("by_margin", _("By how much better the labeler found the winner")),
    ("by_length", _("By the winner's length against the loser's")),
)


@dataclass(frozen=True)
class Bin:
    """One bin of the calibration and where its point stands in the plot; confidence and share run from ½ and 0 to 1."""

    predicted: float
    observed: float
    pairs: int

    @property
    def x(self) -> float:
        """From left (½) to right (1)."""
        return round(LEFT + (self.predicted - 0.5) * 2 * (RIGHT - LEFT), 1)

    @property
    def y(self) -> float:
        """From bottom (0) to top (1)."""
        return round(BOTTOM - self.observed * (BOTTOM - TOP), 1)


@dataclass(frozen=True)
class Agreement:
    """The table: bins of the calibration, accuracies by part (title, rows of name, accuracy, pairs), the learning curve."""

    bins: list[Bin]
    parts: list[tuple[Any, list[tuple[str, float, int]]]]
    curve: list[dict[str, Any]]
    pairs: int


def agreement_of(checkpoint: Checkpoint) -> Agreement | None:
    """The table of a reward model; None for other checkpoints and where the run left none that can be read."""
    if checkpoint.kind != Checkpoint.Kind.REWARD or not checkpoint.path:
        return None
    try:
        path = artifact_path(checkpoint.path) / "agreement.json"
        if path.stat().st_size > LARGEST:
            return None
        return read(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # the numbers beside it stay; a table is no reason for a page to fail


def read(table: dict[str, Any]) -> Agreement | None:
    """The table as rows to show; None when no pair was held out."""
    if not table["pairs"]:
        return None
    bins = [Bin(float(row["predicted"]), float(row["observed"]), int(row["pairs"])) for row in table["calibration"]]
    parts = [
        (title, [(name, float(row["accuracy"]), int(row["pairs"])) for name, row in table[part].items()])
        for part, title in PARTS
        if len(table[part]) > 1
    ]
    return Agreement(bins, parts, list(table.get("curve", [])), int(table["pairs"]))
