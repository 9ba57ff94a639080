"""Disputed comparisons, opened: what was asked, the two answers people differ on most, and who put what where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from labeling.comparisons.models import ComparisonItem, Completion, RankedItem
from labeling.comparisons.selectors import LETTERS
from labeling.projects.models import Project
from labeling.quality.agreement import Ranks, preference
from labeling.quality.models import Dispute
from labeling.quality.reading import own_rankings


@dataclass(frozen=True)
class Side:
    """One of the two answers, with the number of people who prefer it to the other."""

    letter: str
    completion: Completion
    votes: int


@dataclass(frozen=True)
class Opened:
    """One disputed comparison. `places` are (name, rank of each completion in order of letters)."""

    dispute: Dispute
    messages: list[dict[str, str]]
    sides: list[Side]
    ties: int
    letters: list[str]
    places: list[tuple[str, list[Any]]]


def opened(project: Project, rows: Iterable[Dispute]) -> list[Opened]:
    """The disputes with everything that is shown of them."""
    disputes = list(rows)
    ids = [dispute.comparison_id for dispute in disputes]
    answers: dict[int, list[Completion]] = {pk: [] for pk in ids}
    items = ComparisonItem.objects.filter(comparison__in=ids).select_related("completion__checkpoint")
    for item in items.order_by("position"):
        answers[item.comparison_id].append(item.completion)
    said: dict[int, dict[int, tuple[str, dict[int, int]]]] = {pk: {} for pk in ids}
    rankings = list(own_rankings(project).filter(comparison__in=ids).select_related("labeler").order_by("id"))
    ranks: dict[int, dict[int, int]] = {ranking.pk: {} for ranking in rankings}
    for row in RankedItem.objects.filter(ranking__in=ranks):
        ranks[row.ranking_id][row.completion_id] = row.rank
    for ranking in rankings:
        said[ranking.comparison_id][ranking.labeler_id] = (str(ranking.labeler), ranks[ranking.pk])
    return [open_one(dispute, answers[dispute.comparison_id], said[dispute.comparison_id]) for dispute in disputes]


def open_one(dispute: Dispute, answers: list[Completion], said: Mapping[int, tuple[str, dict[int, int]]]) -> Opened:
    """One dispute with its answers in stored order."""
    one, other, votes = most_opposed([ranks for _, ranks in said.values()], [row.pk for row in answers])
    place = {row.pk: at for at, row in enumerate(answers)}
    return Opened(
        dispute=dispute,
        messages=dispute.comparison.task.prompt.messages,
        sides=[Side(LETTERS[place[pk]], answers[place[pk]], votes[sign]) for pk, sign in ((one, 1), (other, -1))],
        ties=votes[0],
        letters=[LETTERS[at] for at in range(len(answers))],
        places=[(name, [ranks.get(row.pk) for row in answers]) for name, ranks in said.values()],
    )


def most_opposed(rankings: Iterable[Ranks], completions: list[int]) -> tuple[int, int, dict[int, int]]:
    """The two completions on which the smaller camp is largest: (first, second, {1: for the first, −1: second, 0: ties})."""
    known = list(rankings)

    def votes(one: int, other: int) -> dict[int, int]:
        signs = [preference(ranks, one, other) for ranks in known if one in ranks and other in ranks]
        return {sign: signs.count(sign) for sign in (1, -1, 0)}

    def heat(pair: tuple[int, int]) -> tuple[int, int]:
        found = votes(*pair)
        return min(found[1], found[-1]), found[1] + found[-1]

    one, other = max(combinations(completions, 2), key=heat)
    return one, other, votes(one, other)
