"""How long the open work will take at the pace of the last days."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Min

from labeling.assignments import kinds
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
    slots = Slot.objects.filter(project=project, priority__gt=HIDDEN_PRIORITY).order_by()
    done = slots.filter(submitted_at__gte=since).values_list("kind")
    found = {
        kind: (number, people, first)
        for kind, number, people, first in done.annotate(
            n=Count("*"), people=Count("labeler", distinct=True), first=Min("submitted_at")
        )
    }
    waiting: Counter[str] = Counter()
    for state in (Slot.State.OPEN, Slot.State.LEASED):  # each reads its own partial index
        waiting.update(dict(slots.filter(state=state).values_list("kind").annotate(n=Count("*"))))
    told = []
    for kind in kinds.every():
        left = waiting[kind.name]
        number, people, first = found.get(kind.name, (0, 0, now))
        days = max(1.0, (now - first).total_seconds() / 86_400)
        if left:
            told.append(Forecast(kind, left, people, number / days))
    return told
