"""The quality page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from labeling.checkpoints.models import Checkpoint
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.quality import selectors


@require_safe
@member(Role.ADMIN, Role.REVIEWER, Role.ENGINEER)
def quality(request: ProjectRequest, slug: str) -> HttpResponse:
    """Agreement, ties, time and skips: by round, by labeler, and between each two labelers."""
    project = request.project
    rows = selectors.judgements(project)
    context = {
        "overall": selectors.agreement_of(rows),
        "rounds": selectors.by_round(project, rows),
        "labelers": selectors.by_labeler(project, rows),
        "pairs": selectors.agreement_between(rows),
        "rewards": Checkpoint.objects.filter(project=project, kind=Checkpoint.Kind.REWARD)[:10],
        "rankings": len(rows),
    }
    return render(request, "quality/quality.html", context)
