"""Where dots, intervals and lines stand. Numbers in, coordinates out; templates draw them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, LEFT, RIGHT = 464.0, 142.0, 416.0  # of the dot plot; names stand to the left, n to the right
ROW = 22.0
WEEK_WIDTH, WEEK_HEIGHT, TOP, FLOOR, MARGIN = 440.0, 150.0, 12.0, 122.0, 34.0
MOST_WEEKS = 26
STEPS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Scale:
    """A stretch of shares on a stretch of the picture."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where the value stands; outside the stretch, at its edge."""
        share = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[dict[str, Any]]:
        """Round values with their places, four to six of them."""
        step = next((step for step in STEPS if (self.high - self.low) / step <= 6), STEPS[-1])
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [{"at": self(n * step), "text": f"{100 * n * step:.0f}"} for n in range(first, last + 1)]


def scale_of(values: Sequence[float], start: float, end: float) -> Scale:
    """From the tenth below the smallest to the tenth above the largest value, within 0 and 1."""
    low = max(0.0, math.floor(min(values) * 10 - 1e-9) / 10)
    high = min(1.0, math.ceil(max(values) * 10 + 1e-9) / 10)
    return Scale(low, max(high, low + 0.1), start, end)


def dot_plot(rows: Sequence[tuple[str, Mapping[str, Any]]], reference: float | None) -> dict[str, Any] | None:
    """One line per (name, estimate), `reference` as an upright line. None without a row."""
    if not rows:
        return None
    ends = [estimate[end] for _, estimate in rows for end in ("low", "high")]
    scale = scale_of([*ends, *([reference] if reference is not None else [])], LEFT, RIGHT)
    floor = 10 + ROW * len(rows)
    return {
        "width": WIDTH,
        "height": floor + 26,
        "floor": floor,
        "axis": floor + 18,
        "edge": WIDTH,
        "ticks": scale.ticks(),
        "reference": scale(reference) if reference is not None else None,
        "rows": [
            {
                "name": name,
                "y": 10 + ROW * (at + 0.5),
                "low": scale(estimate["low"]),
                "high": scale(estimate["high"]),
                "x": scale(estimate["value"]),
                "estimate": estimate,
            }
            for at, (name, estimate) in enumerate(rows)
        ],
    }


def trend(
    rows: Sequence[tuple[str, Mapping[str, Any] | None]], reference: float | None = None
) -> dict[str, Any] | None:
    """A line through (label, estimate) with upright intervals, the newest weeks; None below two of them."""
    shown = [(label, estimate) for label, estimate in rows[-MOST_WEEKS:] if estimate]
    if len(shown) < 2:
        return None
    ends = [estimate[end] for _, estimate in shown for end in ("low", "high")]
    scale = scale_of([*ends, *([reference] if reference is not None else [])], FLOOR, TOP)
    across = (WEEK_WIDTH - MARGIN - 16) / (len(shown) - 1)
    points = [
        {
            "x": round(MARGIN + 8 + across * at, 1),
            "y": scale(estimate["value"]),
            "low": scale(estimate["low"]),
            "high": scale(estimate["high"]),
            "label": label,
            "estimate": estimate,
        }
        for at, (label, estimate) in enumerate(shown)
    ]
    return {
        "width": WEEK_WIDTH,
        "height": WEEK_HEIGHT,
        "left": MARGIN,
        "floor": FLOOR,
        "axis": WEEK_HEIGHT - 8,
        "ticks": scale.ticks(),
        "reference": scale(reference) if reference is not None else None,
        "line": "M" + "L".join(f"{point['x']} {point['y']}" for point in points),
        "points": points,
        "first": points[0],
        "last": points[-1],
    }
