"""How often two labelers say the same of a pair, and where a place stands. Pure functions on rankings given as {completion: rank}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

Ranks = Mapping[int, int]
Values = Sequence[float]  # what different people gave one thing


def preference(ranks: Ranks, first: int, second: int) -> int:
    """1 when `first` stands above `second`, -1 when below, 0 for a tie."""
    return (ranks[first] < ranks[second]) - (ranks[first] > ranks[second])


def agreement(one: Ranks, other: Ranks) -> tuple[float, int]:
    """(agreed, pairs) over the pairs that both ranked.

    The same order, or a tie in both, agrees; a tie against an order counts half; opposite orders do not agree. With no
    ties this is the agreement of InstructGPT, section 3.4.
    """
    shared = sorted(one.keys() & other.keys())
    pairs = list(combinations(shared, 2))
    agreed = sum(1.0 - abs(preference(one, a, b) - preference(other, a, b)) / 2 for a, b in pairs)
    return agreed, len(pairs)


def among(rankings: Mapping[int, Ranks]) -> dict[tuple[int, int], tuple[float, int]]:
    """Agreement of each two labelers who ranked one comparison; `rankings` maps a labeler to their ranks."""
    found = {}
    for one, other in combinations(sorted(rankings), 2):
        agreed, pairs = agreement(rankings[one], rankings[other])
        if pairs:
            found[one, other] = (agreed, pairs)
    return found


def tie_share(ranks: Ranks) -> tuple[int, int]:
    """(ties, pairs) of one ranking."""
    pairs = list(combinations(sorted(ranks), 2))
    return sum(preference(ranks, a, b) == 0 for a, b in pairs), len(pairs)


def positions(ranks: Ranks) -> dict[int, float]:
    """Places from −1 (first) to 1 (last), tied ones at their middle, so that rankings of different K share one scale."""
    ordered = sorted(ranks.values())
    middle = {rank: ordered.index(rank) + (ordered.count(rank) - 1) / 2 for rank in set(ordered)}
    last = len(ordered) - 1
    return {pk: round(2 * middle[rank] / last - 1, 6) if last else 0.0 for pk, rank in ranks.items()}
