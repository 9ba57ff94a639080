"""The list of projects, creating one, its settings."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from labeling.core.errors import BadInput, Conflict
from labeling.people.models import Role
from labeling.people.requests import SignedInRequest
from labeling.projects import selectors, services
from labeling.projects.access import ProjectRequest, member
from labeling.projects.forms import ProjectForm

page = require_http_methods(["GET", "HEAD", "POST"])


@login_required
@require_safe
def projects(request: SignedInRequest) -> HttpResponse:
    """Every project of this person; the page for people without one too."""
    return render(
        request, "projects/projects.html", {"my_projects": selectors.places_of(selectors.memberships_of(request.user))}
    )


@login_required
@page
def project_new(request: SignedInRequest) -> HttpResponse:
    """A platform admin makes a project and becomes its first admin."""
    if not request.user.is_staff:
        raise PermissionDenied
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = services.create_project(by=request.user, **form.cleaned_data)
        except BadInput as problem:
            form.add_error(problem.field or None, problem.detail)
        else:
            messages.success(
                request, _("The project is there. Next: write its guideline, import prompts, invite people.")
            )
            return redirect("guideline", project.slug)
    status = 400 if form.is_bound else 200
    return render(request, "projects/project_form.html", {"form": form}, status=status)


@member(Role.ADMIN)
@page
def project_settings(request: ProjectRequest, slug: str) -> HttpResponse:
    """Settings of the project."""
    form = ProjectForm(request.POST or None, instance=selectors.fresh(request.project))
    if request.method == "POST" and form.is_valid():
        try:
            services.update_project(project=request.project, by=request.user, **form.cleaned_data)
        except (BadInput, Conflict) as problem:
            form.add_error(problem.field or None, problem.detail)
        else:
            messages.success(request, _("Saved."))
            return redirect("project-settings", slug)
    status = 400 if form.is_bound else 200
    return render(request, "projects/project_form.html", {"form": form}, status=status)


@member(Role.ADMIN)
@page
def project_pause(request: ProjectRequest, slug: str) -> HttpResponse:
    """Stop or go on handing out work."""
    project = request.project
    if request.method == "POST":
        services.set_paused(project=project, paused=not project.is_paused, by=request.user)
        messages.success(
            request, _("Work is handed out again.") if project.is_paused else _("No more work is handed out.")
        )
        return redirect("project-settings", slug)
    working = selectors.members(project, role=Role.CONTRACTOR, state="active").count()
    told = (
        ngettext(
            "%(n)d active contractor can claim work again.", "%(n)d active contractors can claim work again.", working
        )
        if project.is_paused
        else ngettext(
            "%(n)d active contractor will get no new work.", "%(n)d active contractors will get no new work.", working
        )
    )
    facts = [told % {"n": working}, _("Work that somebody has begun can still be handed in. Runs go on.")]
    context = {
        "title": _("Hand out work again?") if project.is_paused else _("Pause the project?"),
        "facts": facts,
        "action": _("Hand out work") if project.is_paused else _("Pause it"),
        "back": "../",
    }
    return render(request, "components/confirm.html", context)
