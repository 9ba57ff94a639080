"""Changing submitted work: an edit is a new revision, until a dataset holds the one it would replace."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.assignments import leases, submit
from labeling.assignments.models import Slot
from labeling.core.errors import Conflict, Frozen, NotFound
from labeling.people.models import User


class Revision(Protocol):
    """One revision of submitted work. Datasets stand right of us: their members are reached through the reverse relation."""

    labeler_id: int

    @property
    def snapshots(self) -> Any:
        """The snapshot rows that hold this revision."""


AnyRevision = TypeVar("AnyRevision", bound=Revision)


def lock(*, slot_id: UUID, labeler: User) -> Slot:
    """Lock the submitted slot whose work this labeler wrote; Conflict or NotFound for any other."""
    slot = submit.lock(slot_id=slot_id)
    if slot.labeler_id != labeler.pk:
        raise NotFound(_("There is no such task among yours."))
    if slot.state != Slot.State.SUBMITTED:
        raise Conflict(_("This task is not submitted: go on with it instead."))
    return slot


def is_open(newest: Revision | None, *, labeler: User | None) -> bool:
    """Whether this labeler may replace the newest revision: it is theirs, and no snapshot holds it."""
    return (
        newest is not None and labeler is not None and newest.labeler_id == labeler.pk and not newest.snapshots.exists()
    )


def must_be_open(newest: AnyRevision | None, *, labeler: User | None) -> AnyRevision:
    """The newest revision when this labeler may replace it. Frozen when a snapshot holds it: what was trained on stays as it was."""
    if newest is None or labeler is None:
        raise NotFound(_("There is no work of yours for this task."))
    if newest.labeler_id != labeler.pk:
        raise Conflict(_("A reviewer has put another version in its place: it can no longer be changed."))
    if newest.snapshots.exists():
        raise Frozen(
            _("This work is part of a dataset by now and can no longer be changed. Tell an admin if it is wrong.")
        )
    return newest


@transaction.atomic
def discard(*, slot_id: UUID, labeler: User) -> None:
    """Forget the draft of an edit; what was submitted stays as it is."""
    slot = lock(slot_id=slot_id, labeler=labeler)
    finish(slot, active_seconds=slot.active_seconds)


def finish(slot: Slot, *, active_seconds: int) -> None:
    """Close an edit: its draft goes, its time counts, the first submission's included; no more than the wall time since the claim."""
    slot.active_seconds = max(leases.credited(active_seconds, since=slot.leased_at), slot.active_seconds)
    slot.draft = slot.draft_saved_at = None
    slot.save(update_fields=["active_seconds", "draft", "draft_saved_at"])
