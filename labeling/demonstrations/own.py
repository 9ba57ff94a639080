"""Writing both: a prompt of one's own, and the ideal answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.assignments import revisions, submit
from labeling.assignments import services as assignments
from labeling.assignments.models import Slot, TaskBatch
from labeling.core import audit
from labeling.core.errors import BadInput
from labeling.demonstrations import selectors, services
from labeling.demonstrations.models import OWN_KIND, Demonstration
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts import writing
from labeling.prompts.models import Prompt
from labeling.prompts.split import Message


def create_own_prompt_tasks(
    *,
    project: Project,
    brief: Prompt,
    number: int,
    by: User | None,
    priority: int = 0,
    title: str = "",
    round_number: int | None = None,
) -> TaskBatch:
    """`number` tasks that each ask for one prompt with its answer, all for one brief."""
    if brief.state != Prompt.State.BRIEF:
        raise BadInput(_("Give a brief, not a prompt."), field="brief")
    return assignments.create_tasks(
        project=project, kind=OWN_KIND, prompts=[brief] * number, overlap=1, priority=priority, title=title, by=by,
        round_number=round_number, settings={"prompt_kind": brief.kind},
    )  # fmt: skip


@transaction.atomic
def submit_own(
    *,
    slot_id: UUID,
    labeler: User,
    token: UUID,
    submission: UUID,
    messages: Sequence[Message],
    parts: dict[str, Any],
    text: str,
    active_seconds: int = 0,
) -> Demonstration:
    """Record one prompt with its answer and close the slot; repeating a submission returns the first one.

    `messages` is the prompt, `parts` the form it was written in. Raises BadInput naming `prompt` or `text`, Reused when the
    key came with other work, Conflict or NotFound when the slot is not this person's. Late work is kept, its prompt unused.
    """
    services.check_text(text)
    slot = submit.lock(slot_id=slot_id)
    if earlier := Demonstration.objects.filter(submission=submission).first():
        is_equal = (earlier.text, earlier.prompt.messages) == (text, list(messages))
        return submit.check_same(earlier, slot=slot, labeler=labeler, is_equal=is_equal)
    late, seconds = submit.finish(slot=slot, labeler=labeler, token=token, active_seconds=active_seconds)
    prompt = writing.write_prompt(brief=slot.task.prompt, messages=messages, parts=parts, active=not late)
    made = services.store(
        slot=slot, prompt=prompt, labeler=labeler, submission=submission, text=text, active_seconds=seconds, late=late
    )  # fmt: skip
    audit.record("submitted", made, by=labeler, after={"late": late})
    return made


@transaction.atomic
def revise_own(
    *,
    slot_id: UUID,
    labeler: User,
    submission: UUID,
    messages: Sequence[Message],
    parts: dict[str, Any],
    text: str,
    active_seconds: int = 0,
    by: User | None = None,
) -> Demonstration:
    """Replace prompt and answer by a new revision; prompts never change, so a changed one is another row.

    `by` is who edits, the labeler unless given. Raises as `submit_own` does, and Frozen once a snapshot holds the newest revision.
    """
    services.check_text(text)
    slot = revisions.lock(slot_id=slot_id, labeler=labeler)
    if earlier := Demonstration.objects.filter(submission=submission).first():
        is_equal = (earlier.text, earlier.prompt.messages) == (text, list(messages))
        return submit.check_same(earlier, slot=slot, labeler=labeler, is_equal=is_equal)
    newest = revisions.must_be_open(selectors.newest(slot), labeler=labeler)
    revisions.finish(slot, active_seconds=active_seconds)
    prompt = newest.prompt
    if prompt.messages != list(messages):
        writing.retire(prompt, by=by or labeler)
        prompt = writing.write_prompt(brief=slot.task.prompt, messages=messages, parts=parts)
    made = services.store(
        slot=slot, prompt=prompt, labeler=labeler, submission=submission, text=text,
        active_seconds=slot.active_seconds, supersedes=newest,
    )  # fmt: skip
    audit.record("revised", made, by=by or labeler, before={"revision": newest.pk})
    return made


def said_own(slot: Slot) -> dict[str, Any]:
    """What the slot's holder submitted, newest revision, as the draft of its form."""
    newest = selectors.newest(slot)
    parts: dict[str, Any] = newest.prompt.metadata.get("parts", {}) if newest else {}
    return {**parts, **services.said(slot)}


@transaction.atomic
def recall_own(slot: Slot) -> dict[str, Any]:
    """Delete prompt and answer of a slot, all revisions, and return them as a draft; fails when somebody uses one."""
    draft = said_own(slot)
    prompts = list(Prompt.objects.filter(demonstrations__slot=slot, demonstrations__late=False).distinct())
    services.delete(slot)
    for prompt in prompts:
        prompt.delete()
    return draft
