"""How sure a share is: bootstrap over independent groups, Wilson's interval, linearised errors. Pure functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

RESAMPLES = 2000
Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; `groups` are what was resampled (or tried), `cases` what they hold together."""

    value: float
    low: float
    high: float
    groups: int
    cases: int

    @property
    def half_width(self) -> float:
        """Half of the interval, for "72 ± 3 %"."""
        return (self.high - self.low) / 2

    def as_json(self) -> dict[str, Any]:
        """For a stored summary."""
        return asdict(self)

    @classmethod
    def read(cls, said: Mapping[str, Any] | None) -> Self | None:
        """Back from a stored summary."""
        return cls(**said) if said else None


@dataclass
class Ratio:
    """Σ sums / Σ counts over independent groups (the pairs of one prompt are one group), kept as (sum, count): how often.

    Equal groups share an entry, so a hundred thousand prompts take no more room than the few different outcomes.
    """

    groups: Counter[tuple[float, int]] = field(default_factory=Counter)

    def add(self, total: float, count: int) -> None:
        """One more group; one without cases says nothing and is passed over."""
        if count:
            self.groups[total, count] += 1

    @property
    def size(self) -> int:
        """How many groups."""
        return self.groups.total()

    @property
    def cases(self) -> int:
        """Σ counts."""
        return sum(count * times for (_, count), times in self.groups.items())

    @property
    def total(self) -> float:
        """Σ sums."""
        return sum(total * times for (total, _), times in self.groups.items())

    @property
    def value(self) -> float | None:
        """The ratio; None without a case."""
        return self.total / self.cases if self.groups else None

    @property
    def error(self) -> float | None:
        """Standard error of the ratio, linearised: √(G/(G−1) · Σ(s − rc)²) / Σc (Cochran, 1977, 6.4). None below 2 groups."""
        if self.size < 2 or self.value is None:
            return None
        off = sum((total - self.value * count) ** 2 * times for (total, count), times in self.groups.items())
        return math.sqrt(self.size / (self.size - 1) * off) / self.cases

    def estimate(self, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate | None:
        """The ratio with a percentile bootstrap interval over groups.

        Cases inside one group are not independent, so whole groups are drawn. None without a case; a single group says
        nothing about the spread, so its interval is everything from 0 to 1.
        """
        if self.value is None:
            return None
        if self.size == 1:
            return Estimate(self.value, 0.0, 1.0, 1, self.cases)
        import numpy as np  # 0.1 s that only those who compute pay: pages import this module to read stored estimates

        outcomes = sorted(self.groups)
        times = np.array([self.groups[outcome] for outcome in outcomes], dtype=np.float64)
        drawn = np.random.default_rng(seed).multinomial(self.size, times / times.sum(), size=resamples)
        totals, counts = (np.array(column, dtype=np.float64) for column in zip(*outcomes, strict=True))
        low, high = np.quantile((drawn @ totals) / (drawn @ counts), [0.025, 0.975])
        return Estimate(self.value, float(low), float(high), self.size, self.cases)


def bootstrap(groups: Iterable[tuple[float, int]], *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate | None:
    """`Ratio.estimate` of (sum, count) pairs, one for each group."""
    ratio = Ratio()
    for total, count in groups:
        ratio.add(total, count)
    return ratio.estimate(resamples=resamples, seed=seed)


def wilson(successes: float, trials: int) -> Estimate | None:
    """A share of independent trials with Wilson's 95 % score interval (Wilson, 1927); None without a trial."""
    if not trials:
        return None
    share, square = successes / trials, Z95**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = Z95 / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), trials, trials)
