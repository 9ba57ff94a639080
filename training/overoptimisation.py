"""Over-optimisation: what a second, gold reward says while the first is maximised, against d = √KL (Gao et al. 2022).

Pure functions on a list of points, one an update of PPO or one a number of candidates of best-of-n; no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

LEAST_KL = 0.01  # nats: nearer to the start the curve is noise divided by almost nothing
FARTHEST = 100.0  # a / b: a peak beyond it is a straight line with noise


class Point(NamedTuple):
    """One point of the curve: KL to the start in nats per answer, the score that is maximised, the score that only watches."""

    kl: float
    score: float
    gold: float


class GoldFit(NamedTuple):
    """R(d) = d (a - b log d) of `fit_gold`, d (a - b d) of `fit_best_of_n`. `peak_kl`: where R is largest, None if b ≤ 0 or it is out of sight."""

    a: float
    b: float
    peak_kl: float | None


def fit_gold(points: Sequence[Point]) -> GoldFit | None:
    """R(d) = d (a - b log d): Gao et al. 2022, §1, for reinforcement learning. None without two points (see `_fit_line`)."""
    line = _fit_line(points, math.log)
    if line is None:
        return None
    a, b = line
    return GoldFit(a, b, math.exp(2.0 * (a / b - 1.0)) if b > 0 and a / b < FARTHEST else None)


def fit_best_of_n(points: Sequence[Point]) -> GoldFit | None:
    """R(d) = d (a - b d): Gao et al. 2022, §1, for best-of-n. None without two points (see `_fit_line`).

    Where a ≤ 0 as well, gold falls from the first candidate on: the peak is the start.
    """
    line = _fit_line(points, lambda d: d)
    if line is None:
        return None
    a, b = line
    return GoldFit(a, b, (max(a, 0.0) / (2.0 * b)) ** 2 if b > 0 and a / b < FARTHEST else None)


def _fit_line(points: Sequence[Point], of: Callable[[float], float]) -> tuple[float, float] | None:
    """a and b of the least squares of (gold - gold at the start) / d = a - b of(d), over points with KL above 0.01.

    The first point stands for the start: there the policy is its own reference. None without two points of different d.
    """
    if not points:
        return None
    start = points[0].gold
    rows = [(of(math.sqrt(p.kl)), (p.gold - start) / math.sqrt(p.kl)) for p in points[1:] if p.kl > LEAST_KL]
    if len(rows) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in rows)
    if spread < 1e-12:
        return None
    rise = sum((x - mean_x) * (y - mean_y) for x, y in rows) / spread
    return mean_y - rise * mean_x, -rise


# ---------------------------------------------------------------- best of n


def curve_sizes(drawn: int) -> list[int]:
    """The numbers of candidates at which the curve of best-of-n has a point: 1, 2, 4, … up to `drawn`."""
    return [1 << power for power in range(drawn.bit_length())]


def expected_best(scores: Sequence[float], golds: Sequence[float], n: int) -> tuple[float, float]:
    """Score and gold score of the best of n, averaged over all ways to take n of the candidates; the first of equals is best.

    The unbiased estimator of Nakano et al. 2021: nothing is drawn anew. Raises ValueError unless n is 1 … candidates.
    """
    if not 1 <= n <= len(scores):
        raise ValueError(f"n must be from 1 to {len(scores)}, not {n}")
    order = sorted(range(len(scores)), key=lambda at: (-scores[at], at))
    weights = _chances(len(scores), n)
    places = order[: len(weights)]  # those behind are never the best of n
    score, gold = (
        math.fsum(weight * values[at] for weight, at in zip(weights, places, strict=True)) for values in (scores, golds)
    )
    return score, gold


@cache
def _chances(drawn: int, n: int) -> tuple[float, ...]:
    """Of the r-th best of `drawn` candidates, r = 0, 1, …: the probability to be the best of n taken from them."""
    ways = math.comb(drawn, n)
    return tuple(math.comb(drawn - 1 - r, n - 1) / ways for r in range(drawn - n + 1))


# ---------------------------------------------------------------- a warning


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
