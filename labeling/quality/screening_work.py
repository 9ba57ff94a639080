"""Screening from the side of the person who qualifies: claim the next piece, answer the question."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.assignments import leases
from labeling.assignments.claim import restore_draft
from labeling.assignments.models import Skip, Slot, Task
from labeling.assignments.services import add_hidden_slots
from labeling.comparisons.services import order_slots
from labeling.core import audit, transitions
from labeling.core.clock import db_now
from labeling.core.errors import BadInput, NotAllowed
from labeling.people.models import User
from labeling.projects.models import Guideline, Membership, Project
from labeling.quality import screening_results as results
from labeling.quality.screening_decisions import settle
from labeling.quality.screening_models import Qualification, ScreeningItem, ScreeningPiece

MAX_ANSWER = 5000


@transaction.atomic
def claim_next(project: Project, labeler: User, guideline: Guideline | None) -> Slot | None:
    """Lease the first piece for this person that they have neither done nor skipped; decide, where the rule may, once there is none."""
    place = Membership.objects.select_related("project", "user").get(project=project, user=labeler)
    qualification, _created = Qualification.objects.get_or_create(membership=place)
    pieces = {piece.item_id: piece for piece in qualification.pieces.select_related("slot")}
    asked = list(results.items(project))
    skipped = set(Skip.objects.filter(labeler=labeler, task__screening_item__in=asked).values_list("task", flat=True))
    for item in asked:
        piece = pieces.get(item.pk)
        if item.task_id in skipped or not results.is_for(item, place) or is_over(piece, labeler):
            continue
        slot = free_slot(item, piece)
        ScreeningPiece.objects.update_or_create(qualification=qualification, item=item, defaults={"slot": slot})
        return lease(slot, labeler, guideline)
    settle(place)
    return None


def is_over(piece: ScreeningPiece | None, labeler: User) -> bool:
    """Whether the person has done the piece."""
    return piece is not None and results.is_done(piece, labeler)


def free_slot(item: ScreeningItem, piece: ScreeningPiece | None) -> Slot:
    """The piece's own slot while nobody has it, else a new one. A prompt's task stays paused, so that nobody else claims it."""
    task = Task.objects.select_for_update(no_key=True).get(pk=item.task_id)
    if piece is not None:
        own = leases.get_locked(piece.slot.public_id)
        if own.state in {Slot.State.OPEN, Slot.State.PAUSED}:
            return own
    made = add_hidden_slots(task=task, number=1, by=None)
    if item.control is not None:
        order_slots(item.control.comparison, made)
    elif task.state == Task.State.OPEN:
        transitions.move(task, to=Task.State.PAUSED)
    return leases.get_locked(made[0].public_id)


def lease(slot: Slot, labeler: User, guideline: Guideline | None) -> Slot:
    """Give a locked, free slot to this person, with what they had written before."""
    if slot.state == Slot.State.PAUSED:
        transitions.move(slot, to=Slot.State.OPEN, by=labeler)
    now = db_now()
    transitions.move(
        slot,
        to=Slot.State.LEASED,
        by=labeler,
        labeler=labeler,
        guideline=guideline,
        lease_token=uuid.uuid4(),
        leased_at=now,
        lease_expires_at=leases.lease_end(slot.project),
        draft=None,
        draft_saved_at=None,
        active_seconds=0,
    )
    restore_draft(slot)
    return slot


@transaction.atomic
def answer_question(*, project: Project, labeler: User, answer: str) -> Qualification:
    """Keep the person's answer; it can be changed until the decision."""
    answer = answer.strip()
    if not answer or len(answer) > MAX_ANSWER:
        raise BadInput(_("Answer in at most %(most)d characters.") % {"most": MAX_ANSWER}, field="answer")
    place = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("project", "user")
        .get(project=project, user=labeler)
    )
    if place.state != Membership.State.QUALIFYING:
        raise NotAllowed(_("Only people who are being screened are asked this."))
    qualification, _created = Qualification.objects.get_or_create(membership=place)
    qualification.answer, qualification.answered_at = answer, db_now()
    qualification.save(update_fields=["answer", "answered_at"])
    audit.record("answered screening", place, by=labeler, after={"characters": len(answer)})
    settle(place)
    return qualification
