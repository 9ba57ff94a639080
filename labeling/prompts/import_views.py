"""Pages of imports: choose a file or paste lines, watch a large one, read what became of the lines."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from labeling.core.errors import BadInput
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.prompts import selectors, services, uploads
from labeling.prompts.findings import name_of
from labeling.prompts.forms import ImportForm
from labeling.prompts.models import PromptImport
from labeling.prompts.reading import lines_of


@member(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def prompt_import(request: ProjectRequest, slug: str) -> HttpResponse:
    """Import a file or pasted lines; a wrong one is answered with every bad line. Large files go to a worker."""
    form = ImportForm(request.POST or None, request.FILES or None)
    problem = None
    if request.method == "POST" and form.is_valid():
        try:
            batch = take_in(request, form.cleaned_data)
        except BadInput as found:
            problem = found
        else:
            return redirect("prompt-import-report", slug, batch.pk)
    status = 400 if request.method == "POST" else 200
    context = {"form": form, "problem": problem, "imports": selectors.imports(request.project)[:10]}
    return render(request, "prompts/import.html", context, status=status)


def take_in(request: ProjectRequest, said: dict[str, Any]) -> PromptImport:
    """Import at once what is small; queue the rest."""
    file, by = said["file"], request.user
    if file and file.size > uploads.IN_REQUEST:
        messages.info(request, _("The file is here. A worker imports it; this page shows how far it is."))
        return uploads.queue_import(
            project=request.project, file=file, fmt=said["fmt"], by=by, source=file.name or "upload"
        )
    lines = lines_of(file) if file else said["text"].splitlines(keepends=True)
    source = (file.name if file else "") or _("Pasted lines")
    return services.import_prompts(project=request.project, lines=lines, fmt=said["fmt"], by=by, source=source)


@member(Role.ENGINEER)
@require_safe
def import_report(request: ProjectRequest, slug: str, import_id: int) -> HttpResponse:
    """What an import made of its lines, or how far it is."""
    batch = get_object_or_404(PromptImport, project=request.project, pk=import_id)
    found = {name_of(kind): number for kind, number in batch.report.get("found", {}).items()}
    return render(request, "prompts/report.html", {"batch": batch, "report": batch.report, "found": found})
