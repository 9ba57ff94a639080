"""Passing on a task: it costs nothing, wants a reason, and the person never sees the task again."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.assignments import leases, submit
from labeling.assignments.models import KeptDraft, Skip, Slot
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.prompts import quarantine

MAX_NOTE = 500


@transaction.atomic
def skip_slot(*, slot_id: UUID, labeler: User, token: UUID, reason: str, note: str = "") -> Skip:
    """Give the slot to somebody else; repeating it changes nothing. Raises LeaseLost when the slot is not theirs (any more).

    A prompt with personal data is set aside at once: nobody gets a task of it before a person has decided (PRIV-1).
    """
    if reason not in Skip.Reason.values:
        raise BadInput(_("Choose a reason for skipping."), field="reason")
    if len(note) > MAX_NOTE:
        raise BadInput(_("The note may have at most %(most)s characters.") % {"most": MAX_NOTE}, field="note")
    slot = leases.get_locked(slot_id)
    if earlier := Skip.objects.filter(task=slot.task_id, labeler=labeler).first():
        return earlier
    submit.must_hold(slot=slot, labeler=labeler, token=token)
    skip = Skip.objects.create(task_id=slot.task_id, labeler=labeler, reason=reason, note=note.strip())
    leases.release(slot, by=labeler, keep_draft=False)
    KeptDraft.objects.filter(task=slot.task_id, labeler=labeler).delete()
    Slot.objects.filter(pk=slot.pk).update(lease_token=None)
    if reason == Skip.Reason.PERSONAL:
        quarantine.report(slot.task.prompt, by=labeler)
    return skip
