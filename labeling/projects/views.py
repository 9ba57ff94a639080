"""The list of projects, creating one, its settings."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from labeling.projects import selectors


@login_required
@require_safe
def projects(request: HttpRequest) -> HttpResponse:
    """Every project of this person; the page for people without one too."""
    return render(request, "projects/projects.html", {"places": selectors.memberships_of(request.user)})
