"""The audit log of a project: who did what, when, to what; and whether its chain holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from typing import Any

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from labeling.core.chain import chain_state
from labeling.core.filters import DayField, FilterForm
from labeling.core.models import Event
from labeling.core.pagination import chunks_of, paginate
from labeling.people.models import Role, User
from labeling.projects.access import ProjectRequest, member
from labeling.projects.exports import exported
from labeling.projects.saved_views import filters_of, saved_views

COLUMNS = ("id", "at", "actor", "verb", "object", "object id", "before", "after", "request", "hash")


class AuditFilter(FilterForm):
    """Filters of the log; they live in the address."""

    actor = forms.CharField(
        required=False, max_length=100, label=_("Who"), widget=forms.TextInput(attrs={"type": "search"})
    )
    verb = forms.CharField(required=False, max_length=60, label=_("Did what"))
    object_type = forms.CharField(required=False, max_length=60, label=_("To what"))
    object_id = forms.CharField(required=False, max_length=60, label=_("Its id"))
    since = DayField(label=_("From"))
    until = DayField(label=_("To"))


def events(request: ProjectRequest, wanted: dict[str, Any]) -> QuerySet[Event]:
    """The events of this project that match; platform admins also see sign-ins and account changes of its members."""
    mine = Q(project_id=request.project.pk)
    if request.user.is_staff and wanted.get("object_type") == "people.user":
        members = request.project.memberships.values("user_id")
        mine = Q(project_id=None, actor__in=members)
    rows = Event.objects.filter(mine).select_related("actor")
    if text := wanted.get("actor"):
        people = User.objects.filter(Q(name__icontains=text) | Q(email__icontains=text)).values_list("pk", flat=True)
        rows = rows.filter(actor__in=list(people[:200]))
    for name in ("verb", "object_type", "object_id"):
        if name in wanted:
            rows = rows.filter(**{name: wanted[name]})
    if since := wanted.get("since"):
        rows = rows.filter(at__gte=datetime.combine(since, time.min, tzinfo=UTC))
    if until := wanted.get("until"):
        rows = rows.filter(at__lt=datetime.combine(until + timedelta(days=1), time.min, tzinfo=UTC))
    return rows


@member(Role.ADMIN)
@require_safe
def audit_log(request: ProjectRequest, slug: str) -> HttpResponse:
    """The log, newest first, filtered and paged."""
    form = AuditFilter(request.GET or None)
    wanted = form.wanted()
    context = {
        "form": form,
        "filtered": bool(wanted),
        "filters": filters_of(request.GET.urlencode()),
        "saved": saved_views(request.project, request.user, "audit"),
        "page": paginate(request, events(request, wanted)),
        "chain": chain_state(),
    }
    return render(request, "projects/audit.html", context)


@member(Role.ADMIN)
@require_POST
def audit_export(request: ProjectRequest, slug: str) -> StreamingHttpResponse:
    """The filtered log as a CSV file, oldest first."""
    return exported(request, "audit log", lines(events(request, AuditFilter(request.GET).meant())))


def lines(rows: QuerySet[Event]) -> Iterator[tuple[object, ...]]:
    """The header, then one row an event."""
    yield COLUMNS
    for event in chain.from_iterable(chunks_of(rows)):
        said = (
            json.dumps(part, ensure_ascii=False, sort_keys=True) if part else "" for part in (event.before, event.after)
        )
        who = event.actor.email if event.actor else ""
        yield (event.pk, event.at.isoformat(), who, event.verb, event.object_type, event.object_id, *said, event.request_id, event.hash)  # fmt: skip
