"""What the queue forgets of a person who is erased."""

from __future__ import annotations

from labeling.assignments import leases
from labeling.assignments.models import KeptDraft, Slot
from labeling.people.models import User


def forget(user: User) -> None:
    """What they had begun and not sent; the tasks they held go back to the queue."""
    slots = Slot.objects.select_for_update(of=("self",)).filter(labeler=user)
    for slot in slots.filter(state=Slot.State.LEASED):
        leases.release(slot, by=None, keep_draft=False)
    slots.exclude(draft=None).update(draft=None, draft_saved_at=None)
    drafts = KeptDraft.objects.filter(labeler=user)
    drafts.filter(late_at=None).delete()
    drafts.update(draft={})  # these say that the task was judged late: it is not offered again
