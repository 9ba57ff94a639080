"""Comparisons: K completions of one prompt become a task. Storing completions and submitting rankings stand in modules of their own."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.assignments import services as assignments
from labeling.assignments.models import Slot, TaskBatch
from labeling.comparisons import held_back
from labeling.comparisons.completions import store_completions
from labeling.comparisons.models import Comparison, ComparisonItem, Completion, DisplayOrder
from labeling.comparisons.ranking import revise_ranking, submit_ranking
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.projects.models import Project

__all__ = [
    "KIND",
    "create_comparisons",
    "hold_back_leaks",
    "order_slots",
    "revise_ranking",
    "store_completions",
    "submit_ranking",
]

KIND = "comparison"
MIN_K, MAX_K = 2, 9


@transaction.atomic
def create_comparisons(
    *,
    project: Project,
    groups: Sequence[Sequence[Completion]],
    by: User | None,
    overlap: int | None = None,
    priority: int = 0,
    purpose: str = "training",
    title: str = "",
    round_number: int | None = None,
) -> TaskBatch:
    """One task per group of 2 to 9 completions of one prompt; every slot gets a random order of its own.

    Completions that give their model away are held back first; `batch.settings` counts them (`held_back`) and the groups
    that had too few left (`dropped`). Raises BadInput naming what is wrong with a group; nothing is created then.
    """
    if purpose not in Comparison.Purpose.values:
        raise BadInput(
            _("Purpose must be one of %(values)s.") % {"values": ", ".join(Comparison.Purpose.values)}, field="purpose"
        )
    for number, group in enumerate(groups, start=1):
        check_group(project=project, group=group, number=number)
    held_back.remember(project, held_back.leaking(project, [row for group in groups for row in group]))
    kept, held = hold_back_leaks(groups, purpose=purpose)
    if groups and not kept:
        raise BadInput(
            _("Every group has completions that name their model: nothing is left to compare."), field="completions"
        )
    batch = assignments.create_tasks(
        project=project,
        kind=KIND,
        prompts=[group[0].prompt for group in kept],
        overlap=overlap,
        priority=priority,
        title=title,
        by=by,
        round_number=round_number,
        settings={"purpose": purpose, "held_back": held, "dropped": len(groups) - len(kept)},
    )
    attach(batch=batch, groups=kept, purpose=purpose)
    return batch


def check_group(*, project: Project, group: Sequence[Completion], number: int) -> None:
    """BadInput unless these are 2 to 9 different completions of one prompt of the project."""
    where = _("Group %(number)d") % {"number": number}
    if not MIN_K <= len(group) <= MAX_K:
        raise BadInput(
            _("%(where)s has %(group)s completions: a comparison takes %(least)s to %(most)s.")
            % {"where": where, "group": len(group), "least": MIN_K, "most": MAX_K},
            field="k",
        )
    if len({completion.pk for completion in group}) != len(group):
        raise BadInput(_("%(where)s holds the same completion twice.") % {"where": where}, field="completions")
    if len({completion.prompt_id for completion in group}) != 1:
        raise BadInput(_("%(where)s mixes completions of different prompts.") % {"where": where}, field="completions")
    if any(completion.project_id != project.pk for completion in group):
        raise BadInput(_("%(where)s holds a completion of another project.") % {"where": where}, field="completions")


def hold_back_leaks(
    groups: Sequence[Sequence[Completion]], *, purpose: str = "training"
) -> tuple[list[list[Completion]], int]:
    """The groups without completions that name their model, and how many were held back.

    A group needs 2 completions to stay; one for evaluation also needs 2 checkpoints where it had them.
    """
    everything = [row for group in groups for row in group]
    leaks = held_back.leaking(everything[0].project, everything) if everything else {}
    kept: list[list[Completion]] = []
    for group in groups:
        clean = [row for row in group if row.pk not in leaks]
        one_sided = len({row.checkpoint_id for row in group}) > 1 and len({row.checkpoint_id for row in clean}) == 1
        if len(clean) >= MIN_K and not (purpose == Comparison.Purpose.EVALUATION and one_sided):
            kept.append(clean)
    return kept, len(leaks)


def attach(*, batch: TaskBatch, groups: Sequence[Sequence[Completion]], purpose: str) -> None:
    """Give each task of a fresh batch its completions and each of its slots the order it will show them in."""
    tasks = list(batch.tasks.order_by("id"))
    made = Comparison.objects.bulk_create(Comparison(task=task, purpose=purpose) for task in tasks)
    ComparisonItem.objects.bulk_create(
        (
            ComparisonItem(comparison=comparison, completion=completion, position=position)
            for comparison, group in zip(made, groups, strict=True)
            for position, completion in enumerate(group, start=1)
        ),
        batch_size=2000,
    )
    group_of = dict(zip((task.pk for task in tasks), groups, strict=True))
    slots = Slot.objects.filter(task__batch=batch).order_by("id").values_list("pk", "task_id")
    draw_orders((slot_id, group_of[task_id]) for slot_id, task_id in slots)


def order_slots(comparison: Comparison, slots: Iterable[Slot]) -> None:
    """Give slots that were added to a comparison the order each of them will show."""
    group = list(comparison.completions.order_by("pk"))
    draw_orders((slot.pk, group) for slot in slots)


def draw_orders(slots: Iterable[tuple[int, Sequence[Completion]]]) -> None:
    """A random order of the completions for each (slot id, completions)."""
    shuffled = random.SystemRandom()
    DisplayOrder.objects.bulk_create(
        (
            DisplayOrder(slot_id=slot_id, completion=completion, place=place)
            for slot_id, group in slots
            for place, completion in enumerate(shuffled.sample(group, len(group)), start=1)
        ),
        batch_size=2000,
    )
