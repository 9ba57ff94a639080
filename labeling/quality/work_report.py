"""What people did in a stretch of time, for their pay: judgements, active time, what reviewers said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from labeling.assignments.models import Slot
from labeling.comparisons.models import Ranking
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Membership, Project
from labeling.projects.pay import Pay, rates_of, today
from labeling.quality.models import Review
from labeling.quality.review_selectors import NEWEST


@dataclass
class Work:
    """One person's work: `kinds` counts judgements; reviews count the newest revision of each; `by_day` is active seconds."""

    membership: Membership
    kinds: Counter[str] = field(default_factory=Counter)
    by_day: Counter[date] = field(default_factory=Counter)
    reviews: Counter[str] = field(default_factory=Counter)
    late: int = 0
    pay: Pay | None = None

    @property
    def active_seconds(self) -> int:
        """Active time."""
        return self.by_day.total()

    @property
    def submitted(self) -> int:
        """Judgements that came in time."""
        return self.kinds.total()

    @property
    def hours(self) -> float:
        """Active time in hours."""
        return self.active_seconds / 3600

    @property
    def accepted(self) -> int:
        """What a reviewer accepted."""
        return self.reviews[Review.State.ACCEPTED]

    @property
    def returned(self) -> int:
        """What a reviewer returned and its author has not changed yet."""
        return self.reviews[Review.State.RETURNED]

    @property
    def waiting(self) -> int:
        """What waits for a reviewer."""
        return self.reviews[Review.State.WAITING]


def period(since: date | None, until: date | None) -> tuple[datetime, datetime]:
    """[begin, end) in UTC: whole days, the last one included; without bounds from the first day to tomorrow."""
    today = datetime.now(UTC).date()
    begin = datetime.combine(since or date(2000, 1, 1), time.min, tzinfo=UTC)
    return begin, datetime.combine((until or today) + timedelta(days=1), time.min, tzinfo=UTC)


def work_of(
    project: Project, *, since: date | None = None, until: date | None = None, membership: Membership | None = None
) -> list[Work]:
    """Everybody who labels here, or one of them, by name."""
    span = period(since, until)
    places = Membership.objects.filter(project=project).select_related("user")
    if membership is not None:
        places = places.filter(pk=membership.pk)
    found = {place.user_id: Work(place) for place in places.order_by("user__name", "user__email")}
    slots = Slot.objects.filter(project=project, state=Slot.State.SUBMITTED)
    slots = slots.filter(submitted_at__gte=span[0], submitted_at__lt=span[1]).order_by()
    if membership is not None:
        slots = slots.filter(labeler=membership.user_id)
    by_day = slots.annotate(day=TruncDate("submitted_at", tzinfo=UTC)).values_list("labeler", "kind", "day")
    for labeler, kind, day, number, seconds in by_day.annotate(n=Count("*"), seconds=Sum("active_seconds")):
        if labeler in found:
            found[labeler].kinds[kind] += number
            found[labeler].by_day[day] += seconds
    for labeler, state, number in review_counts(project, span):
        if labeler in found:
            found[labeler].reviews[state] += number
    for labeler, day, number, seconds in late_work(project, span):
        if labeler in found:
            found[labeler].late += number
            found[labeler].by_day[day] += seconds
    rates = rates_of(project, membership)
    for work in found.values():
        if place_rates := rates.get(work.membership.pk):
            work.pay = place_rates.paid(work.by_day, until=min(until or today(), today()))
    return [work for work in found.values() if membership is not None or work.submitted or work.late]


def review_counts(project: Project, span: tuple[datetime, datetime]) -> list[tuple[int, str, int]]:
    """(author, state, number) of the newest revisions of work first submitted in the span."""
    rows = Review.objects.filter(NEWEST, project=project, submitted_at__gte=span[0], submitted_at__lt=span[1])
    return list(rows.order_by().values_list("author", "state").annotate(n=Count("*")))


def late_work(project: Project, span: tuple[datetime, datetime]) -> list[tuple[int, date, int, int]]:
    """(labeler, day, number, active seconds) of work that came after its slot was gone: it is paid, too."""
    found = []
    for model in (Ranking, Demonstration):
        rows = model.objects.filter(project=project, late=True, supersedes=None)
        rows = rows.filter(created_at__gte=span[0], created_at__lt=span[1]).order_by()
        by_day = rows.annotate(day=TruncDate("created_at", tzinfo=UTC)).values_list("labeler", "day")
        found += list(by_day.annotate(n=Count("*"), seconds=Sum("active_seconds")))
    return found
