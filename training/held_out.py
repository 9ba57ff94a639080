"""Scores of rankings that a reward model was not trained on, for whoever compares them with people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.contracts import canonical_json
from training.manifests import write_atomic
from training.records import RankingRow


def write_scores(folder: Path, rows: Sequence[RankingRow], scores: Sequence[Sequence[float]]) -> None:
    """scores.jsonl: one line per ranking, {"id", "scores"}, scores in the order of its completions. No file without a row."""
    lines = [canonical_json({"id": row.id, "scores": list(own)}) + "\n" for row, own in zip(rows, scores, strict=True)]
    if lines:
        write_atomic(folder / "scores.jsonl", "".join(lines))
