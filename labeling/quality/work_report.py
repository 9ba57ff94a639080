"""What people did in a stretch of time, for their pay: judgements, active time, what reviewers said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Count, DateTimeField, F, Func, IntegerField, QuerySet, Sum, Value

from labeling.assignments.models import Slot
from labeling.comparisons.models import Ranking
from labeling.core.recent import recent
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Membership, Project
from labeling.projects.pay import Pay, Rates, rates_of, today
from labeling.quality.models import Review
from labeling.quality.review_selectors import NEWEST

KEPT_SECONDS = 60  # the list of people shows hours with one decimal


@dataclass
class Work:
    """One person's work: `kinds` counts judgements; reviews count the newest revision of each; `seconds` is active time by
    the first day of each stretch of days in which no rate changes."""

    membership: Membership
    kinds: Counter[str] = field(default_factory=Counter)
    seconds: Counter[date] = field(default_factory=Counter)
    reviews: Counter[str] = field(default_factory=Counter)
    late: int = 0
    pay: Pay | None = None

    @property
    def active_seconds(self) -> int:
        """Active time."""
        return self.seconds.total()

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


def seconds_this_month(project: Project) -> dict[int, int]:
    """Active time since the first of this month (UTC), by user; nobody without any. At most KEPT_SECONDS old."""
    begin, end = period(today().replace(day=1), None)

    def counted() -> dict[int, int]:
        slots = Slot.objects.filter(project=project, state=Slot.State.SUBMITTED)
        parts = [slots.filter(submitted_at__gte=begin, submitted_at__lt=end), *late_rows(project, (begin, end))]
        sums = [rows.order_by().values_list("labeler").annotate(seconds=Sum("active_seconds")) for rows in parts]
        found: Counter[int] = Counter()
        for labeler, seconds in sums[0].union(*sums[1:], all=True):
            found[labeler] += seconds
        return dict(found)

    return recent(f"seconds:{project.pk}:{begin:%Y-%m}", counted, seconds=KEPT_SECONDS)


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
    rates = rates_of(project, membership)
    starts = stretches(rates.values(), span)
    by_kind = slots.annotate(stretch=stretch_of("submitted_at", starts)).values_list("labeler", "kind", "stretch")
    for labeler, kind, stretch, number, seconds in by_kind.annotate(n=Count("*"), seconds=Sum("active_seconds")):
        if labeler in found:
            found[labeler].kinds[kind] += number
            found[labeler].seconds[starts[stretch]] += seconds
    for labeler, state, number in review_counts(project, span):
        if labeler in found:
            found[labeler].reviews[state] += number
    for labeler, stretch, number, seconds in late_work(project, span, starts):
        if labeler in found:
            found[labeler].late += number
            found[labeler].seconds[starts[stretch]] += seconds
    for work in found.values():
        if place_rates := rates.get(work.membership.pk):
            work.pay = place_rates.paid(work.seconds, until=min(until or today(), today()))
    return [work for work in found.values() if membership is not None or work.submitted or work.late]


def stretches(rates: Iterable[Rates], span: tuple[datetime, datetime]) -> list[date]:
    """The first days (UTC) of the stretches of the span in which nobody's rate changes; the first begins with the span."""
    begin, end = span[0].date(), span[1].date()
    return [begin, *sorted({since for one in rates for since, _rate in one.steps if begin < since < end})]


def stretch_of(moment: str, starts: list[date]) -> Func:
    """Which stretch a moment lies in, by its place in `starts`."""
    changes = [datetime.combine(day, time.min, tzinfo=UTC) for day in starts[1:]]
    thresholds = Value(changes, output_field=ArrayField(DateTimeField()))
    return Func(F(moment), thresholds, function="width_bucket", output_field=IntegerField())


def review_counts(project: Project, span: tuple[datetime, datetime]) -> list[tuple[int, str, int]]:
    """(author, state, number) of the newest revisions of work first submitted in the span."""
    rows = Review.objects.filter(NEWEST, project=project, submitted_at__gte=span[0], submitted_at__lt=span[1])
    return list(rows.order_by().values_list("author", "state").annotate(n=Count("*")))


def late_rows(project: Project, span: tuple[datetime, datetime]) -> list[QuerySet[Any]]:
    """The rankings, and the demonstrations, that came in the span after their slot was gone; no revisions."""
    rows = [model.objects.filter(project=project, late=True, supersedes=None) for model in (Ranking, Demonstration)]
    return [part.filter(created_at__gte=span[0], created_at__lt=span[1]) for part in rows]


def late_work(project: Project, span: tuple[datetime, datetime], starts: list[date]) -> list[tuple[int, int, int, int]]:
    """(labeler, stretch, number, active seconds) of work that came after its slot was gone: it is paid, too."""
    found = []
    for rows in late_rows(project, span):
        by_stretch = (
            rows.order_by().annotate(stretch=stretch_of("created_at", starts)).values_list("labeler", "stretch")
        )
        found += list(by_stretch.annotate(n=Count("*"), seconds=Sum("active_seconds")))
    return found
