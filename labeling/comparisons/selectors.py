"""What others ask about completions, comparisons and rankings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from labeling.assignments.models import Slot
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.held_back import OUT
from labeling.comparisons.models import ComparisonItem, Completion, Ranking
from labeling.projects.models import Project
from labeling.prompts.models import Prompt

LETTERS = "ABCDEFGHI"


def current(project: Project) -> QuerySet[Ranking]:
    """The newest revision of every ranking that came in time."""
    newer = Ranking.objects.filter(supersedes=OuterRef("pk"))  # an anti-join: the planner guesses its rows well
    return Ranking.objects.filter(~Exists(newer), project=project, late=False)


def shown(slot: Slot) -> dict[str, Completion]:
    """The completions of a slot by the letter this slot shows them under."""
    places = slot.display_order.select_related("completion").order_by("place")
    return {LETTERS[place.place - 1]: place.completion for place in places}


def letters_of(slot: Slot) -> dict[int, str]:
    """The letter under which a slot shows each completion, by its id."""
    return {completion.pk: letter for letter, completion in shown(slot).items()}


def newest(slot: Slot) -> Ranking | None:
    """The newest revision of what was submitted for the slot in time; its labeler is a reviewer where one has edited it."""
    return Ranking.objects.filter(slot=slot, late=False, superseded_by=None).first()


class Sampler(NamedTuple):
    """How completions were sampled."""

    temperature: float
    top_p: float
    max_new_tokens: int

    def __str__(self) -> str:
        """What programs send back to name it: the same in every language."""
        return f"temperature {self.temperature:g}, top-p {self.top_p:g}, {self.max_new_tokens} tokens"

    def label(self) -> str:
        """The same for a person."""
        return _("temperature %(temperature)s, top-p %(top_p)s, %(tokens)d tokens") % {
            "temperature": f"{self.temperature:g}",
            "top_p": f"{self.top_p:g}",
            "tokens": self.max_new_tokens,
        }


def samplers(project: Project) -> list[Sampler]:
    """The sampler settings among the newest completions of a project."""
    newest = Completion.objects.filter(project=project).order_by("-pk").values("pk")[:20_000]
    rows = Completion.objects.filter(pk__in=newest).order_by("temperature", "top_p", "max_new_tokens")
    return [Sampler(*row) for row in rows.values_list("temperature", "top_p", "max_new_tokens").distinct()[:20]]


def completion_groups(
    *,
    project: Project,
    checkpoints: Iterable[Checkpoint],
    prompts: Iterable[Prompt],
    k: int,
    run_id: UUID | None = None,
    samplers: Iterable[Sampler] = (),
) -> list[list[Completion]]:
    """For each prompt K completions that no comparison has used yet, taken in turn from each checkpoint, oldest first.

    Prompts with fewer than K, or with none from a checkpoint whose turn it is, give no group. With more checkpoints than
    K the turn starts one further with each prompt. `run_id` limits them to one sample run, `samplers` to these settings.
    Of a checkpoint's equal texts one is enough: a group has fewer than K where the others said the same, and at least 2.
    """
    order = list(dict.fromkeys(checkpoint.pk for checkpoint in checkpoints))
    prompt_ids = [prompt.pk for prompt in prompts]
    used = ComparisonItem.objects.filter(completion=OuterRef("pk"))
    rows = Completion.objects.filter(project=project, checkpoint__in=order, prompt__in=prompt_ids)
    if run_id is not None:
        rows = rows.filter(source_run=run_id)
    if wanted := [Q(**one._asdict()) for one in samplers]:
        rows = rows.filter(reduce(or_, wanted))
    found: dict[int, dict[int, list[Completion]]] = defaultdict(lambda: defaultdict(list))
    for completion in rows.filter(~Exists(used)).exclude(OUT).order_by("pk"):
        found[completion.prompt_id][completion.checkpoint_id].append(completion)
    groups = []
    for at, prompt_id in enumerate(prompt_ids):
        start = at % len(order) if k < len(order) else 0
        piles = [distinct_first(found[prompt_id][checkpoint]) for checkpoint in order[start:] + order[:start]]
        groups.append(without_repeats(in_turn(piles, k)))
    return [group for group in groups if len(group) > 1]


def distinct_first(pile: Sequence[Completion]) -> list[Completion]:
    """The completions with those that repeat an earlier one's text behind all others."""
    first = without_repeats(pile)
    return first + [row for row in pile if row not in first]


def without_repeats(rows: Sequence[Completion]) -> list[Completion]:
    """One completion of each checkpoint and text; two checkpoints that say the same are a tie that somebody has to find."""
    first: dict[tuple[int, str], Completion] = {}
    for row in rows:
        first.setdefault((row.checkpoint_id, row.text.strip()), row)
    return list(first.values())


def in_turn(piles: Sequence[Sequence[Completion]], k: int) -> list[Completion]:
    """K items, one from each pile in turn; [] when there are not enough, or when a pile that has its turn is empty."""
    if not all(piles[: min(len(piles), k)]) or sum(map(len, piles)) < k:
        return []
    taken: list[Completion] = []
    depth = 0
    while len(taken) < k:
        taken += [pile[depth] for pile in piles if len(pile) > depth]
        depth += 1
    return taken[:k]
