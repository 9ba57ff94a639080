"""What one labeler may know of their own work: what they submitted, what became of it, how long it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.assignments.models import Slot
from labeling.assignments.start import WeekOfAgreement
from labeling.comparisons.models import Ranking
from labeling.core.clock import db_now
from labeling.core.errors import NotFound
from labeling.demonstrations.models import Demonstration
from labeling.people.models import User
from labeling.projects.models import Membership, Project
from labeling.projects.pay import Pay, Rates, rates_of
from labeling.quality import selectors
from labeling.quality.models import Review

WEEKS = 12
COLUMNS = ("submitted_at", "kind", "task", "guideline_version", "active_seconds", "review")
HOUR_COLUMNS = ("day", "active_seconds", "active_hours", "pieces", "currency", "pay_rate", "amount")


@dataclass(frozen=True)
class Day:
    """One day's active time and pieces of work, with what it earned where a rate is set."""

    day: date
    seconds: int
    pieces: int
    pay: Pay | None = None


@dataclass(frozen=True)
class Week:
    """Seven days from a Monday; only days with work are listed, the newest first."""

    monday: date
    days: list[Day]
    pay: Pay | None = None

    @property
    def seconds(self) -> int:
        """Active time of the week."""
        return sum(day.seconds for day in self.days)

    @property
    def pieces(self) -> int:
        """Pieces of work of the week."""
        return sum(day.pieces for day in self.days)


@dataclass(frozen=True)
class Month:
    """One calendar month's active time, as the pay report counts it, with what it earned where a rate is set."""

    first: date
    seconds: int
    pay: Pay | None


def review_state(link: str) -> Subquery:
    """The state of the review of a slot's newest revision, through `ranking` or `demonstration`."""
    newest = Review.objects.filter(**{f"{link}__slot": OuterRef("pk"), f"{link}__superseded_by": None})
    return Subquery(newest.order_by("-pk").values("state")[:1])


def own_work(
    *, project: Project, labeler: User, kind: str = "", review: str = "", since: date | None = None, until: date | None = None
) -> QuerySet[Slot]:  # fmt: skip
    """Submitted slots of this person with `review`: the review's state, or "" where nobody asked for one. Filters narrow."""
    mine = Slot.objects.filter(project=project, labeler=labeler, state=Slot.State.SUBMITTED)
    rows: QuerySet[Any] = mine.select_related("task__prompt", "guideline").annotate(
        review=Coalesce(review_state("ranking"), review_state("demonstration"), Value(""))
    )
    if kind:
        rows = rows.filter(kind=kind)
    if review:
        rows = rows.filter(review="" if review == "none" else review)
    if since:
        rows = rows.filter(submitted_at__date__gte=since)
    if until:
        rows = rows.filter(submitted_at__date__lte=until)
    return rows.order_by("-submitted_at", "-pk")


def accepted_work(*, project: Project, labeler: User) -> QuerySet[Slot]:
    """What counts as accepted: by a reviewer where the project reviews everything, else whatever was not returned."""
    rows: QuerySet[Any] = own_work(project=project, labeler=labeler)
    if project.requires_review:
        return rows.filter(review=Review.State.ACCEPTED)
    return rows.exclude(review=Review.State.RETURNED)


def own_piece(*, project: Project, labeler: User, public_id: UUID) -> tuple[Slot, Ranking | Demonstration]:
    """One submitted slot of this person with its newest revision; NotFound for anybody else's."""
    slot = own_work(project=project, labeler=labeler).filter(public_id=public_id).first()
    if slot is None:
        raise NotFound(_("There is no such work of yours here."))
    newest: dict[str, Any] = {"slot": slot, "superseded_by": None, "late": False}
    work = Ranking.objects.filter(**newest).first() or Demonstration.objects.filter(**newest).first()
    if work is None:
        raise NotFound(_("There is no such work of yours here."))
    return slot, work


def own_revision(*, slot: Slot, labeler: User) -> Ranking | Demonstration | None:
    """What this person last submitted for the slot, also where a reviewer's revision stands in its place."""
    mine: dict[str, Any] = {"slot": slot, "labeler": labeler, "late": False}
    return Ranking.objects.filter(**mine).last() or Demonstration.objects.filter(**mine).last()


def decision(work: Ranking | Demonstration) -> Review | None:
    """The review of one revision; None where there is none."""
    link = "ranking" if isinstance(work, Ranking) else "demonstration"
    return Review.objects.filter(**{link: work}).first()


def days(*, project: Project, labeler: User, since: date | None = None) -> list[Day]:
    """Active time by day, the newest first: submitted slots, and work that came late."""
    start = timezone.make_aware(datetime.combine(since, time.min)) if since else None
    slots = Slot.objects.filter(project=project, labeler=labeler, state=Slot.State.SUBMITTED)
    sources: list[tuple[QuerySet[Any], str]] = [(slots, "submitted_at")]
    for model in (Ranking, Demonstration):
        sources.append((model._default_manager.filter(project=project, labeler=labeler, late=True), "created_at"))
    found: dict[date, tuple[int, int]] = {}
    for rows, moment in sources:
        if start is not None:
            rows = rows.filter(**{f"{moment}__gte": start})
        by_day = rows.order_by().annotate(day=TruncDate(moment)).values_list("day")
        for day, seconds, pieces in by_day.annotate(s=Sum("active_seconds"), n=Count("pk")):
            before = found.get(day, (0, 0))
            found[day] = (before[0] + seconds, before[1] + pieces)
    rates = own_rates(project, labeler)
    return [Day(day, *found[day], earned(rates, {day: found[day][0]})) for day in sorted(found, reverse=True)]


def own_rates(project: Project, labeler: User) -> Rates | None:
    """What an hour pays this person; None where nobody set it."""
    place = Membership.objects.filter(project=project, user=labeler).first()
    return rates_of(project, place).get(place.pk) if place else None


def earned(rates: Rates | None, seconds: Mapping[date, int]) -> Pay | None:
    """What active seconds by day earn; None without a rate."""
    return rates.paid(seconds) if rates else None


def months(*, project: Project, labeler: User) -> list[Month]:
    """This calendar month and the one before."""
    this = timezone.localtime(db_now()).date().replace(day=1)
    before = (this - timedelta(days=1)).replace(day=1)
    rates, found = own_rates(project, labeler), days(project=project, labeler=labeler, since=before)
    told = []
    for first in (this, before):
        seconds = {day.day: day.seconds for day in found if day.day.replace(day=1) == first}
        told.append(Month(first, sum(seconds.values()), earned(rates, seconds or {first: 0})))
    return told


def agreement_by_week(project: Project, labeler: User) -> list[WeekOfAgreement]:
    """This person's agreement with all others, the oldest week first, as of the last sweep."""
    rows = selectors.own_agreement(user=labeler, project=project)
    return [WeekOfAgreement(row.week, row.agreement, row.low, row.high, row.pairs) for row in rows]


def monday_of(day: date) -> date:
    """The Monday of the week in which a day lies."""
    return day - timedelta(days=day.weekday())


def weeks(*, project: Project, labeler: User, number: int = WEEKS) -> list[Week]:
    """The last weeks with work, the newest first."""
    since = monday_of(timezone.localtime(db_now()).date()) - timedelta(weeks=number - 1)
    found: dict[date, list[Day]] = {}
    for day in days(project=project, labeler=labeler, since=since):
        found.setdefault(monday_of(day.day), []).append(day)
    rates = own_rates(project, labeler)
    return [
        Week(monday, found[monday], earned(rates, {day.day: day.seconds for day in found[monday]}))
        for monday in sorted(found, reverse=True)
    ]


def work_rows(*, project: Project, labeler: User) -> Iterator[tuple[Any, ...]]:
    """COLUMNS, then one row for each accepted piece, the newest first. Holds no text of prompts or answers."""
    yield COLUMNS
    for slot in accepted_work(project=project, labeler=labeler).iterator(chunk_size=1000):
        submitted = slot.submitted_at.isoformat(timespec="seconds") if slot.submitted_at else ""
        version = slot.guideline.version if slot.guideline else ""
        yield submitted, slot.kind, slot.task.public_id, version, slot.active_seconds, slot.review or "none"  # type: ignore[attr-defined]


def hour_rows(*, project: Project, labeler: User) -> Iterator[tuple[Any, ...]]:
    """HOUR_COLUMNS, then one row for each day with work."""
    yield HOUR_COLUMNS
    for day in days(project=project, labeler=labeler):
        pay = (day.pay.currency, day.pay.rate, day.pay.amount) if day.pay else ("", "", "")
        yield day.day.isoformat(), day.seconds, f"{day.seconds / 3600:.2f}", day.pieces, *pay
