"""Probabilities of what was seen if nothing were wrong, and their correction for looking often. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

SMALLEST = 1e-300  # probabilities below are all the same: nothing


def upper_tail(z: float) -> float:
    """P(Z ≥ z) of a standard normal Z."""
    return max(SMALLEST, 0.5 * math.erfc(z / math.sqrt(2)))


def both_tails(z: float) -> float:
    """P(|Z| ≥ |z|)."""
    return max(SMALLEST, math.erfc(abs(z) / math.sqrt(2)))


def chi_square_tail(value: float, freedom: int) -> float:
    """P(χ² ≥ value) with `freedom` ≥ 1 degrees; the finite series of Abramowitz and Stegun, 26.4.4 and 26.4.5."""
    if value <= 0:
        return 1.0
    odd = freedom % 2 == 1
    term = math.sqrt(2 * value / math.pi) * math.exp(-value / 2) if odd else math.exp(-value / 2)
    tail = math.erfc(math.sqrt(value / 2)) if odd else 0.0
    for step in range(3 if odd else 2, freedom + 2, 2):
        tail += term if step <= freedom else 0.0
        term *= value / step
    return min(1.0, max(SMALLEST, tail))


def binomial_lower_tail(successes: int, trials: int, share: float) -> float:
    """P(X ≤ successes) for X ~ Binomial(trials, share), 0 < share < 1."""
    terms = [
        math.lgamma(trials + 1)
        - math.lgamma(at + 1)
        - math.lgamma(trials - at + 1)
        + at * math.log(share)
        + (trials - at) * math.log1p(-share)
        for at in range(successes + 1)
    ]
    return min(1.0, max(SMALLEST, math.fsum(map(math.exp, terms))))


def mean_differs(total: float, squares: float, count: int) -> float:
    """Two-sided probability that `count` independent differences with this sum and sum of squares have mean 0.

    Normal approximation; where all differences are equal the sign test's 2^(1−n), since nothing is known of their spread.
    """
    if count < 2 or total == 0:
        return 1.0
    mean = total / count
    variance = max(0.0, squares / count - mean**2) * count / (count - 1)
    if variance <= 1e-12:
        return max(SMALLEST, 2.0 ** (1 - count))
    return both_tails(mean / math.sqrt(variance / count))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Adjusted so that the chance of one false alarm among all stays what it says (Holm, 1979), in the given order."""
    order = sorted(range(len(probabilities)), key=lambda at: probabilities[at])
    adjusted, floor = [1.0] * len(order), 0.0
    for done, at in enumerate(order):
        floor = max(floor, min(1.0, probabilities[at] * (len(order) - done)))
        adjusted[at] = floor
    return adjusted
