"""Writing demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from labeling.assignments import services as assignments
from labeling.assignments import submit
from labeling.assignments.models import Slot, TaskBatch
from labeling.core import audit
from labeling.core.errors import BadInput, Conflict, Reused
from labeling.demonstrations.models import Demonstration
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts.models import Prompt

KIND = "demonstration"
MAX_TEXT = 100_000


def create_demonstration_tasks(
    *,
    project: Project,
    prompts: Sequence[Prompt],
    by: User | None,
    overlap: int | None = None,
    priority: int = 0,
    title: str = "",
    round_number: int | None = None,
) -> TaskBatch:
    """One task per prompt: write the ideal answer. Overlap is 1 unless given: one good answer per prompt is the aim."""
    return assignments.create_tasks(
        project=project,
        kind=KIND,
        prompts=prompts,
        overlap=1 if overlap is None else overlap,
        priority=priority,
        title=title,
        by=by,
        round_number=round_number,
    )


@transaction.atomic
def submit_demonstration(
    *, slot_id: UUID, labeler: User, token: UUID, submission: UUID, text: str, active_seconds: int = 0
) -> Demonstration:
    """Record one demonstration and close its slot; repeating a submission returns the first one.

    Raises Reused when the key came with another text, Conflict or NotFound when the slot is not this person's (any more).
    Work for a slot that somebody else has meanwhile is kept with `late` set.
    """
    check_text(text)
    slot = submit.lock(slot_id=slot_id)
    if earlier := Demonstration.objects.filter(submission=submission).first():
        return check_same(earlier, labeler=labeler, slot=slot, text=text)
    late = submit.is_late(slot=slot, labeler=labeler, token=token)
    submit.finish(slot=slot, labeler=labeler, active_seconds=active_seconds, late=late)
    try:
        with transaction.atomic():
            made = Demonstration.objects.create(
                project_id=slot.project_id,
                prompt=slot.task.prompt,
                task=slot.task,
                slot=slot,
                labeler=labeler,
                guideline=slot.guideline,
                submission=submission,
                text=text,
                active_seconds=active_seconds if late else slot.active_seconds,
                late=late,
            )
    except IntegrityError as problem:  # the key was used for another slot in this very moment
        raise Reused("This submission key was already used for other work.") from problem
    audit.record("submitted", made, by=labeler, after={"late": late})
    return made


def check_text(text: str) -> None:
    """BadInput unless this is text that can be stored and is worth storing."""
    if not text.strip():
        raise BadInput("Write an answer first.", field="text")
    if len(text) > MAX_TEXT:
        raise BadInput(f"The answer has {len(text):,} characters; at most {MAX_TEXT:,} fit.", field="text")
    if "\x00" in text:
        raise BadInput("The answer holds a NUL character: remove it.", field="text")


def check_same(earlier: Demonstration, *, labeler: User, slot: Slot, text: str) -> Demonstration:
    """The earlier row when the repeated submission says the same; Conflict or Reused otherwise."""
    if earlier.labeler_id != labeler.pk:
        raise Conflict("This submission key belongs to somebody else's work.")
    if earlier.slot_id != slot.pk or earlier.text != text:
        raise Reused("This submission key already came with other work: reload the page and submit again.")
    return earlier


def recall_demonstration(slot: Slot) -> dict[str, Any]:
    """Delete the demonstration of a slot and return it as a draft; fails when a snapshot holds it."""
    made = Demonstration.objects.get(slot=slot, late=False, labeler=slot.labeler)
    draft = {"text": made.text}
    made.delete()
    return draft
