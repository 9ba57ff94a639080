"""How long the open work will take at the pace of the last days."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min

from labeling.assignments import kinds, selectors
from labeling.assignments.models import HIDDEN_PRIORITY, Slot
from labeling.core.clock import db_now
from labeling.core.recent import recent
from labeling.projects.models import Project

DAYS = 7
KEPT_SECONDS = 60  # a week's pace hardly changes in a minute


@dataclass(frozen=True)
class Forecast:
    """One kind of work: judgements left, people at work in the last week, judgements a day, days left at that pace."""

    kind: kinds.Kind
    left: int
    people: int
    per_day: float

    @property
    def days(self) -> int | None:
        """Whole days until nothing is left; None while nobody works."""
        return math.ceil(self.left / self.per_day) if self.per_day else None


def forecasts(project: Project) -> list[Forecast]:
    """Kinds that have work left, at the pace of the last seven days, which may be KEPT_SECONDS old."""
    waiting = selectors.waiting(project)
    if not waiting.total():
        return []
    paces = recent(f"paces:{project.pk}", lambda: paces_of(project), seconds=KEPT_SECONDS)
    return [
        Forecast(kind, waiting[kind.name], *paces.get(kind.name, (0, 0.0)))
        for kind in kinds.every()
        if waiting[kind.name]
    ]


def paces_of(project: Project) -> dict[str, tuple[int, float]]:
    """(people, judgements a day) by kind in the last seven days, or in the days since the first submission in them."""
    now = db_now()
    since = now - timedelta(days=DAYS)
    done = Slot.objects.filter(project=project, priority__gt=HIDDEN_PRIORITY, submitted_at__gte=since).order_by()
    people: dict[str, list[tuple[int, datetime]]] = defaultdict(list)
    for name, _, number, first in done.values_list("kind", "labeler").annotate(n=Count("*"), first=Min("submitted_at")):
        people[name].append((number, first))
    paces = {}
    for name, found in people.items():
        days = max(1.0, (now - min(first for _, first in found)).total_seconds() / 86_400)
        paces[name] = (len(found), sum(number for number, _ in found) / days)
    return paces
