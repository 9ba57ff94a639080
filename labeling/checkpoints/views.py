"""Checkpoint pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from labeling.checkpoints import selectors, services
from labeling.checkpoints.agreement import agreement_of
from labeling.checkpoints.models import Checkpoint
from labeling.core.errors import LoopError, NotFound
from labeling.core.filters import KindAndStateFilter
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member


def find(request: ProjectRequest, public_id: UUID) -> Checkpoint:
    """A checkpoint of the request's project; NotFound otherwise."""
    rows = Checkpoint.objects.select_related("project", "parent", "reward")
    found = rows.filter(project=request.project, public_id=public_id).first()
    if found is None:
        raise NotFound(_("There is no such checkpoint in this project."))
    return found


@require_safe
@member(Role.ENGINEER)
def checkpoints(request: ProjectRequest, slug: str) -> HttpResponse:
    """All checkpoints of the project, by kind and state."""
    rows = Checkpoint.objects.filter(project=request.project).select_related("parent", "reward", "run")
    form = KindAndStateFilter(request.GET or None, kinds=Checkpoint.Kind.choices, states=Checkpoint.State.choices)
    wanted = form.wanted()
    context = {
        "form": form,
        "filtered": bool(wanted),
        "page": paginate(request, rows.filter(**wanted)),
        "has_base": selectors.base_of(project=request.project) is not None,
    }
    return render(request, "checkpoints/checkpoints.html", context)


@require_safe
@member(Role.ENGINEER)
def checkpoint(request: ProjectRequest, slug: str, checkpoint: UUID) -> HttpResponse:
    """One checkpoint: numbers, files, and its lineage both ways."""
    found = find(request, checkpoint)
    run = getattr(found, "run", None)
    context = {
        "checkpoint": found,
        "run": run,
        "snapshots": run.data.select_related("snapshot") if run else [],
        "lineage": selectors.lineage(checkpoint=found),
        "readers": found.used_by.select_related("run").order_by("-run__created_at")[:50],
        "against_retiring": selectors.why_not_retire(checkpoint=found),
        "numbers": numbers(found.metrics),
        "agreement": agreement_of(found),
    }
    return render(request, "checkpoints/checkpoint.html", context)


def numbers(metrics: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    """What a run reported, in the order of the names: `changed` (name, before, after), and `others` (name, value)."""
    plain = {name: value for name, value in sorted(metrics.items()) if not isinstance(value, (dict, list))}
    ends = [name.removesuffix("_before") for name in plain if name.endswith("_before")]
    changed = [name for name in ends if f"{name}_after" in plain]
    told = {f"{name}_{when}" for name in changed for when in ("before", "after")}
    return {
        "changed": [(spaced(name), plain[f"{name}_before"], plain[f"{name}_after"]) for name in changed],
        "others": [(spaced(name), value) for name, value in plain.items() if name not in told],
    }


def spaced(name: str) -> str:
    """A metric's name in words."""
    return name.replace("_", " ")


def confirmed(
    request: ProjectRequest,
    found: Checkpoint,
    *,
    title: str,
    facts: list[str],
    action: str,
    act: Callable[..., Checkpoint],
    done: str,
    danger: bool = False,
) -> HttpResponse:
    """GET asks, POST acts and goes back to the checkpoint."""
    back = reverse("checkpoint", args=[request.project.slug, found.public_id])
    if request.method == "POST":
        try:
            act(checkpoint=found, by=request.user)
        except LoopError as problem:
            messages.error(request, problem.detail)
        else:
            messages.success(request, done)
        return redirect(back)
    context = {"title": title, "facts": facts, "action": action, "back": back, "danger": danger}
    return render(request, "components/confirm.html", context)


@require_http_methods(["GET", "POST"])
@member(Role.ENGINEER)
def promote(request: ProjectRequest, slug: str, checkpoint: UUID) -> HttpResponse:
    """Make it the project's own policy or reward model."""
    found = find(request, checkpoint)
    former = selectors.promoted(project=request.project, kind=found.kind)
    kind = found.get_kind_display().lower()
    said = {"name": found.name, "kind": kind, "project": request.project.name}
    facts = [
        _("%(name)s becomes the %(kind)s of %(project)s; new runs offer it first.") % said,
        _("%(name)s becomes a candidate again.") % {"name": former.name}
        if former
        else _("No %(kind)s is promoted now.") % said,
    ]
    return confirmed(
        request,
        found,
        title=_("Promote %(name)s?") % said,
        facts=facts,
        action=_("Promote"),
        act=services.promote,
        done=_("%(name)s is promoted.") % said,
    )


@require_http_methods(["GET", "POST"])
@member(Role.ENGINEER)
def retire(request: ProjectRequest, slug: str, checkpoint: UUID) -> HttpResponse:
    """Take it out of the lists of choices."""
    found = find(request, checkpoint)
    children, texts = found.children.count(), found.completions.count()
    said = {"name": found.name, "children": children, "texts": texts}
    facts = [
        _("It is no longer offered for new runs. Nothing is deleted, and it can be brought back."),
        _("%(children)d checkpoints that came of it and %(texts)d completions that it wrote stay as they are.") % said,
    ]
    return confirmed(
        request,
        found,
        title=_("Retire %(name)s?") % said,
        facts=facts,
        action=_("Retire"),
        act=services.retire,
        done=_("%(name)s is retired.") % said,
        danger=True,
    )


@require_http_methods(["GET", "POST"])
@member(Role.ENGINEER)
def restore(request: ProjectRequest, slug: str, checkpoint: UUID) -> HttpResponse:
    """Bring a retired one back."""
    found = find(request, checkpoint)
    said = {"name": found.name}
    return confirmed(
        request,
        found,
        title=_("Bring %(name)s back?") % said,
        facts=[_("It becomes a candidate and is offered for new runs again.")],
        action=_("Bring it back"),
        act=services.restore,
        done=_("%(name)s is a candidate again.") % said,
    )


@require_http_methods(["GET", "POST"])
@member(Role.ENGINEER)
def register_base(request: ProjectRequest, slug: str) -> HttpResponse:
    """Enter the base model that this installation names in BASE_MODEL. No path is taken from a form."""
    back = reverse("checkpoints", args=[slug])
    name = Path(settings.BASE_MODEL).name[:60]
    if request.method == "POST":
        try:
            found = services.register_base(
                project=request.project, path=settings.BASE_MODEL, name=name, by=request.user
            )  # type: ignore[arg-type]
        except LoopError as problem:
            messages.error(request, problem.detail)
        else:
            messages.success(request, _("%(name)s is the base model.") % {"name": found.name})
        return redirect(back)
    facts = [
        _("%(name)s becomes the base model of %(project)s: supervised fine-tuning starts from it.")
        % {"name": name, "project": request.project.name},
        _("It is what BASE_MODEL names on this installation; set BASE_MODEL and restart for another one."),
    ]
    context = {"title": _("Enter the base model?"), "facts": facts, "action": _("Enter it"), "back": back}
    return render(request, "components/confirm.html", context)
