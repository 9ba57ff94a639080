"""What the work screens of all kinds have in common."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from labeling.assignments import leases, selectors
from labeling.assignments.models import Skip, Slot
from labeling.core.clock import db_now
from labeling.projects.access import ProjectRequest


def save_by_hand(
    request: ProjectRequest, slot: Slot, *, token: UUID, draft: dict[str, Any], seconds: int
) -> HttpResponse:
    """What the "Save draft" button does where there is no script."""
    leases.save_draft(slot_id=slot.public_id, labeler=request.user, token=token, draft=draft, active_seconds=seconds)
    messages.success(request, "Draft saved.")
    return redirect("work", request.project.slug, slot.public_id)


def work_context(request: ProjectRequest, slot: Slot, *, submission: str = "") -> dict[str, Any]:
    """What every work screen shows around its task."""
    mine: dict[str, Any] = {"project": request.project, "labeler": request.user}
    left = (slot.lease_expires_at - db_now()).total_seconds() if slot.lease_expires_at else 0
    return {
        "slot": slot,
        "messages_of_prompt": slot.task.prompt.messages,
        "submission": submission or uuid.uuid4(),
        "active_seconds": request.POST.get("active_seconds", slot.active_seconds),
        "token": request.POST.get("token", slot.lease_token),
        "lease_seconds": max(0, int(left)),
        "done": selectors.done_today(**mine).total(),
        "goal": request.project.daily_goal,
        "guideline": slot.guideline,
        "skip_reasons": Skip.Reason.choices,
        "recallable": selectors.recallable(**mine),
    }
