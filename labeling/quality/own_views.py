"""A labeler's own record: list, one piece read-only, active hours, and both as CSV. Nobody else opens these pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from labeling.assignments import kinds
from labeling.comparisons.models import Ranking
from labeling.core.filters import DayField, FilterForm
from labeling.core.pagination import paginate
from labeling.core.spreadsheet import csv_file
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.quality import own_work, review_selectors
from labeling.quality.models import Review


class OwnFilter(FilterForm):
    """Filters of one's own work; they live in the address."""

    kind = forms.ChoiceField(required=False, label=_("Kind"))
    review = forms.ChoiceField(
        required=False,
        label=_("Review"),
        choices=[("", _("Any")), ("none", _("Not asked for")), *Review.State.choices],
    )
    since = DayField(label=_("From"))
    until = DayField(label=_("To"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen: Any = self.fields["kind"]
        chosen.choices = [("", _("Every kind")), *((kind.name, kind.action) for kind in kinds.every())]


@require_safe
@member(Role.CONTRACTOR, Role.REVIEWER)
def own_list(request: ProjectRequest, slug: str) -> HttpResponse:
    """What this person submitted, filtered and paged."""
    form = OwnFilter(request.GET or None)
    wanted = form.wanted()
    rows = own_work.own_work(project=request.project, labeler=request.user, **wanted)
    context = {
        "form": form,
        "filtered": bool(wanted),
        "page": paginate(request, rows, by="submitted_at"),
        "actions": {kind.name: kind.action for kind in kinds.every()},
        "states": dict(Review.State.choices),
    }
    return render(request, "quality/own_list.html", context)


@require_safe
@member(Role.CONTRACTOR, Role.REVIEWER)
def own_piece(request: ProjectRequest, slug: str, slot: UUID) -> HttpResponse:
    """One piece of one's own work, read-only."""
    found, work = own_work.own_piece(project=request.project, labeler=request.user, public_id=slot)
    by_reviewer = work.labeler_id != request.user.pk
    context = {
        "slot": found,
        "prompt": found.task.prompt if isinstance(work, Ranking) else work.prompt,
        "prompt_flags": review_selectors.prompt_flag_words(work),
        "work": work,
        "kind": kinds.named(found.kind),
        "responses": review_selectors.said_of(work) if isinstance(work, Ranking) else [],
        "review": own_work.decision(work),
        "mine": own_work.own_revision(slot=found, labeler=request.user) if by_reviewer else None,
        "by_reviewer": by_reviewer,
        "frozen": work.snapshots.exists(),  # type: ignore[union-attr]
    }
    return render(request, "quality/own_piece.html", context)


@require_safe
@member(Role.CONTRACTOR, Role.REVIEWER)
def own_hours(request: ProjectRequest, slug: str) -> HttpResponse:
    """Active time by day and week."""
    found = own_work.weeks(project=request.project, labeler=request.user)
    months = own_work.months(project=request.project, labeler=request.user)
    context = {"weeks": found, "number": own_work.WEEKS, "months": [month for month in months if month.pay]}
    return render(request, "quality/own_hours.html", context)


@require_safe
@member(Role.CONTRACTOR, Role.REVIEWER)
def own_work_csv(request: ProjectRequest, slug: str) -> StreamingHttpResponse:
    """Accepted work as CSV."""
    rows = own_work.work_rows(project=request.project, labeler=request.user)
    return csv_file(f"{slug}-accepted-work", rows)


@require_safe
@member(Role.CONTRACTOR, Role.REVIEWER)
def own_hours_csv(request: ProjectRequest, slug: str) -> StreamingHttpResponse:
    """Active time by day as CSV."""
    rows = own_work.hour_rows(project=request.project, labeler=request.user)
    return csv_file(f"{slug}-active-hours", rows)
