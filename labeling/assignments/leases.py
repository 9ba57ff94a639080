"""Leases and drafts: a lease is renewed by saving a draft, runs out by the database's clock, and never takes text with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.assignments.models import KeptDraft, Skip, Slot, Task
from labeling.core import transitions
from labeling.core.clock import db_now
from labeling.core.errors import BadInput, Conflict, DraftChanged, LeaseLost, NotFound
from labeling.people.models import User
from labeling.projects.models import Membership, Project

MAX_DRAFT_BYTES = 512 * 1024
MAX_ACTIVE_SECONDS = 86_400
EXPIRY_BATCH = 200


def live_lease(*, project: Project, labeler: User) -> Slot | None:
    """The slot this person holds here, locked; there is never more than one."""
    held = Slot.objects.select_for_update(of=("self",)).select_related("task__prompt", "project")
    return held.filter(project=project, labeler=labeler, state=Slot.State.LEASED).first()


def lease_end(project: Project) -> datetime:
    """When a lease that starts or is renewed now runs out."""
    return db_now() + timedelta(minutes=project.lease_minutes)


def renew(slot: Slot) -> Slot:
    """Push the end of a locked lease back."""
    slot.lease_expires_at = lease_end(slot.project)
    slot.save(update_fields=["lease_expires_at"])
    return slot


@dataclass(frozen=True)
class Base:
    """When the draft was saved that a tab builds on; None when it knows of none."""

    saved_at: datetime | None


def save_draft(
    *,
    slot_id: UUID,
    labeler: User,
    token: UUID,
    draft: dict[str, Any],
    active_seconds: int = 0,
    base: Base | None = None,
    revising: bool = False,
) -> Slot:
    """Keep a draft and renew the lease; a lease that ran out is taken up again while nobody else has the slot.

    `revising` keeps it beside submitted work instead. With `base`, DraftChanged when another draft was saved since then.
    Raises LeaseLost when the slot is gone; the draft is kept even then. Raises Conflict once the work is submitted and
    NotFound for people who never held it.
    """
    check_draft(draft)
    seconds = check_seconds(active_seconds)
    if revising:
        return _store_revision_draft(slot_id=slot_id, labeler=labeler, token=token, draft=draft, base=base)
    slot = _store_draft(slot_id=slot_id, labeler=labeler, token=token, draft=draft, active_seconds=seconds, base=base)
    if slot is None:
        raise LeaseLost(
            _(
                "This task went to somebody else while you were away. What you write is kept, and you can still submit it: it counts as late."
            )
        )
    return slot


def check_base(slot: Slot, *, draft: dict[str, Any], base: Base | None) -> None:
    """DraftChanged when a locked slot holds another draft than the one that this tab builds on."""
    if base is not None and slot.draft_saved_at != base.saved_at and slot.draft not in (None, draft):
        raise DraftChanged(_("A newer draft was saved in another tab."), draft=slot.draft, saved_at=slot.draft_saved_at)


@transaction.atomic
def _store_revision_draft(
    *, slot_id: UUID, labeler: User, token: UUID, draft: dict[str, Any], base: Base | None
) -> Slot:
    slot = get_locked(slot_id)
    if slot.labeler_id != labeler.pk or slot.state != Slot.State.SUBMITTED:
        raise NotFound(_("There is no such submitted task among yours."))
    if slot.lease_token != token:
        raise Conflict(_("You have opened this task anew in another tab: go on there, or reload this page."))
    check_base(slot, draft=draft, base=base)
    slot.draft, slot.draft_saved_at = draft, db_now()
    slot.save(update_fields=["draft", "draft_saved_at"])
    return slot


def check_draft(draft: object) -> None:
    """BadInput unless `draft` is an object of a sane size."""
    if not isinstance(draft, dict):
        raise BadInput(_("A draft must be an object of field names and values."), field="draft")
    for value in draft.values():
        if not all(isinstance(part, str) for part in (value if isinstance(value, list) else [value])):
            raise BadInput(_("Every value of a draft must be text or a list of texts."), field="draft")
    if len(json.dumps(draft)) > MAX_DRAFT_BYTES:
        raise BadInput(_("The draft is larger than 512 KiB: shorten it."), field="draft")


def check_seconds(value: object) -> int:
    """Active time as a whole number of seconds, at most a day; BadInput for anything that is not a count."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInput(_("Active time must be a whole number of seconds."), field="active_seconds")
    return min(value, MAX_ACTIVE_SECONDS)


def credited(value: object, *, since: datetime | None, before: int = 0) -> int:
    """Active seconds that count: as reported, at most `before` and the wall time `since` then (browsers report, people are paid).

    A day at most, and nothing else, where it is not known since when. BadInput for anything that is not a count.
    """
    seconds = check_seconds(value)
    if since is None:
        return seconds
    return min(seconds, before + max(0, int((db_now() - since).total_seconds())))


@transaction.atomic
def _store_draft(
    *, slot_id: UUID, labeler: User, token: UUID, draft: dict[str, Any], active_seconds: int, base: Base | None
) -> Slot | None:
    project_id = Slot.objects.filter(public_id=slot_id).values_list("project_id", flat=True).first()
    # People before slots: the same order as in a claim, so that the two never wait for each other in a circle.
    list(Membership.objects.select_for_update(no_key=True).filter(project=project_id, user=labeler))
    slot = get_locked(slot_id)
    if slot.state == Slot.State.LEASED and slot.labeler_id == labeler.pk:
        if slot.lease_token != token:
            raise Conflict(_("You have opened this task anew in another tab: go on there, or reload this page."))
        check_base(slot, draft=draft, base=base)
    elif slot.state == Slot.State.SUBMITTED and slot.labeler_id == labeler.pk:
        raise Conflict(_("You have submitted this task already. Reload the page to change what you submitted."))
    elif may_retake(slot=slot, labeler=labeler, token=token):
        transitions.move(
            slot, to=Slot.State.LEASED, by=labeler, labeler=labeler, lease_expires_at=lease_end(slot.project)
        )
        KeptDraft.objects.filter(task=slot.task_id, labeler=labeler).delete()
    elif KeptDraft.objects.filter(task=slot.task_id, labeler=labeler).exists():
        keep(slot=slot, labeler=labeler, draft=draft)
        return None
    else:
        raise NotFound(_("There is no such task among yours."))
    slot.draft, slot.draft_saved_at = draft, db_now()
    slot.active_seconds = max(slot.active_seconds, active_seconds)
    slot.lease_expires_at = lease_end(slot.project)
    slot.save(update_fields=["draft", "draft_saved_at", "active_seconds", "lease_expires_at"])
    return slot


def get_locked(slot_id: UUID) -> Slot:
    """The slot, locked; NotFound when there is none."""
    slots = Slot.objects.select_for_update(of=("self",)).select_related("task__prompt", "project")
    slot = slots.filter(public_id=slot_id).first()
    if slot is None:
        raise NotFound(_("There is no such task."))
    return slot


def may_retake(*, slot: Slot, labeler: User, token: UUID) -> bool:
    """Whether a lease that ran out may go on: nobody had the slot since, and the person holds nothing else."""
    return (
        slot.state == Slot.State.OPEN
        and slot.lease_token == token
        and not Slot.objects.filter(project=slot.project_id, labeler=labeler, state=Slot.State.LEASED).exists()
        and not was_judged_or_skipped(task_id=slot.task_id, labeler=labeler)
    )


def was_judged_or_skipped(*, task_id: int, labeler: User) -> bool:
    """Whether this person has a slot of the task, passed on it, or sent late work for it."""
    return (
        Slot.objects.filter(task=task_id, labeler=labeler).exists()
        or Skip.objects.filter(task=task_id, labeler=labeler).exists()
        or KeptDraft.objects.filter(task=task_id, labeler=labeler, late_at__isnull=False).exists()
    )


def keep(*, slot: Slot, labeler: User, draft: dict[str, Any] | None) -> None:
    """Keep a draft beside the task, over an earlier one, and since when the person had the task."""
    known: dict[str, Any] = {"draft": draft or {}, "slot": slot}
    if slot.labeler_id == labeler.pk:  # else the lease is somebody else's by now
        known["leased_at"] = slot.leased_at
    KeptDraft.objects.update_or_create(task_id=slot.task_id, labeler=labeler, defaults=known)


def release(slot: Slot, *, by: User | None, keep_draft: bool = True) -> Slot:
    """Put a locked, leased slot back into the queue, or where its task stands; the draft stays with its author."""
    if keep_draft and slot.labeler is not None:
        keep(slot=slot, labeler=slot.labeler, draft=slot.draft)
    task_state = Task.objects.values_list("state", flat=True).get(pk=slot.task_id)
    to = Slot.State.PAUSED if task_state == Task.State.PAUSED else Slot.State.OPEN
    if task_state == Task.State.WITHDRAWN:
        to = Slot.State.WITHDRAWN
    # The token stays: it proves whose lease it was until somebody else takes the slot.
    return transitions.move(
        slot, to=to, by=by, labeler=None, lease_expires_at=None, draft=None, draft_saved_at=None, active_seconds=0
    )


def expire_leases() -> int:
    """Put slots whose lease ran out back into the queue, drafts kept; returns how many."""
    total = 0
    while done := _expire_some():
        total += done
    return total


@transaction.atomic
def _expire_some() -> int:
    run_out = Slot.objects.select_for_update(of=("self",), skip_locked=True).select_related("labeler")
    slots = list(run_out.filter(state=Slot.State.LEASED, lease_expires_at__lt=db_now())[:EXPIRY_BATCH])
    for slot in slots:
        release(slot, by=None)
    return len(slots)
