"""What the work screens of all kinds have in common."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core import signing
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from labeling.assignments import kinds, leases, returned, selectors
from labeling.assignments.models import KeptDraft, Skip, Slot
from labeling.core.clock import db_now
from labeling.core.errors import NotFound
from labeling.people.models import User
from labeling.projects.access import ProjectRequest

OPENED = "labeling.assignments.opened"  # salt of the signed moment at which a page was opened


def mode_of(slot: Slot, labeler: User) -> str:
    """`working` on a leased slot, `revising` one's own submitted work, `late` once the slot is gone."""
    if slot.labeler_id != labeler.pk:
        return "late"
    return "revising" if slot.state == Slot.State.SUBMITTED else "working"


def what_to_change(slot: Slot) -> str:
    """What a reviewer wrote when this came back; empty when nobody asks for a change."""
    return returned.registered().note(slot)


def draft_of(slot: Slot) -> dict[str, Any]:
    """What the screen starts with: the draft, or what was submitted when that is about to be changed."""
    if slot.state == Slot.State.SUBMITTED and slot.draft is None:
        return kinds.named(slot.kind).said(slot)
    return slot.draft or {}


def show_late(slot: Slot, kept: KeptDraft) -> Slot:
    """A slot that this person no longer holds, as its screen shows it: with their own draft, nothing of its present holder."""
    slot.draft, slot.draft_saved_at = kept.draft, kept.kept_at
    slot.active_seconds, slot.lease_expires_at = 0, None
    if slot.state != Slot.State.OPEN:
        slot.labeler, slot.lease_token = None, uuid.uuid4()
    return slot


def is_revising(request: ProjectRequest) -> bool:
    """Whether the posted form is an edit of submitted work."""
    return request.POST.get("revising") == "1"


def save_by_hand(
    request: ProjectRequest, slot: Slot, *, token: UUID, draft: dict[str, Any], seconds: int
) -> HttpResponse:
    """What the "Save draft" button does where there is no script."""
    leases.save_draft(
        slot_id=slot.public_id, labeler=request.user, token=token, draft=draft, active_seconds=seconds,
        revising=is_revising(request),
    )  # fmt: skip
    messages.success(request, _("Draft saved."))
    return redirect("work", request.project.slug, slot.public_id)


def opened_now(slot: Slot) -> str:
    """This moment, signed for the slot: pages carry it, so that opening one writes nothing."""
    return signing.dumps([str(slot.public_id), db_now().isoformat()], salt=OPENED)


def opened_at(said: str, slot: Slot) -> datetime:
    """When a page of the slot was opened; this moment where it does not say so, or its word is another slot's or made up."""
    try:
        slot_id, moment = signing.loads(said, salt=OPENED)
    except signing.BadSignature:
        return db_now()
    return datetime.fromisoformat(moment) if slot_id == str(slot.public_id) else db_now()


def send(
    request: ProjectRequest,
    slot: Slot,
    *,
    token: UUID,
    submit: Callable[..., object],
    revise: Callable[..., object],
    **said: Any,
) -> None:
    """Submit what was posted, or put it in the place of what was submitted before, by the kind's own services.

    An edit adds no more active time than has passed since its page was opened.
    """
    if is_revising(request):
        since = opened_at(request.POST.get("opened", ""), slot)
        said["active_seconds"] = leases.credited(said["active_seconds"], since=since, before=slot.active_seconds)
        revise(slot_id=slot.public_id, labeler=request.user, **said)
    else:
        submit(slot_id=slot.public_id, labeler=request.user, token=token, **said)


def held(request: ProjectRequest, public_id: UUID) -> Slot:
    """A slot that this person has or had; NotFound for any other."""
    found = selectors.one_slot(project=request.project, public_id=public_id)
    if not selectors.has_held(found, request.user):
        raise NotFound(_("There is no such task among yours."))
    return found


def work_context(request: ProjectRequest, slot: Slot, *, submission: str = "") -> dict[str, Any]:
    """What every work screen shows around its task."""
    mine: dict[str, Any] = {"project": request.project, "labeler": request.user}
    mode = mode_of(slot, request.user)
    warning = slot.task.prompt.category if slot.task.prompt.category in slot.project.warned_categories else ""
    left = (slot.lease_expires_at - db_now()).total_seconds() if slot.lease_expires_at else 0
    return {
        "slot": slot,
        "mode": mode,
        "asked_for": what_to_change(slot) if mode == "revising" else "",
        "warning": warning,
        "veiled": bool(warning) and request.GET.get("show") != "1",
        "messages_of_prompt": slot.task.prompt.messages,
        "submission": submission or uuid.uuid4(),
        "active_seconds": request.POST.get("active_seconds", slot.active_seconds),
        "opened": request.POST.get("opened") or opened_now(slot),
        "token": request.POST.get("token", slot.lease_token),
        "lease_seconds": max(0, int(left)),
        "done": selectors.done_today(**mine).total(),
        "goal": request.project.daily_goal,
        "guideline": slot.guideline,
        "skip_reasons": Skip.Reason.choices,
        "recallable": selectors.recallable(**mine) if mode == "working" else None,
    }
