"""A project with submitted work, made without the screens."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from labeling.assignments.models import Slot, Task
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Comparison, ComparisonItem, Completion, RankedItem, Ranking, Rating
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Membership, Project
from tests.factories import MembershipFactory, ProjectFactory, PromptFactory


@pytest.fixture
def project(db: None) -> Project:
    """An empty project."""
    return ProjectFactory()


@pytest.fixture
def labeler(project: Project) -> Membership:
    """One contractor."""
    return MembershipFactory(project=project)


def submitted_slot(task: Task, labeler: Membership) -> Slot:
    """A slot that this person has filled."""
    return Slot.objects.create(
        task=task,
        ordinal=task.slots.count(),
        project=task.project,
        kind=task.kind,
        state=Slot.State.SUBMITTED,
        labeler=labeler.user,
        submitted_at=timezone.now(),
    )


@pytest.fixture
def demonstrate(project: Project, labeler: Membership) -> Callable[..., Demonstration]:
    """Write a demonstration for a new prompt (or for `prompt`)."""

    def make(
        text: str = "An answer.", prompt: Any = None, author: Membership = labeler, **fields: Any
    ) -> Demonstration:
        prompt = prompt or PromptFactory(project=project, split=fields.pop("split", "train"))
        task = Task.objects.create(
            project=project, kind="demonstration", prompt=prompt, round_number=fields.pop("round_number", 1)
        )
        return Demonstration.objects.create(
            project=project,
            prompt=prompt,
            task=task,
            slot=submitted_slot(task, author),
            labeler=author.user,
            submission=uuid.uuid4(),
            text=text,
            **fields,
        )

    return make


@pytest.fixture
def rank(project: Project, labeler: Membership) -> Callable[..., Ranking]:
    """Rank completions of a new prompt: `ranks[i]` is the place of text i."""

    def make(
        ranks: list[int], *, split: str = "train", purpose: str = "training", strength: int | None = None
    ) -> Ranking:
        policy, _ = Checkpoint.objects.get_or_create(project=project, kind="policy", name="sft-1", path="x")
        prompt = PromptFactory(project=project, split=split)
        task = Task.objects.create(project=project, kind="comparison", prompt=prompt, round_number=1)
        comparison = Comparison.objects.create(task=task, purpose=purpose)
        ranking = Ranking.objects.create(
            project=project,
            comparison=comparison,
            slot=submitted_slot(task, labeler),
            labeler=labeler.user,
            submission=uuid.uuid4(),
            strength=strength,
        )
        for position, place in enumerate(ranks):
            completion = Completion.objects.create(
                project=project,
                prompt=prompt,
                checkpoint=policy,
                text=f"text {position}",
                finish_reason="stop",
                token_count=3,
                logprob=-1.5,
                temperature=1,
                top_p=1,
                max_new_tokens=8,
            )
            ComparisonItem.objects.create(comparison=comparison, completion=completion, position=position)
            RankedItem.objects.create(ranking=ranking, completion=completion, rank=place)
            Rating.objects.create(
                ranking=ranking,
                completion=completion,
                quality=8 - place - 1,
                flags=["opinion"] if position == 0 else [],
            )
        return ranking

    return make
