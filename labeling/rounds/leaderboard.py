"""How often the new policy is preferred over the one it started from: fresh judgements on held-out prompts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from labeling.comparisons.models import Comparison, RankedItem
from labeling.quality.intervals import Estimate, bootstrap
from labeling.rounds.models import Round

LENGTH_TOLERANCE = 0.2  # two answers are of like length when they differ by at most this share of the longer one


@dataclass(frozen=True)
class Place:
    """One completion in one ranking."""

    is_new: bool
    rank: int
    tokens: int


@dataclass(frozen=True)
class Standing:
    """The new policy against its parent. `matched` counts only pairs of like length; both resample prompts."""

    policy: str
    parent: str
    rankings: int
    win: Estimate | None
    matched: Estimate | None


def wins(rankings: dict[int, list[list[Place]]], *, matched: bool = False) -> Estimate | None:
    """The win rate from rankings by prompt: every pair new × parent counts, ties ½, and every prompt weighs the same."""
    return _estimate(tuple(_share(group, matched=matched) for _, group in sorted(rankings.items())))


def _share(group: list[list[Place]], *, matched: bool) -> tuple[float, int]:
    """(mean score of the new policy over the pairs of one prompt, 1), or (0, 0) where it has no such pair."""
    scores = [
        1.0 if new.rank < old.rank else 0.5 if new.rank == old.rank else 0.0
        for places in group
        for new, old in product(places, places)
        if new.is_new and not old.is_new and (not matched or of_like_length(new.tokens, old.tokens))
    ]
    return (sum(scores) / len(scores), 1) if scores else (0.0, 0)


def of_like_length(one: int, other: int) -> bool:
    """Whether two token counts differ by at most LENGTH_TOLERANCE of the larger."""
    return abs(one - other) <= LENGTH_TOLERANCE * max(one, other)


@lru_cache(maxsize=256)
def _estimate(groups: tuple[tuple[float, int], ...]) -> Estimate | None:
    return bootstrap(groups)  # the same judgements are asked for at every look at the overview


def standing(loop_round: Round) -> Standing | None:
    """What the evaluation rankings so far say of the round's new policy; None before there is one, or a judgement of it."""
    if loop_round.new_policy is None or loop_round.policy is None:
        return None
    rows = RankedItem.objects.filter(
        ranking__project_id=loop_round.project_id,
        ranking__superseded_by=None,
        ranking__late=False,
        ranking__comparison__purpose=Comparison.Purpose.EVALUATION,
        completion__checkpoint__in=(loop_round.new_policy, loop_round.policy),
    ).values_list("ranking_id", "completion__prompt_id", "completion__checkpoint_id", "rank", "completion__token_count")
    by_prompt: dict[int, dict[int, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for ranking, prompt, checkpoint, rank, tokens in rows:
        by_prompt[prompt][ranking].append(Place(checkpoint == loop_round.new_policy_id, rank, tokens))
    both = {prompt: [places for places in found.values() if _mixed(places)] for prompt, found in by_prompt.items()}
    if not any(both.values()):
        return None
    return Standing(
        policy=loop_round.new_policy.name,
        parent=loop_round.policy.name,
        rankings=sum(map(len, both.values())),
        win=wins(both),
        matched=wins(both, matched=True),
    )


def _mixed(places: list[Place]) -> bool:
    """A ranking judges the two policies when it holds both: the next round's hold this policy as parent."""
    return len({place.is_new for place in places}) == 2
