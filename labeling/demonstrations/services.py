"""Writing demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.assignments import revisions, submit
from labeling.assignments import services as assignments
from labeling.assignments.models import Slot, TaskBatch
from labeling.core import audit
from labeling.core.errors import BadInput, Reused
from labeling.demonstrations import selectors
from labeling.demonstrations.checks import checks_of
from labeling.demonstrations.models import KIND, Demonstration
from labeling.people.models import User
from labeling.projects.flags import check_prompt_flags
from labeling.projects.models import Project
from labeling.prompts.models import Prompt

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
    *, slot_id: UUID, labeler: User, token: UUID, submission: UUID, text: str, prompt_flags: Sequence[str] = (),
    active_seconds: int = 0,
) -> Demonstration:  # fmt: skip
    """Record one demonstration and close its slot; repeating a submission returns the first one.

    Raises Reused when the key came with another text, Conflict or NotFound when the slot is not this person's (any more).
    Work for a slot that somebody else has meanwhile is kept with `late` set.
    """
    check_text(text)
    flags = sorted(check_prompt_flags(prompt_flags))
    slot = submit.lock(slot_id=slot_id)
    if earlier := Demonstration.objects.filter(submission=submission).first():
        is_equal = (earlier.text, earlier.prompt_flags) == (text, flags)
        return submit.check_same(earlier, slot=slot, labeler=labeler, is_equal=is_equal)
    late, seconds = submit.finish(slot=slot, labeler=labeler, token=token, active_seconds=active_seconds)
    made = store(
        slot=slot, labeler=labeler, submission=submission, text=text, prompt_flags=flags, active_seconds=seconds,
        late=late,
    )  # fmt: skip
    audit.record("submitted", made, by=labeler, after={"late": late})
    return made


@transaction.atomic
def revise_demonstration(
    *, slot_id: UUID, labeler: User, submission: UUID, text: str, prompt_flags: Sequence[str] = (),
    active_seconds: int = 0, by: User | None = None,
) -> Demonstration:  # fmt: skip
    """Replace what `labeler` submitted for the slot by a new revision; repeating a submission returns the first one.

    `by` is who edits, the labeler unless given: a reviewer's edit stays the labeler's work. Raises Frozen once a snapshot
    holds the newest revision, Conflict or NotFound unless the slot is submitted by this labeler.
    """
    check_text(text)
    flags = sorted(check_prompt_flags(prompt_flags))
    slot = revisions.lock(slot_id=slot_id, labeler=labeler)
    if earlier := Demonstration.objects.filter(submission=submission).first():
        is_equal = (earlier.text, earlier.prompt_flags) == (text, flags)
        return submit.check_same(earlier, slot=slot, labeler=labeler, is_equal=is_equal)
    newest = revisions.must_be_open(selectors.newest(slot), labeler=labeler)
    revisions.finish(slot, active_seconds=active_seconds)
    made = store(
        slot=slot, labeler=labeler, submission=submission, text=text, prompt_flags=flags,
        active_seconds=slot.active_seconds, supersedes=newest,
    )  # fmt: skip
    audit.record("revised", made, by=by or labeler, before={"revision": newest.pk})
    return made


def store(
    *,
    slot: Slot,
    labeler: User,
    submission: UUID,
    text: str,
    active_seconds: int,
    prompt_flags: Sequence[str] = (),
    late: bool = False,
    supersedes: Demonstration | None = None,
    prompt: Prompt | None = None,
) -> Demonstration:
    """Insert one row, for the task's prompt unless another is given; Reused when its key was used in this very moment."""
    try:
        with transaction.atomic():
            return Demonstration.objects.create(
                project_id=slot.project_id,
                prompt=prompt or slot.task.prompt,
                task=slot.task,
                slot=slot,
                labeler=labeler,
                guideline=slot.guideline,
                submission=submission,
                text=text,
                prompt_flags=list(prompt_flags),
                active_seconds=active_seconds,
                late=late,
                supersedes=supersedes,
            )
    except IntegrityError as problem:
        raise Reused(_("This submission key was already used for other work.")) from problem


def check_text(text: str) -> None:
    """BadInput unless this is text that can be stored and is worth storing."""
    if not text.strip():
        raise BadInput(_("Write an answer first."), field="text")
    if len(text) > MAX_TEXT:
        raise BadInput(
            _("The answer has %(text)s characters; at most %(most)s fit.")
            % {"text": f"{len(text):,}", "most": f"{MAX_TEXT:,}"},
            field="text",
        )
    if "\x00" in text:
        raise BadInput(_("The answer holds a NUL character: remove it."), field="text")


def said(slot: Slot) -> dict[str, Any]:
    """What the slot's holder submitted, as the draft of its form: all checks ticked, for they gated it."""
    newest = selectors.newest(slot)
    number = len(checks_of(slot.guideline.body if slot.guideline else ""))
    flags = {"prompt_flag": newest.prompt_flags} if newest and newest.prompt_flags else {}
    return {"text": newest.text if newest else "", "check": [str(at) for at in range(number)], **flags}


def is_frozen(slot: Slot) -> bool:
    """Whether what the slot's holder submitted can no longer be changed."""
    return not revisions.is_open(selectors.newest(slot), labeler=slot.labeler)


def recall_demonstration(slot: Slot) -> dict[str, Any]:
    """Delete the demonstration of a slot, all revisions, and return it as a draft; fails when a snapshot holds one."""
    draft = {name: value for name, value in said(slot).items() if name != "check"}
    delete(slot)
    return draft


def delete(slot: Slot) -> None:
    """Delete every revision, newest first; fails when a snapshot holds one or a reviewer wrote one."""
    while newest := selectors.newest(slot):
        revisions.must_be_open(newest, labeler=slot.labeler)
        newest.delete()


# ---- answers written beside other work


def keep_aside(*, slot: Slot, labeler: User, submission: UUID, text: str, late: bool) -> None:
    """Keep an answer that was written beside another kind's work as a demonstration of the slot's prompt; empty text removes it."""
    newest = None if late else selectors.newest(slot)
    if text == (newest.text if newest else ""):
        return
    if newest is not None:
        revisions.must_be_open(newest, labeler=labeler)
    if not text:
        delete(slot)
        return
    check_text(text)
    key = uuid5(submission, "aside")
    made = store(
        slot=slot, labeler=labeler, submission=key, text=text, active_seconds=0, late=late, supersedes=newest
    )  # fmt: skip
    audit.record("submitted", made, by=labeler, after={"late": late, "beside": slot.kind})


def said_aside(slot: Slot, labeler: User) -> str:
    """The newest text that this labeler wrote beside the slot's work, or ""."""
    mine = selectors.newest(slot) if slot.labeler_id == labeler.pk else selectors.sent_late(slot, labeler)
    return mine.text if mine else ""
