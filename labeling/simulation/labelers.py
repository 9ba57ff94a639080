"""Labelers made of code. They claim, write, rank and submit through the same services as people."""

from __future__ import annotations

import math
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import F

from labeling.assignments import claim, skip
from labeling.assignments.models import Skip, Slot
from labeling.comparisons import services as comparisons
from labeling.comparisons.models import Completion
from labeling.comparisons.selectors import shown
from labeling.core.errors import BadInput
from labeling.demonstrations import services as demonstrations
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts.models import Prompt
from labeling.simulation import preference

BEST = sum(weight for weight in preference.WEIGHTS.values() if weight > 0)


@dataclass(frozen=True)
class Temperament:
    """How a labeler differs from the hidden preference, and how fast they are."""

    noise: float = 0.7  # scale of the Gumbel noise added to every score
    tie: float = 0.1  # neighbours closer than this share a place
    per_minute: float = 0.0  # pieces of work a minute, really waited for; 0 = as fast as it goes
    seconds: float = 0.0  # median active time reported with a piece of work; 0 = what it really took
    disagreement: float = 0.1  # each weight of the preference is the labeler's own: times 1 ± up to this share
    carelessness: float = 0.0  # share of rankings that are drawn by lot
    place_pull: float = 0.0  # added to the completion shown first, less to the next, nothing to the last
    length_pull: float = 0.0  # added to the longest completion, less to the next, nothing to the shortest


@dataclass
class SimulatedLabeler:
    """One labeler with a random generator and trait weights of their own. `answers` maps a prompt's text to a demonstration."""

    user: User
    temperament: Temperament
    seed: int
    answers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.generator = random.Random(f"{self.seed}:{self.user.email}")
        self.began = time.monotonic()
        spread = self.temperament.disagreement
        self.weights = {
            name: weight * (1.0 + self.generator.uniform(-spread, spread))
            for name, weight in preference.WEIGHTS.items()
        }

    def work(self, project: Project, kinds: list[str] | None = None) -> bool:
        """Do one piece of work; False when there is none for this labeler."""
        self.began = time.monotonic()
        slot = claim.claim_slot(project=project, labeler=self.user, kinds=kinds)
        if slot is None:
            return False
        if slot.kind == comparisons.KIND:
            self.rank(slot)
        else:
            self.write(slot)
        return True

    def write(self, slot: Slot) -> None:
        """Submit the demonstration kept for this prompt; pass on a prompt there is none for."""
        answer = self.answers.get(text_of(slot.task.prompt))
        token = slot.lease_token or uuid.uuid4()
        if answer is None:
            skip.skip_slot(
                slot_id=slot.public_id, labeler=self.user, token=token, reason=Skip.Reason.OUTSIDE, note="simulated"
            )
            return
        demonstrations.submit_demonstration(
            slot_id=slot.public_id,
            labeler=self.user,
            token=token,
            submission=uuid.uuid4(),
            text=answer,
            active_seconds=self.active_seconds(slot),
        )

    def rank(self, slot: Slot) -> None:
        """Rank the completions of a comparison and rate each from 1 to 7."""
        rows = list(shown(slot).values())
        likings = self.likings(text_of(slot.task.prompt), rows)
        comparisons.submit_ranking(
            slot_id=slot.public_id,
            labeler=self.user,
            token=slot.lease_token or uuid.uuid4(),
            submission=uuid.uuid4(),
            tiers=self.tiers(likings),
            ratings={pk: {"quality": quality(liking)} for pk, liking in likings.items()},
            active_seconds=self.active_seconds(slot),
        )

    def active_seconds(self, slot: Slot) -> int:
        """The time to report: drawn around the labeler's median, or measured where they have none.

        A drawn time counts as passed: the lease is made to have begun that much earlier, since no more than its length counts.
        """
        if not self.temperament.seconds:
            return round(time.monotonic() - self.began)
        drawn = round(self.temperament.seconds * math.exp(self.generator.gauss(0.0, 0.4)))
        Slot.objects.filter(pk=slot.pk).update(leased_at=F("leased_at") - timedelta(seconds=drawn))
        return drawn

    def likings(self, prompt: str, rows: Sequence[Completion]) -> dict[int, float]:
        """How much this labeler likes each completion just now, in the order shown: noise, carelessness and pulls included."""
        drawn = sorted(rows, key=lambda row: row.pk)  # the same draws whatever the order shown
        if self.generator.random() < self.temperament.carelessness:
            found = {row.pk: self.generator.uniform(0.0, BEST) for row in drawn}
        else:
            found = {
                row.pk: self.taste(prompt, row) + self.temperament.noise * preference.gumbel(self.generator)
                for row in drawn
            }
        by_length = sorted(rows, key=lambda row: -len(row.text))
        for order, pull in ((rows, self.temperament.place_pull), (by_length, self.temperament.length_pull)):
            for at, row in enumerate(order):
                found[row.pk] += pull * (len(order) - 1 - at) / max(1, len(order) - 1)
        return found

    def taste(self, prompt: str, row: Completion) -> float:
        """How much this labeler likes a completion before noise and pulls."""
        traits = preference.traits(prompt, row.text, row.finish_reason == "stop")
        return sum(self.weights[name] * value for name, value in traits.items())

    def tiers(self, likings: Mapping[int, float]) -> list[list[int]]:
        """Completions best first; one that comes closer than `tie` to the last of a tier joins it."""
        tiers: list[list[int]] = []
        last = math.inf
        for pk, liking in sorted(likings.items(), key=lambda item: -item[1]):
            if tiers and last - liking < self.temperament.tie:
                tiers[-1].append(pk)
            else:
                tiers.append([pk])
            last = liking
        return tiers


def quality(liking: float) -> int:
    """A liking on the scale from 1 to 7."""
    return min(7, max(1, round(1 + 6 * liking / BEST)))


def text_of(prompt: Prompt) -> str:
    """The last thing the user says."""
    return str(prompt.messages[-1]["content"])


def work_through(
    *,
    project: Project,
    labelers: Sequence[SimulatedLabeler],
    kinds: list[str] | None = None,
    limit: int | None = None,
    after_each: Callable[[int], None] | None = None,
) -> int:
    """Let the labelers work in turn, each at their own pace, until nothing is left for any of them; returns how much was done.

    `limit` stops after so many pieces of work. What a service refuses (a paused project, a guideline not accepted) is raised.
    """
    free_at = dict.fromkeys(range(len(labelers)), 0.0)
    done = 0
    while free_at and (limit is None or done < limit):
        number = min(free_at, key=lambda key: (free_at[key], key))
        time.sleep(max(0.0, free_at[number] - time.monotonic()))
        labeler = labelers[number]
        if not labeler.work(project, kinds):
            del free_at[number]
            continue
        pace = labeler.temperament.per_minute
        # Without a pace the labeler goes to the back of the row; with one, until the next piece of work is due.
        free_at[number] = time.monotonic() + (60.0 / pace if pace else 0.0)
        done += 1
        if after_each:
            after_each(done)
    return done


def check_temperament(temperament: Temperament) -> Temperament:
    """The same, if every setting is in its bounds; raises BadInput naming the one that is not."""
    for name in ("noise", "tie", "per_minute", "seconds", "place_pull", "length_pull"):
        if not 0.0 <= getattr(temperament, name) < 1e6:
            raise BadInput("Must be a number of at least 0.", field=name)
    for name in ("carelessness", "disagreement"):
        if not 0.0 <= getattr(temperament, name) <= 1.0:
            raise BadInput("Must be a share from 0 to 1.", field=name)
    return temperament
