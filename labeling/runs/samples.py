"""The newest texts of a run (samples.jsonl), with what looks odd about them said in words."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from django.utils.translation import gettext as _

TAIL_BYTES = 262_144
SHOWN = 8
REPEATED_SHARE = 0.35  # of the four-word runs of a text
KL_FACTOR = 4.0  # times the median of the texts beside it
FACTS = ("score", "kl", "tokens")


@dataclass
class Sample:
    """One text to look at."""

    step: int
    prompt: str
    text: str
    facts: dict[str, int | float] = field(default_factory=dict)
    oddities: list[str] = field(default_factory=list)


def newest(folder: Path, *, shown: int = SHOWN) -> list[Sample]:
    """The texts of the newest step that has any; [] when there are none."""
    rows = [sample for row in tail(folder / "samples.jsonl") if (sample := parse(row))]
    if not rows:
        return []
    last = [row for row in rows if row.step == rows[-1].step]
    mark(last)
    odd_first = sorted(last, key=lambda row: not row.oddities)
    return odd_first[:shown]


def tail(path: Path) -> list[dict[str, Any]]:
    """The whole lines at the end of a JSONL file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return []
    rows = []
    for line in lines[1 if size > TAIL_BYTES else 0 :]:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return [row for row in rows if isinstance(row, dict)]


def parse(row: dict[str, Any]) -> Sample | None:
    """A line as a sample; None when it is not one."""
    if not isinstance(row.get("text"), str) or not isinstance(row.get("step"), int):
        return None
    facts = {name: row[name] for name in FACTS if isinstance(row.get(name), (int, float))}
    return Sample(row["step"], str(row.get("prompt", "")), row["text"], facts)


def mark(samples: list[Sample]) -> None:
    """Say what is odd: empty, repeating itself, or far from the starting policy compared with its neighbours."""
    drifts = [sample.facts["kl"] for sample in samples if "kl" in sample.facts]
    usual = median(drifts) if len(drifts) >= 4 else None
    scores = sorted(sample.facts["score"] for sample in samples if "score" in sample.facts)
    for sample in samples:
        if not sample.text.strip():
            sample.oddities.append(_("is empty"))
        if repeated_share(sample.text) > REPEATED_SHARE:
            sample.oddities.append(_("repeats itself"))
        if usual is not None and usual > 0 and sample.facts.get("kl", 0.0) > KL_FACTOR * usual:
            sample.oddities.append(_("strays far from the starting policy"))
        if sample.oddities and len(scores) >= 4 and sample.facts.get("score", scores[0]) >= scores[-(len(scores) // 4)]:
            sample.oddities.append(_("scores high all the same"))


def repeated_share(text: str, *, words: int = 4) -> float:
    """The share of a text's runs of four words that occurred before in it."""
    tokens = text.lower().split()
    runs = [tuple(tokens[at : at + words]) for at in range(len(tokens) - words + 1)]
    return 1 - len(set(runs)) / len(runs) if len(runs) >= 8 else 0.0
