"""Submitting a ranking, changing it, and taking it back."""

from __future__ import annotations

from typing import Any, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.assignments import asides, revisions, submit
from labeling.assignments.models import Slot
from labeling.comparisons.judgement import Judgement, Said, judgement_of
from labeling.comparisons.models import Comparison, RankedItem, Ranking, Rating
from labeling.comparisons.selectors import letters_of, newest
from labeling.core import audit
from labeling.core.errors import BadInput, Reused
from labeling.people.models import User


@transaction.atomic
def submit_ranking(
    *,
    slot_id: UUID,
    labeler: User,
    token: UUID,
    submission: UUID,
    active_seconds: int = 0,
    **said: Unpack[Said],
) -> Ranking:
    """Record one labeler's ranking, best tier first, and close the slot; repeating a submission returns the first one.

    A better answer becomes a demonstration of the same slot. Raises BadInput naming the field, Reused when the key came with
    another judgement, Conflict or NotFound when the slot is not this person's. Work for a slot that is gone is kept with
    `late` set.
    """
    slot = submit.lock(slot_id=slot_id)
    comparison = comparison_of(slot)
    judgement = judgement_of(comparison, **said)
    if earlier := Ranking.objects.filter(submission=submission).first():
        return submit.check_same(earlier, slot=slot, labeler=labeler, is_equal=stored(earlier) == judgement)
    late, seconds = submit.finish(slot=slot, labeler=labeler, token=token, active_seconds=active_seconds)
    made = store(
        slot=slot, labeler=labeler, submission=submission, comparison=comparison, judgement=judgement, late=late,
        active_seconds=seconds,
    )  # fmt: skip
    audit.record("submitted", made, by=labeler, after={"late": late})
    return made


@transaction.atomic
def revise_ranking(
    *,
    slot_id: UUID,
    labeler: User,
    submission: UUID,
    active_seconds: int = 0,
    by: User | None = None,
    **said: Unpack[Said],
) -> Ranking:
    """Replace what `labeler` submitted for the slot by a new revision; repeating a submission returns the first one.

    `by` is who edits, the labeler unless given: a reviewer's edit stays the labeler's work. Raises BadInput naming the field,
    Frozen once a snapshot holds the newest revision, Conflict or NotFound unless the slot is submitted by this labeler.
    """
    slot = revisions.lock(slot_id=slot_id, labeler=labeler)
    comparison = comparison_of(slot)
    judgement = judgement_of(comparison, **said)
    if earlier := Ranking.objects.filter(submission=submission).first():
        return submit.check_same(earlier, slot=slot, labeler=labeler, is_equal=stored(earlier) == judgement)
    replaced = revisions.must_be_open(newest(slot), labeler=labeler)
    revisions.finish(slot, active_seconds=active_seconds)
    made = store(
        slot=slot, labeler=labeler, submission=submission, comparison=comparison, judgement=judgement,
        active_seconds=slot.active_seconds, supersedes=replaced,
    )  # fmt: skip
    audit.record("revised", made, by=by or labeler, before={"revision": replaced.pk})
    return made


def comparison_of(slot: Slot) -> Comparison:
    """What the slot is to rank; BadInput when its task is none."""
    comparison = Comparison.objects.filter(task=slot.task_id).first()
    if comparison is None:
        raise BadInput(_("This task is not a comparison."), field="slot")
    return comparison


def store(
    *,
    slot: Slot,
    labeler: User,
    submission: UUID,
    comparison: Comparison,
    judgement: Judgement,
    active_seconds: int,
    late: bool = False,
    supersedes: Ranking | None = None,
) -> Ranking:
    """Insert the rows of a ranking and keep the answer written beside it."""
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
                supersedes=supersedes,
            )
    except IntegrityError as problem:  # the key was used for another slot in this very moment
        raise Reused(_("This submission key was already used for other work.")) from problem
    RankedItem.objects.bulk_create(
        RankedItem(ranking=ranking, completion_id=pk, rank=rank) for pk, rank in judgement.ranks.items()
    )
    Rating.objects.bulk_create(
        Rating(ranking=ranking, completion_id=pk, quality=quality, flags=sorted(flags))
        for pk, (quality, flags) in judgement.ratings.items()
    )
    try:
        asides.registered().keep(
            slot=slot, labeler=labeler, submission=submission, text=judgement.better, late=late
        )  # fmt: skip
    except BadInput as problem:
        raise BadInput(problem.detail, field="better") from problem
    return ranking


# ---- what was taken in


def stored(ranking: Ranking) -> Judgement:
    """A stored ranking as a judgement."""
    return Judgement(
        dict(ranking.items.values_list("completion_id", "rank")),
        {row.completion_id: (row.quality, frozenset(row.flags)) for row in ranking.ratings.all()},
        ranking.reason,
        ranking.strength,
        frozenset(ranking.prompt_flags),
        asides.registered().said(ranking.slot, ranking.labeler) if ranking.slot else "",
    )


def said(slot: Slot) -> dict[str, Any]:
    """What the slot's holder submitted, newest revision, as the draft of its form."""
    ranking = newest(slot)
    if ranking is None:
        return {}
    told = stored(ranking)
    letter = letters_of(slot)
    draft: dict[str, Any] = {f"rank-{letter[pk]}": str(rank) for pk, rank in told.ranks.items()}
    for pk, (quality, flags) in told.ratings.items():
        draft |= {f"q-{letter[pk]}": str(quality or ""), f"flag-{letter[pk]}": sorted(flags)}
    draft |= {"reason": told.reason, "prompt_flag": sorted(told.prompt_flags), "better": told.better}
    if told.strength is not None:
        draft["strength"] = str(told.strength)
    return draft


def is_frozen(slot: Slot) -> bool:
    """Whether what the slot's holder submitted can no longer be changed."""
    return not revisions.is_open(newest(slot), labeler=slot.labeler)


def recall_ranking(slot: Slot) -> dict[str, Any]:
    """Delete the ranking of a slot, all revisions, and return it as the draft of its form; fails when a snapshot holds one."""
    draft = said(slot)
    while ranking := newest(slot):
        revisions.must_be_open(ranking, labeler=slot.labeler).delete()
    asides.registered().drop(slot)
    return draft


def carry(draft: dict[str, Any], origin: Slot | None, slot: Slot) -> dict[str, Any]:
    """A draft for another slot of its task: the letters mean other completions there. Unknown origin: what goes by letter is left out."""
    meant = {letter: pk for pk, letter in letters_of(origin).items()} if origin else {}
    here = letters_of(slot)
    carried = {}
    for name, value in draft.items():
        field, dash, letter = name.rpartition("-")
        if not dash:
            carried[name] = value
        elif letter in meant:
            carried[f"{field}-{here[meant[letter]]}"] = value
    return carried
