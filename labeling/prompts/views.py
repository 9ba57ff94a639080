"""Pages of one prompt: look, withdraw, restore."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.prompts import hygiene, services
from labeling.prompts.findings import REPORTED, name_of
from labeling.prompts.models import Prompt

page = require_http_methods(["GET", "HEAD", "POST"])


@member(Role.ENGINEER)
@require_safe
def prompt(request: ProjectRequest, slug: str, public_id: str) -> HttpResponse:
    """One prompt: its turns, where it came from, what the import noticed."""
    found = one(request, public_id)
    context = {
        "prompt": found,
        "personal_data": noticed_in(found),
        "tasks": found.tasks.count(),
        "may_change": request.membership.role == Role.ADMIN,
    }
    return render(request, "prompts/prompt.html", context)


@member(Role.ADMIN)
@page
def prompt_withdraw(request: ProjectRequest, slug: str, public_id: str) -> HttpResponse:
    """Ask, then take a prompt out."""
    found = one(request, public_id)
    if request.method == "POST":
        services.withdraw_prompt(prompt=found, by=request.user)
        messages.success(request, _("The prompt is withdrawn."))
        return redirect("prompt", slug, public_id)
    count = found.tasks.count()
    has = ngettext(
        "It has %(n)d task: that one stays; withdraw its batch to stop it.",
        "It has %(n)d tasks: those stay; withdraw their batch to stop them.",
        count,
    )
    facts = [_("It gets no new tasks."), has % {"n": count}, _("You can restore it later.")]
    return confirm(request, _("Withdraw this prompt?"), facts, _("Withdraw it"), found, danger=True)


@member(Role.ADMIN)
@page
def prompt_restore(request: ProjectRequest, slug: str, public_id: str) -> HttpResponse:
    """Ask, then let a prompt get tasks."""
    found = one(request, public_id)
    if request.method == "POST":
        services.restore_prompt(prompt=found, by=request.user)
        messages.success(request, _("The prompt can get tasks."))
        return redirect("prompt", slug, public_id)
    kinds = noticed_in(found)
    noticed = _("It seems to hold: %(kinds)s. Labelers and the policy will see it.")
    facts = [
        noticed % {"kinds": ", ".join(kinds)} if kinds else _("It can get tasks again."),
        _("It belongs to the %(split)s split.") % {"split": found.get_split_display().lower()},
    ]
    return confirm(request, _("Let this prompt get tasks?"), facts, _("Let it in"), found)


def noticed_in(prompt: Prompt) -> list[str]:
    """What its text holds by the import's rules now, and whether a labeler has reported it."""
    kinds = hygiene.personal_data(prompt.messages)
    return [name_of(kind) for kind in (*kinds, *({REPORTED} & set(prompt.personal_data)))]


def one(request: ProjectRequest, public_id: str) -> Prompt:
    """A prompt of this project; 404 for another project's."""
    return get_object_or_404(Prompt.objects.select_related("imported"), project=request.project, public_id=public_id)


def confirm(
    request: ProjectRequest, title: str, facts: list[str], action: str, found: Prompt, **more: Any
) -> HttpResponse:
    """The page before a change to a prompt."""
    back = reverse("prompt", args=[request.project.slug, found.public_id])
    context = {"title": title, "facts": facts, "action": action, "back": back, **more}
    return render(request, "components/confirm.html", context)
