"""Batches of tasks: create, pause, resume, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from labeling.assignments import kinds, leases
from labeling.assignments.models import HIDDEN_PRIORITY, Slot, Task, TaskBatch
from labeling.core import audit, transitions
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts.models import Prompt

MAX_OVERLAP = 20
MAX_PRIORITY = 1000
CHUNK = 1000


@transaction.atomic
def create_tasks(
    *,
    project: Project,
    kind: str,
    prompts: Sequence[Prompt],
    overlap: int | None = None,
    priority: int = 0,
    title: str = "",
    by: User | None = None,
    round_number: int | None = None,
    settings: dict[str, Any] | None = None,
) -> TaskBatch:
    """One task per prompt, in the order given, and `overlap` slots per task (the project's number unless given)."""
    overlap = project.overlap if overlap is None else overlap
    known = kinds.named(kind)
    check_batch(project=project, prompts=prompts, overlap=overlap, priority=priority)
    batch = TaskBatch.objects.create(
        project=project,
        kind=kind,
        title=title.strip()[:120] or known.counted(len(prompts)),
        settings={**(settings or {}), "overlap": overlap, "priority": priority},
        round_number=round_number,
        created_by=by,
    )
    same = {"project": project, "kind": kind, "priority": priority}
    for start in range(0, len(prompts), CHUNK):
        tasks = Task.objects.bulk_create(
            Task(batch=batch, prompt=prompt, overlap=overlap, round_number=round_number, **same)
            for prompt in prompts[start : start + CHUNK]
        )
        Slot.objects.bulk_create(
            Slot(task=task, batch=batch, ordinal=ordinal, **same) for task in tasks for ordinal in range(1, overlap + 1)
        )
    audit.record("created", batch, by=by, after={"kind": kind, "tasks": len(prompts), "overlap": overlap})
    return batch


def check_batch(*, project: Project, prompts: Sequence[Prompt], overlap: int, priority: int) -> None:
    """BadInput naming the field unless a batch of these can be created."""
    if not prompts:
        raise BadInput(_("No prompt fits: there is nothing to create a task from."), field="prompts")
    if not 1 <= overlap <= MAX_OVERLAP:
        raise BadInput(_("Judgements per task must be from 1 to %(most)s.") % {"most": MAX_OVERLAP}, field="overlap")
    if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        raise BadInput(
            _("Priority must be from -%(most)s to %(most)s.") % {"most": MAX_PRIORITY},
            field="priority",
        )
    for prompt in prompts:
        if prompt.project_id != project.pk:
            raise BadInput(
                _("Prompt %(public_id)s belongs to another project.") % {"public_id": prompt.public_id}, field="prompts"
            )
        if prompt.state not in {Prompt.State.ACTIVE, Prompt.State.BRIEF}:
            raise BadInput(
                _("Prompt %(public_id)s is %(state)s: only active prompts get tasks.")
                % {"public_id": prompt.public_id, "state": prompt.get_state_display().lower()},
                field="prompts",
            )


@transaction.atomic
def add_hidden_slots(*, task: Task, number: int, by: User | None) -> list[Slot]:
    """Ask `number` more people about a locked task, out of turn: a share of claims finds these slots, nobody else does."""
    last = Slot.objects.filter(task=task).aggregate(last=Max("ordinal"))["last"] or 0
    state = Slot.State.PAUSED if task.state == Task.State.PAUSED else Slot.State.OPEN
    same = {
        "project_id": task.project_id,
        "batch_id": task.batch_id,
        "kind": task.kind,
        "priority": HIDDEN_PRIORITY,
        "state": state,
    }
    slots = [Slot(task=task, ordinal=last + place, **same) for place in range(1, number + 1)]
    task.overlap += number
    task.save(update_fields=["overlap"])
    if task.state == Task.State.DONE:
        transitions.move(task, to=Task.State.OPEN, by=by)
    return Slot.objects.bulk_create(slots)


@transaction.atomic
def pause_batch(batch: TaskBatch, by: User | None) -> int:
    """Hand out no more of this batch; work in progress may be finished. Returns how many tasks were paused."""
    return _switch(batch, by, verb="paused", tasks=("open", "paused"), slots=("open", "paused"))


@transaction.atomic
def resume_batch(batch: TaskBatch, by: User | None) -> int:
    """Hand out a paused batch again. Returns how many tasks were resumed."""
    return _switch(batch, by, verb="resumed", tasks=("paused", "open"), slots=("paused", "open"))


@transaction.atomic
def prioritise_batch(batch: TaskBatch, *, priority: int, by: User | None) -> int:
    """Give what is not done yet another place in the queue, higher first; hidden controls stay hidden. Returns how many tasks."""
    if not -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        raise BadInput(
            _("Priority must be from -%(most)s to %(most)s.") % {"most": MAX_PRIORITY},
            field="priority",
        )
    chosen = _lock_tasks(batch, "open", "paused")
    changed = Task.objects.filter(pk__in=chosen).update(priority=priority)
    waiting = Slot.objects.filter(task__in=chosen, priority__gt=HIDDEN_PRIORITY)
    waiting.exclude(state__in=("submitted", "withdrawn")).update(priority=priority)
    if changed:
        audit.record("prioritised", batch, by=by, after={"tasks": changed, "priority": priority})
    return changed


def _switch(batch: TaskBatch, by: User | None, *, verb: str, tasks: tuple[str, str], slots: tuple[str, str]) -> int:
    chosen = _lock_tasks(batch, tasks[0])
    # A lease that ends in this very moment has looked at its task already: wait until its slot is back.
    list(Slot.objects.select_for_update().filter(task__in=chosen, state="leased").values_list("pk", flat=True))
    changed = Task.objects.filter(pk__in=chosen).update(state=tasks[1])
    Slot.objects.filter(task__in=chosen, state=slots[0]).update(state=slots[1])
    if changed:
        audit.record(verb, batch, by=by, after={"tasks": changed})
    return changed


def _lock_tasks(batch: TaskBatch, *states: str) -> list[int]:
    locked = Task.objects.select_for_update(no_key=True).filter(batch=batch, state__in=states)
    return list(locked.order_by("id").values_list("id", flat=True))


@transaction.atomic
def withdraw_batch(batch: TaskBatch, by: User | None) -> dict[str, int]:
    """Take what is not judged yet out for good; submitted work stays, drafts are kept. Returns counts of tasks and slots."""
    chosen = _lock_tasks(batch, "open", "paused")
    open_slots = Slot.objects.filter(task__in=chosen)
    leased = list(open_slots.select_for_update(of=("self",)).select_related("labeler").filter(state="leased"))
    for slot in leased:
        if slot.labeler is not None:
            leases.keep(slot=slot, labeler=slot.labeler, draft=slot.draft)
    gone = open_slots.filter(state__in=("open", "paused")).update(state="withdrawn")
    gone += Slot.objects.filter(pk__in=[slot.pk for slot in leased]).update(
        state="withdrawn", labeler=None, lease_expires_at=None
    )
    counts = {"tasks": Task.objects.filter(pk__in=chosen).update(state="withdrawn"), "slots": gone}
    if counts["tasks"]:
        audit.record("withdrawn", batch, by=by, after=counts)
    return counts
