"""What the quality page and others ask: stored figures, disputed comparisons, one person's own agreement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, QuerySet

from labeling.assignments.models import Skip, TaskBatch
from labeling.comparisons.models import Ranking
from labeling.people.models import User
from labeling.projects.models import Guideline, Membership, Project
from labeling.quality.intervals import Estimate, Ratio
from labeling.quality.measures import LABELERS
from labeling.quality.models import ControlItem, Dispute, RewardScore, Summary, WeeklyAgreement
from labeling.quality.reading import prompts_judged
from labeling.quality.summary import Walk

AT_ONCE = 200  # rankings of which a summary is computed while somebody waits


@dataclass(frozen=True)
class Report:
    """The figures, and how true they still are. `computed_at` None: just now, for the one who looks."""

    figures: dict[str, Any] | None
    computed_at: datetime | None = None
    rankings: int = 0  # that the project has now
    newer: int = 0  # of them, came in after the figures


def report(project: Project) -> Report:
    """The stored summary; of a small project without a true one, figures computed on the spot. None while the sweep is due."""
    stored = Summary.objects.filter(project=project).first()
    rankings = Ranking.objects.filter(project=project, late=False)
    if stored and stored.basis == basis(project):
        return Report(stored.figures, stored.computed_at, stored.figures["all"]["rankings"])
    count = rankings.count()
    if count <= AT_ONCE:
        return Report(walk(project).figures(skips(project)), rankings=count)
    if stored is None:
        return Report(None, rankings=count)
    newer = rankings.filter(pk__gt=stored.newest_ranking).count()
    return Report(stored.figures, stored.computed_at, count, newer)


def walk(project: Project) -> Walk:
    """All that people judged in a project, counted up."""
    found = Walk()
    for prompt in prompts_judged(project):
        found.take(prompt)
    return found


def basis(project: Project) -> str:
    """What the figures rest on, in a few words: they are true as long as this stays the same."""

    def seen(rows: QuerySet[Any]) -> str:
        found = rows.aggregate(n=Count("pk"), last=Max("pk"))
        return f"{found['n']}:{found['last'] or 0}"

    roles = Membership.objects.filter(project=project).order_by("role").values_list("role").annotate(n=Count("pk"))
    parts = [
        seen(Ranking.objects.filter(project=project)),
        seen(ControlItem.objects.filter(comparison__task__project=project)),
        seen(RewardScore.objects.filter(checkpoint__project=project)),
        seen(Skip.objects.filter(task__project=project)),
        ",".join(f"{role}{n}" for role, n in roles),
    ]
    return " ".join(parts)


def agreement(project: Project) -> Estimate | None:
    """Labeler–labeler agreement over everything, computed now; resamples prompts."""
    ratio: Ratio = walk(project).measures.parts["all",].agreement[LABELERS]
    return ratio.estimate()


def own_agreement(*, user: User, project: Project) -> list[WeeklyAgreement]:
    """One person's agreement with all others by week, the oldest first, as of the last sweep."""
    return list(WeeklyAgreement.objects.filter(project=project, labeler=user))


def disputes(
    *, project: Project, round_number: int | None = None, version: int | None = None, labeler: int | None = None,
    purpose: str = "", at_least: int = 2,
) -> QuerySet[Dispute]:  # fmt: skip
    """Comparisons people differ on; page them by `disagreement`. Each filter narrows: what a labeler ranked, under a version."""
    rows = Dispute.objects.filter(project=project, disagreement__gt=0, labelers__gte=at_least)
    if round_number is not None:
        rows = rows.filter(round_number=round_number)
    if purpose:
        rows = rows.filter(comparison__purpose=purpose)
    if version is not None or labeler is not None:
        ranked = Ranking.objects.filter(comparison=OuterRef("comparison"), late=False)
        ranked = ranked.filter(guideline__version=version) if version is not None else ranked
        ranked = ranked.filter(labeler=labeler) if labeler is not None else ranked
        rows = rows.filter(Exists(ranked))
    return rows.select_related("comparison__task__prompt")


def skips(project: Project) -> dict[int, int]:
    """{labeler: tasks they passed on}; of ranking tasks."""
    rows = Skip.objects.filter(task__project=project, task__kind="comparison").order_by()
    return dict(rows.values_list("labeler").annotate(n=Count("pk")))


def names(project: Project, ids: list[int]) -> dict[int, str]:
    """What people are called."""
    rows = User.objects.filter(pk__in=ids).values_list("pk", "name", "email")
    return {pk: name or email for pk, name, email in rows}


def dispute_choices(project: Project) -> tuple[list[int], list[int], list[tuple[int, str]]]:
    """What disputes can be filtered by: rounds and guideline versions, newest first; people who rank, by name."""
    rounds = TaskBatch.objects.filter(project=project, round_number__isnull=False).order_by("-round_number")
    versions = Guideline.objects.filter(project=project, version__gt=0).values_list("version", flat=True)
    people = Membership.objects.filter(project=project).select_related("user")
    named = sorted(((place.user_id, str(place.user)) for place in people), key=lambda row: row[1].lower())
    numbers = [number for number in rounds.values_list("round_number", flat=True).distinct() if number is not None]
    return numbers, list(versions), named
