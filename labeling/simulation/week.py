"""A week of ranking by labelers whose noise and bias are known, three of whom do not do their work.

Everything passes through the services that people use; afterwards the quality page should say what was planted. The truth
beside it comes from the planted parameters alone: the same labelers judge the same completions many times over, every
labeler every comparison, in fresh random orders, and nothing is written.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any
from uuid import uuid4

import krippendorff
import numpy as np

from labeling.checkpoints import services as checkpoints
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons import services as comparisons
from labeling.comparisons.models import Comparison, Completion
from labeling.people.models import User
from labeling.projects import services as projects
from labeling.projects.models import Project
from labeling.prompts import services as prompts
from labeling.prompts.models import Prompt
from labeling.quality.agreement import positions
from labeling.quality.models import ControlItem
from labeling.quality.services import store_scores
from labeling.simulation import invention, preference
from labeling.simulation.labelers import SimulatedLabeler, Temperament, text_of, work_through
from labeling.simulation.seeding import simulated_labelers
from training.contracts import CompletionRecord

K = 4
ALWAYS = 1e4  # a pull that no liking outweighs
BAD = {
    "clicker": Temperament(carelessness=1.0, tie=0.0),
    "always first": Temperament(place_pull=ALWAYS, tie=0.0),
    "always longer": Temperament(length_pull=ALWAYS, tie=0.0),
}
HONEST_AGREEMENT = 0.75  # of two honest labelers with noise 1


@dataclass(frozen=True)
class Week:
    """What was played: the labelers in order, and the ids of those who do not do their work."""

    project: Project
    labelers: list[SimulatedLabeler]
    bad: dict[str, int]


@dataclass(frozen=True)
class Truth:
    """What the planted labelers give in the long run."""

    agreement: float
    alpha: float
    earlier: float
    longer: float


class Fresh(SimulatedLabeler):
    """The same person again, with other luck, who remembers what they think of every completion."""

    def __init__(self, original: SimulatedLabeler) -> None:
        super().__init__(original.user, original.temperament, original.seed)
        self.generator = random.Random(f"{original.seed}:{original.user.email}:again")
        self.known: dict[int, float] = {}

    def taste(self, prompt: str, row: Completion) -> float:
        """Worked out once."""
        if row.pk not in self.known:
            self.known[row.pk] = super().taste(prompt, row)
        return self.known[row.pk]


def honest(count: int, scale: float, generator: random.Random) -> list[Temperament]:
    """Labelers who do their work: each with noise, ties, taste and a slight pull of place of their own."""
    return [
        Temperament(
            noise=scale * generator.uniform(0.7, 1.4),
            tie=generator.uniform(0.05, 0.3),
            disagreement=generator.uniform(0.1, 0.25),
            place_pull=generator.uniform(0.0, 0.15),
            seconds=generator.uniform(15.0, 60.0),
        )
        for _ in range(count)
    ]


def play(
    *,
    tasks: int = 500,
    overlap: int = 4,
    labelers: int = 20,
    controls: int = 40,
    seed: int = 0,
    after_each: Callable[[int], None] | None = None,
) -> Week:
    """A new project in which `labelers` people, three of them bad, rank `tasks` comparisons `overlap` times each."""
    generator = random.Random(f"{seed}:week")
    project = new_project(overlap=overlap)
    groups = completed(project, invention.prompts(tasks), generator)
    comparisons.create_comparisons(project=project, groups=groups, by=None, title="Simulated week")
    scale = preference.noise_scale([[liking(row) for row in group] for group in groups], HONEST_AGREEMENT)
    temperaments = honest(labelers - len(BAD), scale, generator)
    for place, (_, temperament) in zip(sorted(generator.sample(range(labelers), len(BAD))), BAD.items(), strict=True):
        temperaments.insert(place, replace(temperament, seconds=generator.uniform(5.0, 60.0)))
    people = simulated_labelers(project=project, temperaments=temperaments, by=None, seed=seed)
    plant_controls(project, controls)
    plant_scores(project, groups, scale, generator)
    work_through(project=project, labelers=people, after_each=after_each)
    bad = {
        name: person.user.pk
        for person in people
        for name, temperament in BAD.items()
        if replace(person.temperament, seconds=0.0) == temperament
    }
    return Week(project, people, bad)


def new_project(*, overlap: int) -> Project:
    """A project with a guideline and an admin who cannot log in."""
    admin = User.objects.filter(email="week@simulated.invalid").first() or User.objects.create_user(
        "week@simulated.invalid", None, name="Simulated admin", is_simulated=True
    )
    project = projects.create_project(name="Simulated week", by=admin, overlap=overlap, seed=0)
    projects.save_guideline_draft(project=project, body="Rank the more helpful answer first.", by=admin)
    projects.publish_guideline(project=project, by=admin)
    return project


def completed(project: Project, texts: Sequence[str], generator: random.Random) -> list[list[Completion]]:
    """Import the prompts and store K invented completions of each; grouped by prompt."""
    objects = [{"prompt": text, "split": "train"} for text in texts]
    prompts.import_prompts(project=project, lines=objects, fmt="objects", by=None, source="invented")
    policy = checkpoints.register_output(
        project=project, kind=Checkpoint.Kind.POLICY, name="invented", parent=None, reward=None,
        path="invented", manifest_sha256="", bytes=0, metrics={},
    )  # fmt: skip
    records: list[Any] = [
        record
        for prompt in Prompt.objects.filter(project=project).order_by("id")
        for record in records_of(prompt, policy.name, generator)
    ]
    comparisons.store_completions(project=project, run_id=uuid4(), checkpoints={policy.name: policy}, records=records)
    groups: dict[int, list[Completion]] = {}
    for row in Completion.objects.filter(project=project).select_related("prompt").order_by("prompt", "id"):
        groups.setdefault(row.prompt_id, []).append(row)
    return list(groups.values())


def records_of(prompt: Prompt, policy: str, generator: random.Random) -> Iterator[CompletionRecord]:
    """K invented answers to one prompt."""
    for number in range(K):
        text, finished = invention.answer(text_of(prompt), generator)
        yield CompletionRecord(
            id=f"{prompt.public_id}:{number}",
            prompt_id=str(prompt.public_id),
            policy=policy,
            text=text,
            token_count=len(text.split()),
            finish_reason="stop" if finished else "length",
            logprob=-float(len(text.split())),
            sampling={"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 64},
        )


def liking(row: Completion) -> float:
    """What somebody without noise and bias thinks of a completion."""
    return preference.score(text_of(row.prompt), row.text, row.finish_reason == "stop")


def plant_controls(project: Project, count: int) -> None:
    """Make the first comparisons control items: the hidden preference without noise is their known ranking."""
    rows = Comparison.objects.filter(task__project=project).order_by("id")[:count]
    for comparison in rows.prefetch_related("completions__prompt"):
        ordered = sorted(comparison.completions.all(), key=lambda row: -liking(row))
        ranks = {str(row.pk): place for place, row in enumerate(ordered, start=1)}
        ControlItem.objects.create(comparison=comparison, ranks=ranks, note="simulated")


def plant_scores(
    project: Project, groups: Sequence[Sequence[Completion]], scale: float, generator: random.Random
) -> None:
    """Scores of an invented reward model that is about as noisy as an honest labeler."""
    reward = checkpoints.register_output(
        project=project, kind=Checkpoint.Kind.REWARD, name="invented-reward", parent=None, reward=None,
        path="invented-reward", manifest_sha256="", bytes=0, metrics={},
    )  # fmt: skip
    scores = {row.pk: liking(row) + scale * preference.gumbel(generator) for group in groups for row in group}
    store_scores(checkpoint=reward, scores=scores)


# ---- the truth


def truth(week: Week, *, repeats: int = 6) -> Truth:
    """Every labeler judges every comparison `repeats` times, in a fresh order each time."""
    people = [Fresh(labeler) for labeler in week.labelers]
    shuffled = random.Random(f"{week.project.pk}:truth")
    rows = Comparison.objects.filter(task__project=week.project).order_by("id")
    agreed: list[float] = []
    leanings: dict[str, list[float]] = {"earlier": [], "longer": []}
    units: list[Counter[float]] = []
    for comparison in rows.prefetch_related("completions__prompt"):
        completions = sorted(comparison.completions.all(), key=lambda row: row.pk)
        for _ in range(repeats):
            seen = [Counter[float]() for _ in completions]  # by everybody once: nobody is compared with themselves
            judged = [one_judgement(person, completions, shuffled) for person in people]
            agreed.append(mean_agreement(np.array([ranks for ranks, _ in judged])))
            for ranks, order in judged:
                lean(leanings, ranks, order, [len(row.text) for row in completions])
                for at, where in positions(dict(enumerate(ranks))).items():
                    seen[at][where] += 1
            units += seen
    domain = sorted({value for unit in units for value in unit})
    counts = [[unit[value] for value in domain] for unit in units]
    alpha = krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement="ordinal")
    return Truth(
        float(np.mean(agreed)), float(alpha), *(float(np.mean(leanings[name])) for name in ("earlier", "longer"))
    )


def one_judgement(
    person: SimulatedLabeler, completions: Sequence[Completion], shuffled: random.Random
) -> tuple[list[int], list[int]]:
    """(rank, shown place) of each completion, in the given order of completions."""
    order = shuffled.sample(list(completions), len(completions))
    tiers = person.tiers(person.likings(text_of(completions[0].prompt), order))
    rank = {pk: number for number, tier in enumerate(tiers, start=1) for pk in tier}
    place = {row.pk: at for at, row in enumerate(order)}
    return [rank[row.pk] for row in completions], [place[row.pk] for row in completions]


def mean_agreement(ranks_LK: np.ndarray) -> float:  # type: ignore[type-arg]
    """Mean over all two of L labelers and all pairs of K: 1 for the same order or two ties, ½ for a tie against an order."""
    first, second = zip(*combinations(range(ranks_LK.shape[1]), 2), strict=True)
    signs_LP = np.sign(ranks_LK[:, list(second)] - ranks_LK[:, list(first)])
    one, other = np.triu_indices(len(ranks_LK), 1)
    return float(np.mean(1 - np.abs(signs_LP[one] - signs_LP[other]) / 2))


def lean(leanings: dict[str, list[float]], ranks: Sequence[int], order: Sequence[int], lengths: Sequence[int]) -> None:
    """Note for each pair whether the earlier and the longer one won: 1, ½ for a tie, 0."""
    for name, values in (("earlier", order), ("longer", [-length for length in lengths])):
        for one, other in combinations(range(len(ranks)), 2):
            if values[one] != values[other]:
                sign = np.sign(ranks[other] - ranks[one]) * np.sign(values[other] - values[one])
                leanings[name].append((1 + float(sign)) / 2)
