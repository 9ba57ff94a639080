"""How sure a share is: bootstrap intervals over independent groups. Pure functions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A share from 0 to 1 with its 95 % interval; `groups` are what was resampled, `cases` what they hold together."""

    value: float
    low: float
    high: float
    groups: int
    cases: int

    @property
    def half_width(self) -> float:
        """Half of the interval, for "72 ± 3 %"."""
        return (self.high - self.low) / 2


def bootstrap(groups: Sequence[tuple[float, int]], *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate | None:
    """The ratio Σ sums / Σ counts of (sum, count) pairs with a percentile bootstrap interval over the pairs.

    Cases inside one group (the pairs of one prompt) are not independent, so whole groups are drawn. None without a case;
    a single group says nothing about the spread, so its interval is everything from 0 to 1.
    """
    filled = [(total, count) for total, count in groups if count]
    if not filled:
        return None
    cases = sum(count for _, count in filled)
    value = sum(total for total, _ in filled) / cases
    if len(filled) == 1:
        return Estimate(value, 0.0, 1.0, 1, cases)
    generator = random.Random(seed)
    shares = []
    for _ in range(resamples):
        drawn = generator.choices(filled, k=len(filled))
        shares.append(sum(total for total, _ in drawn) / sum(count for _, count in drawn))
    shares.sort()
    edge = int(0.025 * resamples)
    return Estimate(value, shares[edge], shares[-1 - edge], len(filled), cases)
