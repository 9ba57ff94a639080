"""Projects made from the seeds: prompts, a guideline, the base model, labelers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.db import transaction

from labeling.checkpoints import selectors as registry
from labeling.checkpoints import services as checkpoints
from labeling.people.models import Role, User
from labeling.projects import selectors as projects_read
from labeling.projects import services as projects
from labeling.projects.models import Membership, Project
from labeling.prompts import services as prompts
from labeling.prompts.models import Prompt
from labeling.simulation.labelers import SimulatedLabeler, Temperament, text_of

SEEDS = Path(__file__).parent / "seeds"


GUIDELINE = {"body": "guideline", "evaluation": "guideline_evaluation"}  # seed files, without their ending


def seed_rows(name: str) -> list[dict[str, Any]]:
    """The rows of one seed file."""
    lines = (SEEDS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def answers() -> dict[str, str]:
    """{prompt text: demonstration} of all seed prompts that have one."""
    texts = {row["id"]: row["prompt"] for row in seed_rows("prompts")}
    return {texts[row["prompt_id"]]: row["text"] for row in seed_rows("demonstrations")}


@transaction.atomic
def seeded_project(
    *, name: str, by: User, base: str, split: Callable[[dict[str, Any]], str] | None = None, **settings: Any
) -> Project:
    """A new project with the seed prompts, a published guideline and the base model at `base`.

    `split` may put a seed row into another split than the one written there; its owner then goes by another name, since
    everything of one owner is in one split.
    """
    project = projects.create_project(name=name, by=by, **settings)
    said = {name: (SEEDS / f"{file}.md").read_text(encoding="utf-8") for name, file in GUIDELINE.items()}
    projects.save_guideline_draft(project=project, by=by, **said)
    projects.publish_guideline(project=project, by=by)
    lines = [
        json.dumps(
            {
                "prompt": row["prompt"],
                "category": row["category"],
                "owner": row["owner"] if chosen == row["split"] else f"{row['owner']}-{chosen}",
                "split": chosen,
            }
        )
        for row in seed_rows("prompts")
        for chosen in [split(row) if split else row["split"]]
    ]
    prompts.import_prompts(project=project, lines=lines, fmt="jsonl", by=by, source="seeds")
    if registry.base_of(project=project) is None:
        checkpoints.register_base(project=project, path=base, name="base", by=by)
    return project


def with_answers(project: Project) -> list[Prompt]:
    """The active prompts of the project for which the seeds hold a demonstration."""
    known = answers()
    rows = Prompt.objects.filter(project=project, state=Prompt.State.ACTIVE).order_by("id")
    return [row for row in rows if text_of(row) in known]


def simulated_labelers(
    *, project: Project, temperaments: Sequence[Temperament], by: User | None, seed: int = 0
) -> list[SimulatedLabeler]:
    """As many simulated contractors as there are temperaments, members of the project who accepted its guideline."""
    known, guideline = answers(), projects_read.current_guideline(project)
    found = []
    for number, temperament in enumerate(temperaments, start=1):
        user = simulated_user(number)
        if not Membership.objects.filter(project=project, user=user).exists():
            projects.add_member(project=project, user=user, role=Role.CONTRACTOR, by=by)
        if guideline is not None:
            projects.accept_guideline(guideline=guideline, user=user)
        found.append(SimulatedLabeler(user, temperament, seed, known))
    return found


def simulated_user(number: int) -> User:
    """The simulated labeler of this number, who cannot log in."""
    email = f"labeler-{number}@simulated.invalid"
    found = User.objects.filter(email=email).first()
    return found or User.objects.create_user(email, None, name=f"Simulated labeler {number}", is_simulated=True)
