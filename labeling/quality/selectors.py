"""What labelers did, read for the quality page: the newest judgements of a project as plain rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from labeling.assignments.models import Skip
from labeling.comparisons.models import RankedItem, Ranking
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Project
from labeling.quality.agreement import among, tie_share
from labeling.quality.intervals import Estimate, bootstrap

NEWEST = 5000  # rankings looked at: enough for every interval, little enough for a page


@dataclass(frozen=True)
class Judgement:
    """One current ranking: who gave which places in which comparison."""

    comparison_id: int
    round_number: int | None
    labeler_id: int
    labeler: str
    active_seconds: int
    ranks: dict[int, int]


@dataclass
class Tally:
    """Work of one round or one labeler, as it is counted up."""

    name: str
    rankings: int = 0
    demonstrations: int = 0
    skips: int = 0
    ties: int = 0
    pairs: int = 0
    seconds: list[int] = field(default_factory=list)
    agreement: Estimate | None = None

    @property
    def skip_rate(self) -> float | None:
        """Skips among everything that was handed out and finished."""
        seen = self.skips + self.rankings + self.demonstrations
        return self.skips / seen if seen else None

    @property
    def tie_rate(self) -> float | None:
        """Pairs put on one place."""
        return self.ties / self.pairs if self.pairs else None

    @property
    def skip_percent(self) -> float:
        """For the page."""
        return 100 * (self.skip_rate or 0.0)

    @property
    def tie_percent(self) -> float:
        """For the page."""
        return 100 * (self.tie_rate or 0.0)

    @property
    def median_seconds(self) -> float | None:
        """The middle active time of one judgement."""
        if not self.seconds:
            return None
        ordered, middle = sorted(self.seconds), len(self.seconds) // 2
        return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def judgements(project: Project, *, round_number: int | None = None, limit: int = NEWEST) -> list[Judgement]:
    """The newest current rankings of `project`, of one round where `round_number` is given."""
    rows = Ranking.objects.filter(project=project, superseded_by=None, late=False)
    if round_number is not None:
        rows = rows.filter(comparison__task__round_number=round_number)
    found = list(
        rows.order_by("-id").values_list(
            "id",
            "comparison_id",
            "comparison__task__round_number",
            "labeler_id",
            "labeler__name",
            "labeler__email",
            "active_seconds",
        )[:limit]
    )
    ranks: dict[int, dict[int, int]] = defaultdict(dict)
    places = RankedItem.objects.filter(ranking_id__in=[row[0] for row in found])
    for ranking, completion, rank in places.values_list("ranking_id", "completion_id", "rank"):
        ranks[ranking][completion] = rank
    return [
        Judgement(comparison, number, labeler, name or email, seconds, ranks[pk])
        for pk, comparison, number, labeler, name, email, seconds in found
    ]


def agreement_of(rows: Iterable[Judgement]) -> Estimate | None:
    """Labeler–labeler agreement over all comparisons that two or more people ranked; resampled by comparison."""
    return bootstrap(
        [
            (sum(agreed for agreed, _ in found.values()), sum(pairs for _, pairs in found.values()))
            for found in (among(ranks) for ranks in _by_comparison(rows).values())
        ]
    )


def agreement_between(rows: Iterable[Judgement]) -> list[dict[str, Any]]:
    """One row for each two labelers who share comparisons: names, agreement; most pairs first."""
    rows = list(rows)
    names = {row.labeler_id: row.labeler for row in rows}
    groups: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
    for ranks in _by_comparison(rows).values():
        for both, found in among(ranks).items():
            groups[both].append(found)
    table = [
        {"one": names[one], "other": names[other], "agreement": bootstrap(found, resamples=500)}
        for (one, other), found in groups.items()
    ]
    return sorted(table, key=lambda row: (-row["agreement"].cases, row["one"], row["other"]))


def by_round(project: Project, rows: list[Judgement]) -> list[tuple[int | None, Tally]]:
    """(round, tally), the newest round first; None is work made outside a round."""
    tallies: dict[int | None, Tally] = {}

    def tally(number: int | None) -> Tally:
        return tallies.setdefault(number, Tally(f"Round {number}" if number is not None else "Outside a round"))

    groups: dict[int | None, list[Judgement]] = defaultdict(list)
    for row in rows:
        groups[row.round_number].append(row)
        _count(tally(row.round_number), row)
    for number, same in groups.items():
        tally(number).agreement = agreement_of(same)
    for number, seconds in _demonstrations(project).values_list("task__round_number", "active_seconds"):
        tally(number).demonstrations += 1
        tally(number).seconds.append(seconds)
    for number, skips in Counter(_skips(project).values_list("task__round_number", flat=True)).items():
        tally(number).skips = skips
    return sorted(tallies.items(), key=lambda item: -1 if item[0] is None else item[0], reverse=True)


def by_labeler(project: Project, rows: list[Judgement]) -> list[Tally]:
    """One tally per labeler, by name, with the agreement between them and everybody else."""
    tallies: dict[int, Tally] = {}
    for row in rows:
        _count(tallies.setdefault(row.labeler_id, Tally(row.labeler)), row)
    work = _demonstrations(project).values_list("labeler_id", "labeler__name", "labeler__email", "active_seconds")
    for labeler, name, email, seconds in work:
        tally = tallies.setdefault(labeler, Tally(name or email))
        tally.demonstrations += 1
        tally.seconds.append(seconds)
    for labeler, skips in Counter(_skips(project).values_list("labeler_id", flat=True)).items():
        if labeler in tallies:
            tallies[labeler].skips = skips
    groups: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for ranks in _by_comparison(rows).values():
        found = among(ranks)
        for labeler in ranks:
            mine = [value for both, value in found.items() if labeler in both]
            groups[labeler].append((sum(agreed for agreed, _ in mine), sum(pairs for _, pairs in mine)))
    for labeler, tally in tallies.items():
        tally.agreement = bootstrap(groups[labeler], resamples=500)
    return sorted(tallies.values(), key=lambda tally: tally.name)


def _by_comparison(rows: Iterable[Judgement]) -> dict[int, dict[int, dict[int, int]]]:
    """{comparison: {labeler: ranks}}."""
    found: dict[int, dict[int, dict[int, int]]] = defaultdict(dict)
    for row in rows:
        found[row.comparison_id][row.labeler_id] = row.ranks
    return found


def _count(tally: Tally, row: Judgement) -> None:
    ties, pairs = tie_share(row.ranks)
    tally.rankings += 1
    tally.ties += ties
    tally.pairs += pairs
    tally.seconds.append(row.active_seconds)


def _demonstrations(project: Project) -> Any:
    rows = Demonstration.objects.filter(project=project, superseded_by=None, late=False).order_by("-id")
    return rows.filter(pk__in=rows.values("pk")[:NEWEST])


def _skips(project: Project) -> Any:
    return Skip.objects.filter(task__project=project).order_by("-id")
