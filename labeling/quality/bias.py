"""Whether a labeler prefers what stands first, or what is longer. Pure functions on ranks by completion.

The shown order is drawn at random for every slot, so a labeler who reads has no reason to prefer a place: without bias
every order is equally likely, which gives the exact spread of the statistic and needs nobody to compare with. Length is
different: the longer answer may well be the better one, so what counts is the difference to others on the same pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import sqrt

from labeling.quality.agreement import Ranks, preference
from labeling.quality.evidence import both_tails, chi_square_tail


def leaning(ranks: Ranks, measure: Mapping[int, int]) -> tuple[float, int]:
    """(wins, pairs) of the completion with the smaller measure over pairs whose measures differ; a tie wins half."""
    pairs = [(a, b) for a, b in combinations(sorted(ranks.keys() & measure.keys()), 2) if measure[a] != measure[b]]
    wins = sum(
        (1 + preference(ranks, a, b)) / 2 if measure[a] < measure[b] else (1 + preference(ranks, b, a)) / 2
        for a, b in pairs
    )
    return wins, len(pairs)


def earlier_wins(ranks: Ranks, places: Mapping[int, int]) -> tuple[float, int]:
    """(wins, pairs) of the completion that was shown earlier."""
    return leaning(ranks, places)


def longer_wins(ranks: Ranks, lengths: Mapping[int, int]) -> tuple[float, int]:
    """(wins, pairs) of the longer completion; pairs of equal length do not count."""
    return leaning(ranks, {pk: -length for pk, length in lengths.items()})


def order_variance(ranks: Ranks) -> float:
    """Variance of Kendall's S (earlier wins minus later wins) when every shown order is equally likely.

    [K(K−1)(2K+5) − Σ t(t−1)(2t+5)] / 18 with tie groups of t (Kendall, 1948, chapter 4).
    """
    return (_spread(len(ranks)) - sum(map(_spread, Counter(ranks.values()).values()))) / 18


def _spread(n: int) -> float:
    return n * (n - 1) * (2 * n + 5)


@dataclass
class Order:
    """What one or many labelers did with the shown order, counted up."""

    score: float = 0.0  # Σ S
    variance: float = 0.0  # Σ Var S
    rankings: int = 0
    wins: dict[int, Counter[int]] = field(
        default_factory=dict
    )  # K → shown place → rankings whose only best stood there

    def add(self, ranks: Ranks, places: Mapping[int, int]) -> None:
        """Count one ranking whose shown order is known."""
        won, pairs = earlier_wins(ranks, places)
        self.score += 2 * won - pairs
        self.variance += order_variance(ranks)
        self.rankings += 1
        best = [pk for pk, rank in ranks.items() if rank == 1]
        if len(best) == 1:
            self.wins.setdefault(len(ranks), Counter())[places[best[0]]] += 1

    @property
    def order_probability(self) -> float:
        """Two-sided probability of such a pull to the earlier or the later, without bias."""
        return both_tails(self.score / sqrt(self.variance)) if self.variance else 1.0

    @property
    def place_probability(self) -> float:
        """Probability of wins so unevenly spread over the places, without bias: χ² over every K with 5 a place or more."""
        fair = {k: won for k, won in self.wins.items() if won.total() >= 5 * k}
        value = sum(uneven(k, won) for k, won in fair.items())
        return chi_square_tail(value, sum(k - 1 for k in fair)) if fair else 1.0

    def favourite(self) -> tuple[int, int, int, int] | None:
        """(place, its wins, wins at all places, K) that stands out most from 1/K, for the K with the most wins."""
        if not self.wins:
            return None
        k, won = max(self.wins.items(), key=lambda item: item[1].total())
        place = max(range(1, k + 1), key=lambda at: abs(won[at] - won.total() / k))
        return place, won[place], won.total(), k


def uneven(k: int, won: Mapping[int, int]) -> float:
    """Pearson's χ² of wins by place against an even spread over k places."""
    counts: Sequence[int] = [won.get(place, 0) for place in range(1, k + 1)]
    fair = sum(counts) / k
    return sum((count - fair) ** 2 / fair for count in counts)
