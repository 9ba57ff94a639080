"""Over-optimisation: what a second, gold reward says while the first is maximised, against d = √KL (Gao et al. 2022).

Pure functions on a list of points, one an update; no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

LEAST_KL = 0.01  # nats: nearer to the start the curve is noise divided by almost nothing


class Point(NamedTuple):
    """One update: KL to the start in nats per answer, the score that is maximised, the score that only watches."""

    kl: float
    score: float
    gold: float


class GoldFit(NamedTuple):
    """R(d) = d (a - b log d): Gao et al. 2022, eq. 2, for reinforcement learning. `peak_kl`: where R is largest, None if b ≤ 0."""

    a: float
    b: float
    peak_kl: float | None


def fit_gold(points: Sequence[Point]) -> GoldFit | None:
    """Least squares of (gold - gold at the start) / d = a - b log d over points with KL above 0.01; None without two of them.

    The first point stands for the start: there the policy is its own reference.
    """
    if not points:
        return None
    start = points[0].gold
    rows = [(math.log(math.sqrt(p.kl)), (p.gold - start) / math.sqrt(p.kl)) for p in points[1:] if p.kl > LEAST_KL]
    if len(rows) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in rows)
    if spread < 1e-12:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in rows) / spread
    a, b = mean_y - slope * mean_x, -slope
    return GoldFit(a, b, math.exp(2.0 * (a / b - 1.0)) if b > 0 and a / b < 100 else None)


def rises_while_gold_falls(points: Sequence[Point], window: int) -> bool:
    """Whether, over the last `window` points, the line through the scores rises and that through the gold scores falls."""
    if len(points) < window:
        return False
    last = points[-window:]
    return slope([point.score for point in last]) > 0.0 > slope([point.gold for point in last])


def slope(values: Sequence[float]) -> float:
    """Slope of the least-squares line through values at 0, 1, 2, …"""
    middle = (len(values) - 1) / 2
    spread = sum((at - middle) ** 2 for at in range(len(values)))
    return sum((at - middle) * value for at, value in enumerate(values)) / spread
