"""The project that `make run` shows: demonstrations to write and completions to rank, before any run."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from labeling.checkpoints import selectors as registry
from labeling.comparisons import services as comparisons
from labeling.comparisons.models import Completion
from labeling.demonstrations import services as demonstrations
from labeling.people.models import Role, User
from labeling.projects.models import Project
from labeling.prompts.models import Prompt
from labeling.simulation import seeding
from labeling.simulation.accounts import join
from labeling.simulation.labelers import text_of

NAME = "Everyday assistant"


@transaction.atomic
def starter_project(*, people: dict[str, User]) -> Project:
    """Seed prompts, demonstration tasks for the training prompts, comparisons of completions that the default model gave."""
    admin = people[Role.ADMIN]
    project = seeding.seeded_project(name=NAME, by=admin, base=settings.BASE_MODEL)
    join(project=project, people=people)
    prompts = Prompt.objects.filter(project=project, split=Prompt.Split.TRAIN, state=Prompt.State.ACTIVE)
    demonstrations.create_demonstration_tasks(
        project=project, prompts=list(prompts.order_by("id")), by=admin, title="First demonstrations"
    )
    groups = stored_completions(project)
    if groups:
        comparisons.create_comparisons(project=project, groups=groups, by=admin, title="Completions of the base model")
    return project


def stored_completions(project: Project) -> list[list[Completion]]:
    """Completions that the default model once gave to seed prompts, put beside the project's base model, by prompt."""
    base = registry.base_of(project=project)
    by_text = {text_of(row): row for row in Prompt.objects.filter(project=project)}
    texts = {row["id"]: row["prompt"] for row in seeding.seed_rows("prompts")}
    groups: dict[int, list[Completion]] = {}
    for row in seeding.seed_rows("completions"):
        prompt = by_text.get(texts.get(row["prompt_id"], ""))
        if prompt is None or base is None:
            continue
        completion = Completion.objects.create(
            project=project,
            prompt=prompt,
            checkpoint=base,
            text=row["text"],
            finish_reason=row["finish_reason"],
            token_count=row["token_count"],
            logprob=row["logprob"],
            **row["sampling"],
        )
        groups.setdefault(prompt.pk, []).append(completion)
    k = project.completions_per_comparison
    return [group[:k] for group in groups.values() if len(group) >= 2]
