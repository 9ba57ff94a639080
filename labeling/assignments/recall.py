"""Taking a submission back within seconds, as long as nothing was built on it."""

from __future__ import annotations

import uuid
from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError, RestrictedError
from django.utils.translation import gettext as _

from labeling.assignments import kinds, leases, submit
from labeling.assignments.models import Slot, Task
from labeling.core import audit, transitions
from labeling.core.clock import db_now
from labeling.core.errors import Conflict, NotFound
from labeling.people.models import User
from labeling.projects.models import Membership

OFFERED_SECONDS = 10  # how long the page offers it
ALLOWED_SECONDS = 20  # how long the server accepts it: slow networks included


@transaction.atomic
def recall_slot(*, slot_id: UUID, labeler: User) -> Slot:
    """Delete what this person submitted for the slot and lease it to them again with it as their draft.

    Work they hold meanwhile goes back to the queue with its draft kept. Raises Conflict once the time is over or the work is used.
    """
    project_id = Slot.objects.filter(public_id=slot_id, labeler=labeler).values_list("project_id", flat=True).first()
    if project_id is None:
        raise NotFound(_("There is no such task among yours."))
    list(Membership.objects.select_for_update(no_key=True).filter(project=project_id, user=labeler))
    slot = submit.lock(slot_id=slot_id)
    if slot.state == Slot.State.LEASED and slot.labeler_id == labeler.pk:
        return slot
    if slot.state != Slot.State.SUBMITTED or slot.labeler_id != labeler.pk or slot.submitted_at is None:
        raise Conflict(_("This work cannot be taken back."))
    if (db_now() - slot.submitted_at).total_seconds() > ALLOWED_SECONDS:
        raise Conflict(_("It is too late to take this back."))
    try:
        draft = kinds.named(slot.kind).recall(slot)
    except (ProtectedError, RestrictedError) as problem:
        raise Conflict(_("It is too late to take this back: it is already part of a dataset.")) from problem
    if held := leases.live_lease(project=slot.project, labeler=labeler):
        leases.release(held, by=labeler)
    if slot.task.state == Task.State.DONE:
        transitions.move(slot.task, to=Task.State.OPEN, by=labeler)
    end = leases.lease_end(slot.project)
    fresh = {"lease_token": uuid.uuid4(), "lease_expires_at": end, "submitted_at": None}
    transitions.move(slot, to=Slot.State.LEASED, by=labeler, draft=draft, draft_saved_at=db_now(), **fresh)
    audit.record("recalled", slot, by=labeler)
    return slot
