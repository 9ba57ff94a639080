"""Work that people have submitted through the services, ready to be reviewed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from labeling.assignments import claim
from labeling.comparisons.models import Comparison, Ranking
from labeling.comparisons.services import create_comparisons, submit_ranking
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.services import create_demonstration_tasks, submit_demonstration
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.quality import screening_decisions as screening
from labeling.quality.control_items import make_control
from labeling.quality.review_sampling import sample_reviews
from tests.factories import PromptFactory, completions_of
from tests.labeling.assignments.conftest import had_for

NOW = timedelta(0)


def comparisons(project: Project, number: int, *, k: int = 3, overlap: int = 1) -> list[Comparison]:
    """New open training comparisons, each of its own prompt."""
    groups = [completions_of(PromptFactory(project=project), k) for _ in range(number)]
    batch = create_comparisons(project=project, groups=groups, by=None, overlap=overlap)
    return list(Comparison.objects.filter(task__batch=batch).order_by("pk"))


def rank_next(project: Project, labeler: User, places: Sequence[int] | None = None, **said: object) -> Ranking:
    """Claim a comparison and rank it: `places` for its completions in the order they were made (given: 1, 2, 3 …)."""
    slot = claim.claim_slot(project=project, labeler=labeler, kinds=["comparison"])
    assert slot is not None
    had_for(slot, minutes=5)
    ids = sorted(slot.task.comparison.completions.values_list("pk", flat=True))
    given = list(places or range(1, len(ids) + 1))
    tiers = [[pk for pk, at in zip(ids, given, strict=True) if at == place] for place in sorted(set(given))]
    return submit_ranking(
        slot_id=slot.public_id,
        labeler=labeler,
        token=slot.lease_token,
        submission=uuid.uuid4(),
        tiers=tiers,
        active_seconds=12,
        **said,
    )


def write_next(project: Project, labeler: User, text: str = "Because of the air.", **said: Any) -> Demonstration:
    """Claim a fresh demonstration task and write it."""
    create_demonstration_tasks(project=project, prompts=[PromptFactory(project=project)], by=None)
    slot = claim.claim_slot(project=project, labeler=labeler, kinds=["demonstration"])
    assert slot is not None
    return submit_demonstration(
        slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, submission=uuid.uuid4(), text=text, **said
    )


def sample(project: Project) -> int:
    """Apply the rules of the project to what was submitted up to this moment."""
    project.refresh_from_db()
    return sample_reviews(project=project, lag=NOW)


def screen_newcomers(project: Project, known: Comparison, admin: User) -> None:
    """Who joins from now on ranks this comparison, best first as its completions were made, writes an answer and is asked a question."""
    ids = sorted(known.completions.values_list("pk", flat=True))
    control = make_control(comparison=known, tiers=[[pk] for pk in ids], judgements=1, by=admin)
    screening.ask_control(control=control, by=admin)
    screening.ask_prompt(prompt=PromptFactory(project=project, text="Why do cats purr?"), by=admin)
    screening.save_rule(project=project, is_on=True, by=admin, question="Which topics can you judge?")
