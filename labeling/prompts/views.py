"""Pages of prompts: list, one prompt, import, withdraw, restore."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from labeling.core.errors import BadInput
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.prompts import hygiene, selectors, services
from labeling.prompts.forms import ImportForm, PromptFilter
from labeling.prompts.models import Prompt, PromptImport
from labeling.prompts.reading import lines_of

page = require_http_methods(["GET", "HEAD", "POST"])


@member(Role.ENGINEER)
@require_safe
def prompts(request: ProjectRequest, slug: str) -> HttpResponse:
    """The list, filtered and paged."""
    form = PromptFilter(request.GET or None, project=request.project)
    wanted = form.cleaned_data if form.is_valid() else {}
    context = {
        "form": form,
        "filtered": any(wanted.values()),
        "page": paginate(request, selectors.prompts(request.project, **wanted)),
        "counts": selectors.counts(request.project),
    }
    return render(request, "prompts/prompts.html", context)


@member(Role.ENGINEER)
@require_safe
def prompt(request: ProjectRequest, slug: str, public_id: str) -> HttpResponse:
    """One prompt: its turns, where it came from, what the import noticed."""
    found = one(request, public_id)
    context = {
        "prompt": found,
        "personal_data": hygiene.personal_data(found.messages),
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
        messages.success(request, "The prompt is withdrawn.")
        return redirect("prompt", slug, public_id)
    count = found.tasks.count()
    facts = [
        "It gets no new tasks.",
        f"It has {count} task{'' if count == 1 else 's'}: {'that one stays' if count == 1 else 'those stay'}; withdraw their batch to stop them.",
        "You can restore it later.",
    ]
    return confirm(request, "Withdraw this prompt?", facts, "Withdraw it", found, danger=True)


@member(Role.ADMIN)
@page
def prompt_restore(request: ProjectRequest, slug: str, public_id: str) -> HttpResponse:
    """Ask, then let a prompt get tasks."""
    found = one(request, public_id)
    if request.method == "POST":
        services.restore_prompt(prompt=found, by=request.user)
        messages.success(request, "The prompt can get tasks.")
        return redirect("prompt", slug, public_id)
    kinds = hygiene.personal_data(found.messages)
    facts = [
        f"The import noticed: {', '.join(kinds)}. Labelers and the policy will see it."
        if kinds
        else "It can get tasks again.",
        f"It belongs to the {found.get_split_display().lower()} split.",
    ]
    return confirm(request, "Let this prompt get tasks?", facts, "Let it in", found)


@member(Role.ADMIN)
@page
def prompt_import(request: ProjectRequest, slug: str) -> HttpResponse:
    """Import a file or pasted lines; a wrong one is answered with every bad line."""
    form = ImportForm(request.POST or None, request.FILES or None)
    problem = None
    if request.method == "POST" and form.is_valid():
        file, text = form.cleaned_data["file"], form.cleaned_data["text"]
        try:
            batch = services.import_prompts(
                project=request.project,
                lines=lines_of(file) if file else text.splitlines(keepends=True),
                fmt=form.cleaned_data["fmt"],
                by=request.user,
                source=file.name if file else "Pasted lines",
            )
        except BadInput as found:
            problem = found
        else:
            return redirect("prompt-import-report", slug, batch.pk)
    status = 400 if request.method == "POST" else 200
    context = {"form": form, "problem": problem, "imports": selectors.imports(request.project)[:10]}
    return render(request, "prompts/import.html", context, status=status)


@member(Role.ENGINEER)
@require_safe
def import_report(request: ProjectRequest, slug: str, import_id: int) -> HttpResponse:
    """What an import made of its lines."""
    batch = get_object_or_404(PromptImport, project=request.project, pk=import_id)
    return render(request, "prompts/report.html", {"batch": batch, "report": batch.report})


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
