"""Snapshot pages."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from labeling.core.errors import LoopError
from labeling.core.filters import KindAndStateFilter
from labeling.core.pagination import paginate
from labeling.datasets import selectors, services, write
from labeling.datasets.forms import FreezeForm
from labeling.datasets.models import Snapshot
from labeling.datasets.rule_words import rules_in_words
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member


@require_safe
@member(Role.ENGINEER)
def snapshots(request: ProjectRequest, slug: str) -> HttpResponse:
    """All snapshots of the project, by kind and state."""
    rows = Snapshot.objects.filter(project=request.project).select_related("created_by")
    form = KindAndStateFilter(request.GET or None, kinds=Snapshot.Kind.choices, states=Snapshot.State.choices)
    wanted = form.wanted()
    context = {"form": form, "filtered": bool(wanted), "page": paginate(request, rows.filter(**wanted))}
    return render(request, "datasets/snapshots.html", context)


@member(Role.ENGINEER)
def snapshot_new(request: ProjectRequest, slug: str) -> HttpResponse:
    """Choose rules, freeze."""
    initial = {"kind": request.GET.get("kind", Snapshot.Kind.RANKINGS)}
    form = FreezeForm(request.POST or None, project=request.project, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            frozen = services.freeze(
                project=request.project,
                kind=form.cleaned_data["kind"],
                name=form.cleaned_data["name"],
                rules=form.rules(),
                by=request.user,
            )
        except LoopError as problem:
            form.add_error(problem.field if problem.field in form.fields else None, problem.detail)
        else:
            messages.success(
                request, _("Froze %(rows)s rows as %(name)s.") % {"rows": frozen.rows, "name": frozen.name}
            )
            return redirect("snapshot", slug, frozen.public_id)
    return render(request, "datasets/new.html", {"form": form}, status=400 if form.is_bound else 200)


@require_safe
@member(Role.ENGINEER)
def snapshot(request: ProjectRequest, slug: str, snapshot: UUID) -> HttpResponse:
    """One snapshot: what is inside, its files and hashes, who read it."""
    found = selectors.one(project=request.project, public_id=snapshot)
    context = {
        "snapshot": found,
        "rules": rules_in_words(found),
        "card": selectors.card(found),
        "first": selectors.first_rows(found, 3),
        "runs": found.used_by.select_related("run").order_by("-run__created_at"),
    }
    return render(request, "datasets/snapshot.html", context)


@require_safe
@member(Role.ENGINEER)
def snapshot_file(request: ProjectRequest, slug: str, snapshot: UUID, name: str) -> FileResponse:
    """Download one file of a snapshot, by a name its manifest knows."""
    found = selectors.one(project=request.project, public_id=snapshot)
    handle = write.file_of(found, name).open("rb")
    answer = FileResponse(handle, as_attachment=True, filename=f"{found.name}-{name}", content_type="application/jsonl")
    answer["Content-Security-Policy"] = "sandbox"
    return answer


@require_POST
@member(Role.ENGINEER)
def snapshot_verify(request: ProjectRequest, slug: str, snapshot: UUID) -> HttpResponse:
    """Write the files again in a scratch folder and compare every byte."""
    found = selectors.one(project=request.project, public_id=snapshot)
    if found.state != Snapshot.State.READY:
        messages.error(request, _("The files are not written yet: try again in a moment."))
    elif write.rebuilds_identically(found):
        messages.success(
            request,
            _("%(name)s rebuilds byte for byte: %(manifest_sha256)s….")
            % {"name": found.name, "manifest_sha256": found.manifest_sha256[:12]},
        )
    else:
        messages.error(
            request,
            _("%(name)s does not match its manifest: do not train on it; restore its folder.") % {"name": found.name},
        )
    return redirect("snapshot", slug, found.public_id)


@require_POST
@member(Role.ENGINEER)
def snapshot_retry(request: ProjectRequest, slug: str, snapshot: UUID) -> HttpResponse:
    """Write the files of a failed snapshot again."""
    found = selectors.one(project=request.project, public_id=snapshot)
    services.retry_writing(snapshot=found, by=request.user)
    return redirect("snapshot", slug, found.public_id)
