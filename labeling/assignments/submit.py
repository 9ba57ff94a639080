"""Closing a slot. What was judged is the business of the kind's own app; that it is judged once is decided here (DATA-1, DATA-5)."""

from __future__ import annotations

from typing import Protocol, TypeVar
from uuid import UUID

from django.utils.translation import gettext as _

from labeling.assignments import leases
from labeling.assignments.models import KeptDraft, Skip, Slot, Task
from labeling.core import transitions
from labeling.core.clock import db_now
from labeling.core.errors import Conflict, LeaseLost, NotFound, Reused
from labeling.people.models import User


class Submitted(Protocol):
    """Work that was submitted for a slot."""

    labeler_id: int

    @property
    def slot_id(self) -> int | None:
        """The slot."""


AnyWork = TypeVar("AnyWork", bound=Submitted)


def lock(*, slot_id: UUID) -> Slot:
    """Lock the task, then the slot: two people who submit for one task, or one person who submits twice, go one by one."""
    task_id = Slot.objects.filter(public_id=slot_id).values_list("task_id", flat=True).first()
    if task_id is None:
        raise NotFound(_("There is no such task."))
    list(Task.objects.select_for_update(no_key=True).filter(pk=task_id))
    return leases.get_locked(slot_id)


def check_same(earlier: AnyWork, *, slot: Slot, labeler: User, is_equal: bool) -> AnyWork:
    """What came first under a submission's key, when it is this person's, for this slot, and equal; Conflict or Reused otherwise."""
    if earlier.labeler_id != labeler.pk:
        raise Conflict(_("This submission key belongs to somebody else's work."))
    if earlier.slot_id != slot.pk or not is_equal:
        raise Reused(_("This submission key already came with other work: reload the page and submit again."))
    return earlier


def is_late(*, slot: Slot, labeler: User, token: UUID) -> bool:
    """False while a locked slot is this person's or still free for them; True when it is gone but they once held it.

    Raises Conflict for work already submitted or skipped, NotFound for people who never held the task.
    """
    if slot.labeler_id == labeler.pk and slot.state == Slot.State.LEASED:
        return False
    if slot.labeler_id == labeler.pk and slot.state == Slot.State.SUBMITTED:
        raise Conflict(_("You have already submitted this task."))
    if Skip.objects.filter(task=slot.task_id, labeler=labeler).exists():
        raise Conflict(_("You passed on this task: it is no longer yours."))
    kept = KeptDraft.objects.filter(task=slot.task_id, labeler=labeler).first()
    if kept is None:
        raise NotFound(_("There is no such task among yours."))
    if kept.late_at is not None:
        raise Conflict(_("You have already submitted this task; it came late and is kept."))
    elsewhere = Slot.objects.filter(task=slot.task_id, labeler=labeler).exclude(pk=slot.pk).exists()
    return elsewhere or slot.state != Slot.State.OPEN


def finish(*, slot: Slot, labeler: User, token: UUID, active_seconds: int) -> tuple[bool, int]:
    """Close a locked slot for this person: whether the work came late, and the active seconds that count for it.

    No more than the wall time since they claimed the task. The task is done when no slot of it is left to judge. Late work
    leaves the slot alone. Raises as `is_late` does.
    """
    late = is_late(slot=slot, labeler=labeler, token=token)
    kept = KeptDraft.objects.filter(task=slot.task_id, labeler=labeler)
    is_theirs = slot.labeler_id == labeler.pk
    since = slot.leased_at if is_theirs else kept.values_list("leased_at", flat=True).first()
    saved = slot.active_seconds if is_theirs and not late else 0
    seconds = leases.credited(max(leases.check_seconds(active_seconds), saved), since=since)
    if late:
        kept.update(late_at=db_now())
        return True, seconds
    transitions.move(
        slot,
        to=Slot.State.SUBMITTED,
        by=labeler,
        labeler=labeler,
        active_seconds=seconds,
        submitted_at=db_now(),
        lease_expires_at=None,
        draft=None,
    )
    kept.delete()
    judged = {Slot.State.SUBMITTED, Slot.State.WITHDRAWN}
    left = Slot.objects.filter(task=slot.task_id).exclude(state__in=judged).exists()
    if not left and slot.task.state in {Task.State.OPEN, Task.State.PAUSED}:
        transitions.move(slot.task, to=Task.State.DONE, by=labeler)
    return False, seconds


def must_hold(*, slot: Slot, labeler: User, token: UUID) -> None:
    """LeaseLost unless this person holds a locked slot under this token."""
    if slot.state != Slot.State.LEASED or slot.labeler_id != labeler.pk or slot.lease_token != token:
        raise LeaseLost(_("This task is no longer yours: take the next one."))
