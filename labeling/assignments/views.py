"""A contractor's pages: the queue, the next task, the task itself, skipping, taking back."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.assignments import (
    claim,
    forms,
    kinds,
    limits,
    qualifying,
    recall,
    returned,
    revisions,
    screen,
    selectors,
    skip,
    start,
)
from labeling.assignments.models import Slot
from labeling.core.errors import LoopError, NotAllowed, NotFound
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects import selectors as projects
from labeling.projects import services
from labeling.projects.access import ProjectRequest, member
from labeling.projects.models import Membership

RECENT = 5
LISTED = 20  # returned pieces, and kept drafts, on one page


@require_safe
@member(Role.CONTRACTOR, Role.REVIEWER)
def queue(request: ProjectRequest, slug: str) -> HttpResponse:
    """Where a contractor starts: what to do next, what was done today, what was submitted lately."""
    mine: dict[str, Any] = {"project": request.project, "labeler": request.user}
    offers = selectors.offers(**mine)
    held = selectors.held(**mine)
    accepted = projects.has_accepted(request.user, request.project)
    is_contractor = request.membership.role == Role.CONTRACTOR
    is_active = request.membership.state == Membership.State.ACTIVE
    is_qualifying = is_contractor and request.membership.state == Membership.State.QUALIFYING
    source = returned.registered()
    back = paginate(request, source.rows(request.project, request.user), size=LISTED, name="returned")
    is_over = limits.is_reached(**mine)
    context = {
        "held": held,
        "held_kind": kinds.named(held.kind) if held else None,
        "offers": offers,
        "done": sum(offer.done_today for offer in offers),
        "has_work": any(offer.available for offer in offers),
        "guideline": projects.current_guideline(request.project),
        "accepted": accepted,
        "may_work": is_contractor and is_active and accepted and not request.project.is_paused and not is_over,
        "is_over": is_over and is_contractor,
        "history": selectors.history(**mine)[:RECENT],
        "kept": paginate(request, selectors.kept_drafts(**mine), size=LISTED, by="kept_at", name="kept"),
        "returned": back,
        "returned_work": [source.read(row) for row in back],
        "recallable": selectors.recallable(**mine),
        "week_seconds": start.seconds_this_week(**mine),
        "steps": qualifying.steps(request.project, request.user) if is_qualifying else None,
        "trend": start.agreement_trend(request.project, request.user),
        "coming_back": start.coming_back(**mine),
        "is_contractor": is_contractor,
    }
    return render(request, "assignments/queue.html", context)


@require_POST
@member(Role.CONTRACTOR)
def sensitive_work(request: ProjectRequest, slug: str) -> HttpResponse:
    """Take work with a content warning from now on, or no longer."""
    takes = request.POST.get("takes") == "yes"
    services.take_sensitive_work(membership=request.membership, takes=takes, by=request.user)
    messages.success(
        request,
        _("You are given such work too. Each piece starts hidden, and skipping costs nothing.")
        if takes
        else _("You are given no more work with a content warning."),
    )
    return redirect("queue", slug)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Role.CONTRACTOR)
def next_task(request: ProjectRequest, slug: str) -> HttpResponse:
    """Claim the next task and go to it. Visiting the address only leads to the task in hand, or to the queue."""
    if request.method == "POST":
        return go_on(request, slug, prefer=request.POST.get("kind", ""))
    held = selectors.held(project=request.project, labeler=request.user)
    return redirect("work", slug, held.public_id) if held else redirect("queue", slug)


def go_on(request: ProjectRequest, slug: str, *, prefer: str = "") -> HttpResponse:
    """Claim a slot, of the preferred kind if there is one, and redirect to it; to the queue when there is none."""
    order = [name for name in kinds.names() if name == prefer] + [name for name in kinds.names() if name != prefer]
    try:
        slot = claim.claim_slot(project=request.project, labeler=request.user, kinds=order)
    except NotAllowed as problem:
        if problem.extra.get("code") == "guideline_required":
            messages.warning(request, problem.detail)
            return redirect("guideline", slug)
        if problem.extra.get("code") != limits.REACHED:  # of that the queue says itself
            messages.warning(request, problem.detail)
        return redirect("queue", slug)
    return redirect("work", slug, slot.public_id) if slot else redirect("queue", slug)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Role.CONTRACTOR)
def work(request: ProjectRequest, slug: str, slot: UUID) -> HttpResponse:
    """One task: shown by its kind, submitted through its kind, then on to the next. Submitted work opens to be changed."""
    found = selectors.one_slot(project=request.project, public_id=slot)
    kind = kinds.named(found.kind)
    if request.method != "POST":
        return open_work(request, slug, found)
    if not selectors.has_held(found, request.user):
        raise NotFound(_("There is no such task among yours."))
    if screen.is_revising(request) and request.POST.get("act") == "discard":
        revisions.discard(slot_id=slot, labeler=request.user)
        return redirect("queue", slug)
    answer = kind.receive(request, found)
    if answer is None:
        answer = after_submitting(request, slug, found)
    if "Location" in answer and "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"next": answer["Location"]})
    return answer


def open_work(request: ProjectRequest, slug: str, slot: Slot) -> HttpResponse:
    """The screen of a task in hand, of submitted work that may be changed, or of work whose time ran out."""
    kind = kinds.named(slot.kind)
    if slot.labeler_id == request.user.pk:
        if slot.state == Slot.State.SUBMITTED and kind.is_frozen(slot):
            messages.info(request, _("That work is part of a dataset by now and can no longer be changed."))
            return redirect("queue", slug)
        return kind.show(request, slot)
    kept = selectors.kept_draft(slot, request.user)
    if kept is None:
        messages.warning(request, _("That task is not yours (any more)."))
    elif kept.late_at is not None:
        messages.info(request, _("You submitted that task late. It is kept."))
    elif kept.slot is not None and kept.slot_id != slot.pk:
        return redirect("work", slug, kept.slot.public_id)
    else:
        return kind.show(request, screen.show_late(slot, kept))
    return redirect("queue", slug)


def after_submitting(request: ProjectRequest, slug: str, slot: Slot) -> HttpResponse:
    """On to the next task; back to the start after an edit, which nobody does in a row."""
    if screen.is_revising(request):
        messages.success(request, _("Your change is saved as a new version."))
        return redirect("queue", slug)
    kept = selectors.kept_draft(slot, request.user)
    if kept is not None and kept.late_at is not None:
        messages.warning(
            request,
            _(
                "Somebody else had that task by then, so yours is kept as late work: a reviewer sees it, no model learns from it."
            ),
        )
    return go_on(request, slug, prefer=slot.kind)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Role.CONTRACTOR)
def skip_task(request: ProjectRequest, slug: str, slot: UUID) -> HttpResponse:
    """Ask why, give the task to somebody else, go on."""
    found = selectors.one_slot(project=request.project, public_id=slot)
    if found.labeler_id != request.user.pk or found.state != Slot.State.LEASED:
        messages.warning(request, _("That task is not yours (any more)."))
        return redirect("queue", slug)
    form = forms.SkipForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        token = found.lease_token or uuid.uuid4()
        skip.skip_slot(slot_id=slot, labeler=request.user, token=token, reason=said["reason"], note=said["note"])
        return go_on(request, slug, prefer=found.kind)
    status = 400 if form.is_bound else 200
    return render(request, "assignments/skip.html", {"form": form, "slot": found}, status=status)


@require_POST
@member(Role.CONTRACTOR)
def recall_task(request: ProjectRequest, slug: str, slot: UUID) -> HttpResponse:
    """Take a fresh submission back and open it again."""
    try:
        recall.recall_slot(slot_id=slot, labeler=request.user)
    except LoopError as problem:
        messages.warning(request, problem.detail)
        return redirect("next", slug)
    return redirect("work", slug, slot)
