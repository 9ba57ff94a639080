"""Submitting a ranking, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from labeling.assignments import submit
from labeling.assignments.models import Slot
from labeling.comparisons.models import Comparison, Flag, PromptFlag, RankedItem, Ranking, Rating, Strength
from labeling.comparisons.selectors import shown
from labeling.core import audit
from labeling.core.errors import BadInput, Conflict, Reused
from labeling.people.models import User

MAX_REASON = 5000


@dataclass(frozen=True)
class Judgement:
    """What one person says of one comparison, in a form that two submissions can be compared by."""

    ranks: dict[int, int]
    ratings: dict[int, tuple[int | None, frozenset[str]]] = field(default_factory=dict)
    reason: str = ""
    strength: int | None = None
    prompt_flags: frozenset[str] = frozenset()


@transaction.atomic
def submit_ranking(
    *,
    slot_id: UUID,
    labeler: User,
    token: UUID,
    submission: UUID,
    tiers: Sequence[Sequence[int]],
    ratings: Mapping[int, Mapping[str, Any]] | None = None,
    reason: str = "",
    strength: int | None = None,
    prompt_flags: Sequence[str] = (),
    active_seconds: int = 0,
) -> Ranking:
    """Record one labeler's ranking, best tier first, and close the slot; repeating a submission returns the first one.

    `tiers` hold completion ids, each completion of the comparison exactly once; one tier is a tie. `ratings` map completion
    ids to {"quality": 1–7 or None, "flags": [...]}. Raises BadInput naming the field, Reused when the key came with another
    judgement, Conflict or NotFound when the slot is not this person's. Work for a slot that is gone is kept with `late` set.
    """
    slot = submit.lock(slot_id=slot_id)
    comparison = Comparison.objects.filter(task=slot.task_id).first()
    if comparison is None:
        raise BadInput("This task is not a comparison.", field="slot")
    judgement = Judgement(
        check_tiers(comparison, tiers),
        check_ratings(comparison, ratings or {}),
        check_reason(reason),
        check_strength(strength, tiers),
        check_prompt_flags(prompt_flags),
    )
    if earlier := Ranking.objects.filter(submission=submission).first():
        return check_same(earlier, labeler=labeler, slot=slot, judgement=judgement)
    late = submit.is_late(slot=slot, labeler=labeler, token=token)
    submit.finish(slot=slot, labeler=labeler, active_seconds=active_seconds, late=late)
    seconds = active_seconds if late else slot.active_seconds
    made = store(
        slot=slot, labeler=labeler, submission=submission, comparison=comparison, judgement=judgement, late=late,
        active_seconds=seconds,
    )  # fmt: skip
    audit.record("submitted", made, by=labeler, after={"late": late})
    return made


def store(
    *,
    slot: Slot,
    labeler: User,
    submission: UUID,
    comparison: Comparison,
    judgement: Judgement,
    active_seconds: int,
    late: bool,
) -> Ranking:
    """Insert the rows of a ranking; places become dense: 1, 2, 3 …"""
    try:
        with transaction.atomic():
            ranking = Ranking.objects.create(
                project_id=slot.project_id,
                comparison=comparison,
                slot=slot,
                labeler=labeler,
                guideline=slot.guideline,
                submission=submission,
                reason=judgement.reason,
                strength=judgement.strength,
                prompt_flags=sorted(judgement.prompt_flags),
                active_seconds=active_seconds,
                late=late,
            )
    except IntegrityError as problem:  # the key was used for another slot in this very moment
        raise Reused("This submission key was already used for other work.") from problem
    RankedItem.objects.bulk_create(
        RankedItem(ranking=ranking, completion_id=pk, rank=rank) for pk, rank in judgement.ranks.items()
    )
    Rating.objects.bulk_create(
        Rating(ranking=ranking, completion_id=pk, quality=quality, flags=sorted(flags))
        for pk, (quality, flags) in judgement.ratings.items()
    )
    return ranking


# ---- what is taken in


def check_tiers(comparison: Comparison, tiers: Sequence[Sequence[int]]) -> dict[int, int]:
    """Dense places by completion; empty tiers are gaps and vanish. BadInput unless each completion is placed exactly once."""
    filled = [list(tier) for tier in tiers if tier]
    placed = [pk for tier in filled for pk in tier]
    asked = set(comparison.items.values_list("completion_id", flat=True))
    if len(placed) != len(set(placed)):
        raise BadInput("A completion was placed twice.", field="tiers")
    if strange := set(placed) - asked:
        raise BadInput(f"Completion {min(strange)} is not part of this comparison.", field="tiers")
    if missing := asked - set(placed):
        raise BadInput(f"{len(missing)} of {len(asked)} completions have no place yet.", field="tiers")
    return {pk: rank for rank, tier in enumerate(filled, start=1) for pk in tier}


def check_ratings(
    comparison: Comparison, ratings: Mapping[int, Mapping[str, Any]]
) -> dict[int, tuple[int | None, frozenset[str]]]:
    """Quality and flags by completion; BadInput naming what is out of range or unknown."""
    asked = set(comparison.items.values_list("completion_id", flat=True))
    checked = {}
    for pk, said in ratings.items():
        if pk not in asked:
            raise BadInput(f"Completion {pk} is not part of this comparison.", field="ratings")
        if unknown := set(said) - {"quality", "flags"}:
            raise BadInput(f"A rating has quality and flags, not '{min(unknown)}'.", field="ratings")
        quality = said.get("quality")
        if quality is not None and (isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 7):
            raise BadInput("Quality must be a whole number from 1 to 7.", field="quality")
        flags = frozenset(said.get("flags") or ())
        if strange := flags - set(Flag.values):
            raise BadInput(f"There is no flag '{min(strange)}'. Known: {', '.join(Flag.values)}.", field="flags")
        checked[pk] = (quality, flags)
    return checked


def check_reason(reason: str) -> str:
    """The reason without surrounding space; BadInput when it is too long."""
    if len(reason) > MAX_REASON or "\x00" in reason:
        raise BadInput(f"The reason may have at most {MAX_REASON:,} characters of plain text.", field="reason")
    return reason.strip()


def check_strength(strength: int | None, tiers: Sequence[Sequence[int]]) -> int | None:
    """The strength for K = 2; BadInput for other K. A tie has no strength."""
    if strength is None:
        return None
    if strength not in Strength.values:
        raise BadInput(f"Strength must be one of {', '.join(map(str, Strength.values))}.", field="strength")
    if sum(map(len, tiers)) != 2:
        raise BadInput("Strength is asked only where two completions are compared.", field="strength")
    return None if any(len(tier) == 2 for tier in tiers) else strength


def check_prompt_flags(flags: Sequence[str]) -> frozenset[str]:
    """What was said of the prompt; BadInput for unknown words."""
    if unknown := set(flags) - set(PromptFlag.values):
        raise BadInput(f"There is no prompt flag '{min(unknown)}'.", field="prompt_flags")
    return frozenset(flags)


# ---- what was taken in


def stored(ranking: Ranking) -> Judgement:
    """A stored ranking as a judgement."""
    return Judgement(
        dict(ranking.items.values_list("completion_id", "rank")),
        {row.completion_id: (row.quality, frozenset(row.flags)) for row in ranking.ratings.all()},
        ranking.reason,
        ranking.strength,
        frozenset(ranking.prompt_flags),
    )


def check_same(earlier: Ranking, *, labeler: User, slot: Slot, judgement: Judgement) -> Ranking:
    """The earlier row when the repeated submission says the same; Conflict or Reused otherwise."""
    if earlier.labeler_id != labeler.pk:
        raise Conflict("This submission key belongs to somebody else's work.")
    if earlier.slot_id != slot.pk or stored(earlier) != judgement:
        raise Reused("This submission key already came with other work: reload the page and submit again.")
    return earlier


def recall_ranking(slot: Slot) -> dict[str, Any]:
    """Delete the ranking of a slot and return it as the draft of its form; fails when a snapshot holds it."""
    ranking = Ranking.objects.get(slot=slot, late=False, labeler=slot.labeler)
    said = stored(ranking)
    letter = {completion.pk: name for name, completion in shown(slot).items()}
    draft: dict[str, Any] = {f"rank-{letter[pk]}": str(rank) for pk, rank in said.ranks.items()}
    for pk, (quality, flags) in said.ratings.items():
        draft |= {f"q-{letter[pk]}": str(quality or ""), f"flag-{letter[pk]}": sorted(flags)}
    draft |= {"reason": said.reason, "prompt_flag": sorted(said.prompt_flags)}
    if said.strength is not None:
        draft["strength"] = str(said.strength)
    ranking.delete()
    return draft
