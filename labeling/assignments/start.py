"""What the start page says besides the work itself: hours this week, when more work comes, one's own agreement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Max, Sum

from labeling.assignments.models import HIDDEN_PRIORITY, Slot
from labeling.assignments.selectors import start_of_today
from labeling.people.models import User
from labeling.projects.models import Project

TREND_WEEKS = 8


@dataclass(frozen=True)
class WeekOfAgreement:
    """How often one labeler agreed with the others in the week from `monday`: a share with its 95 % interval, over `pairs`."""

    monday: date
    share: float
    low: float
    high: float
    pairs: int

    @property
    def percent(self) -> float:
        """For the page."""
        return 100 * self.share


@dataclass(frozen=True)
class ComingBack:
    """Tasks that others hold now: how many, and when the last of them is free again at the latest."""

    tasks: int
    until: datetime | None


Trend = Callable[[Project, User], list[WeekOfAgreement]]
_TRENDS: list[Trend] = []


def register(trend: Trend) -> None:
    """Make a source of agreement known, the oldest week first; called once, when its app loads."""
    _TRENDS.append(trend)


def agreement_trend(project: Project, labeler: User) -> list[WeekOfAgreement]:
    """This person's agreement in the last weeks, the oldest first; nobody else is shown it here."""
    return [week for trend in _TRENDS for week in trend(project, labeler)][-TREND_WEEKS:]


def seconds_this_week(*, project: Project, labeler: User) -> int:
    """Active time of what this person submitted since Monday."""
    today = start_of_today()
    monday = today - timedelta(days=today.weekday())
    rows = Slot.objects.filter(project=project, labeler=labeler, state=Slot.State.SUBMITTED, submitted_at__gte=monday)
    return rows.aggregate(seconds=Sum("active_seconds"))["seconds"] or 0


def coming_back(*, project: Project, labeler: User) -> ComingBack:
    """What other people are working on and might not finish."""
    held = Slot.objects.filter(project=project, state=Slot.State.LEASED, priority__gt=HIDDEN_PRIORITY)
    found = held.exclude(labeler=labeler).aggregate(n=Count("pk"), until=Max("lease_expires_at"))
    return ComingBack(found["n"], found["until"])
