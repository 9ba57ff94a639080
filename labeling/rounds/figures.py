"""The counts of the overview. All rows of a project are behind them, so they are counted once for all who look, every few seconds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncDate

from labeling.assignments import selectors as assignments
from labeling.comparisons.models import Comparison, Ranking
from labeling.core.clock import db_now
from labeling.core.recent import recent as recently
from labeling.demonstrations.models import Demonstration
from labeling.people.models import Role
from labeling.projects.models import Membership, Project
from labeling.prompts import selectors as prompts
from labeling.rounds.gates import Gate, gates_of, rankings_of
from labeling.rounds.models import Round

KEPT_SECONDS = 5
WEEK = 7


@dataclass(frozen=True)
class Figures:
    """What was there at one moment. `days` are the last seven (UTC), today last: (day, rankings, demonstrations) first sent on it."""

    gates: list[Gate]
    prompts: dict[str, int]
    demonstrations: int
    rankings: int
    rankings_in_round: int
    waiting: Counter[str]
    labelers: int
    days: list[tuple[date, int, int]]


def recent(project: Project, loop_round: Round | None) -> Figures:
    """The counts, at most KEPT_SECONDS old; a round that has gone on is counted anew."""
    stage = f"{loop_round.pk}:{loop_round.state}" if loop_round else "none"
    return recently(f"overview:{project.pk}:{stage}", lambda: count(project, loop_round), seconds=KEPT_SECONDS)


def recent_rankings(loop_round: Round) -> int:
    """Training rankings of the round, at most KEPT_SECONDS old."""
    rows = rankings_of(loop_round, Comparison.Purpose.TRAINING)
    return recently(f"rankings:{loop_round.pk}:{loop_round.state}", rows.count, seconds=KEPT_SECONDS)


def count(project: Project, loop_round: Round | None) -> Figures:
    """The counts of this moment."""
    gates = gates_of(loop_round) if loop_round else []
    return Figures(
        gates=gates,
        prompts=prompts.counts(project),
        demonstrations=Demonstration.objects.filter(project=project, supersedes=None).count(),
        rankings=Ranking.objects.filter(project=project, supersedes=None, late=False).count(),
        rankings_in_round=in_round(loop_round, gates),
        waiting=assignments.waiting(project),
        labelers=Membership.objects.filter(
            project=project, role=Role.CONTRACTOR, state=Membership.State.ACTIVE
        ).count(),
        days=week(project),
    )


def in_round(loop_round: Round | None, gates: list[Gate]) -> int:
    """Training rankings of the round; its first gate has counted them while they are collected."""
    if loop_round is None:
        return 0
    if loop_round.state == Round.State.COMPARISONS:
        return gates[0].count
    return rankings_of(loop_round, Comparison.Purpose.TRAINING).count()


def week(project: Project) -> list[tuple[date, int, int]]:
    """(day, rankings, demonstrations) of the last seven days."""
    today = db_now().date()
    days = [today - timedelta(days=back) for back in range(WEEK - 1, -1, -1)]
    rankings, demonstrations = per_day(Ranking, project, days[0]), per_day(Demonstration, project, days[0])
    return [(day, rankings.get(day, 0), demonstrations.get(day, 0)) for day in days]


def per_day(model: Any, project: Project, since: date) -> dict[date, int]:
    """How many pieces of work were first sent on each day (UTC)."""
    begin = datetime.combine(since, time.min, tzinfo=UTC)
    rows = model.objects.filter(project=project, supersedes=None, created_at__gte=begin)
    return dict(rows.annotate(day=TruncDate("created_at")).order_by().values_list("day").annotate(n=Count("*")))
