"""The quality page and the disputed comparisons."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.quality import disputes, page, selectors
from labeling.quality.forms import DisputeFilter

SHOWN = 3  # disputes on the quality page
PAGE = 10


@require_safe
@member(Role.ADMIN, Role.REVIEWER, Role.ENGINEER)
def quality(request: ProjectRequest, slug: str) -> HttpResponse:
    """Agreement, bias, controls and drift: how far the labels can be trusted, and who needs a person's attention."""
    project = request.project
    report = selectors.report(project)
    context: dict[str, Any] = {"report": report, "figures": report.figures}
    if report.figures and report.figures["labelers"]:
        rows = selectors.disputes(project=project).order_by("-disagreement", "-pk")[:SHOWN]
        context |= {**page.context(project, report.figures), "disputes": disputes.opened(project, rows)}
    return render(request, "quality/quality.html", context)


@require_safe
@member(Role.ADMIN, Role.REVIEWER, Role.ENGINEER)
def disputed(request: ProjectRequest, slug: str) -> HttpResponse:
    """The comparisons people differ on, the most disputed first."""
    form = DisputeFilter(request.GET, project=request.project)
    rows = selectors.disputes(project=request.project, **form.narrowing())
    found = paginate(request, rows, size=PAGE, by="disagreement")
    context = {
        "form": form,
        "page": found,
        "disputes": disputes.opened(request.project, found),
        "filtered": form.has_changed(),
    }
    return render(request, "quality/disputes.html", context)
