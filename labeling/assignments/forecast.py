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
from labeling.projects.models import Project

DAYS = 7


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
    """Kinds that have work left. The pace is that of the last seven days, or of the days since the first submission in them."""
    now = db_now()
    since = now - timedelta(days=DAYS)
    done = Slot.objects.filter(project=project, priority__gt=HIDDEN_PRIORITY, submitted_at__gte=since).order_by()
    paces: dict[str, list[tuple[int, datetime]]] = defaultdict(list)  # a person each
    for name, _, number, first in done.values_list("kind", "labeler").annotate(n=Count("*"), first=Min("submitted_at")):
        paces[name].append((number, first))
    waiting = selectors.waiting(project)
    told = []
    for kind in kinds.every():
        people = paces[kind.name]
        begin = min((first for _, first in people), default=now)
        days = max(1.0, (now - begin).total_seconds() / 86_400)
        if waiting[kind.name]:
            told.append(Forecast(kind, waiting[kind.name], len(people), sum(number for number, _ in people) / days))
    return told
