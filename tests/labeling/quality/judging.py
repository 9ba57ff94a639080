"""Rankings as rows, without the way through claim and submit."""

from __future__ import annotations

import uuid
from typing import Any

from labeling.assignments.models import Slot, Task, TaskBatch
from labeling.comparisons.models import (
    Comparison,
    ComparisonItem,
    Completion,
    DisplayOrder,
    RankedItem,
    Ranking,
    Rating,
)
from labeling.people.models import User
from labeling.projects.models import Guideline, Project
from tests.factories import PromptFactory, completions_of


def comparison_of(project: Project, k: int = 3, *, round_number: int | None = 1, **fields: Any) -> Comparison:
    """A comparison of K completions of a new prompt, in a batch of its own."""
    prompt = PromptFactory(project=project)
    batch = TaskBatch.objects.create(project=project, kind="comparison", round_number=round_number)
    task = Task.objects.create(
        project=project, batch=batch, kind="comparison", prompt=prompt, overlap=9, round_number=round_number
    )
    comparison = Comparison.objects.create(task=task, **fields)
    rows = completions_of(prompt, k)
    ComparisonItem.objects.bulk_create(
        ComparisonItem(comparison=comparison, completion=row, position=at) for at, row in enumerate(rows, start=1)
    )
    return comparison


def answers(comparison: Comparison) -> list[Completion]:
    """Its completions in stored order."""
    return [item.completion for item in comparison.items.select_related("completion")]


def rank(
    comparison: Comparison,
    labeler: User,
    *ranks: int,
    shown: tuple[int, ...] = (),
    qualities: tuple[int, ...] = (),
    guideline: Guideline | None = None,
    **fields: Any,
) -> Ranking:
    """One submitted ranking; `ranks`, `shown` places and `qualities` in the stored order of completions."""
    task = comparison.task
    slot = Slot.objects.create(task=task, ordinal=task.slots.count() + 1, project=task.project, kind=task.kind)
    rows = answers(comparison)
    DisplayOrder.objects.bulk_create(
        DisplayOrder(slot=slot, completion=row, place=place)
        for row, place in zip(rows, shown or range(1, len(rows) + 1), strict=True)
    )
    fields = {"slot": slot, "active_seconds": 30, **fields}
    made = Ranking.objects.create(
        project=task.project, comparison=comparison, labeler=labeler, guideline=guideline,
        submission=uuid.uuid4(), **fields,
    )  # fmt: skip
    RankedItem.objects.bulk_create(
        RankedItem(ranking=made, completion=row, rank=place) for row, place in zip(rows, ranks, strict=True)
    )
    Rating.objects.bulk_create(
        Rating(ranking=made, completion=row, quality=quality) for row, quality in zip(rows, qualities, strict=False)
    )
    return made
