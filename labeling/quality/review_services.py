"""Deciding about submitted work: accept it, return it with a note, or put a better revision in its place."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.comparisons.judgement import check_strength, check_tiers
from labeling.comparisons.models import RankedItem, Ranking, Rating
from labeling.core import audit, transitions
from labeling.core.clock import db_now
from labeling.core.errors import BadInput, Conflict, NotAllowed
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.services import check_text
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.quality.models import Review
from labeling.quality.review_sampling import review_of

MAX_NOTE = 2000


@transaction.atomic
def accept(*, review: Review, by: User) -> Review:
    """Let this work stand; also after it was returned. Raises Conflict when a newer revision is there, NotAllowed for one's own work."""
    locked = lock(review, by)
    return transitions.move(locked, to=Review.State.ACCEPTED, by=by, reviewer=by, decided_at=db_now(), note="")


@transaction.atomic
def return_work(*, review: Review, note: str, by: User) -> Review:
    """Give work back to its author, who reads the note and may send a new revision; until then no snapshot takes it."""
    note = note.strip()
    if not note or len(note) > MAX_NOTE:
        raise BadInput(
            _("Write what should change, in at most %(most)s characters: the author reads it.") % {"most": MAX_NOTE},
            field="note",
        )
    locked = lock(review, by)
    return transitions.move(locked, to=Review.State.RETURNED, by=by, reviewer=by, decided_at=db_now(), note=note)


@transaction.atomic
def accept_all(*, project: Project, reviews: Iterable[int], by: User) -> int:
    """Accept those of these reviews that still wait and are not of one's own work; returns how many."""
    rows = Review.objects.select_for_update(of=("self",)).filter(
        project=project, pk__in=list(reviews), state=Review.State.WAITING
    )
    count = 0
    for review in rows.exclude(labeler=by).order_by("pk"):
        if not is_replaced(review):
            accept(review=review, by=by)
            count += 1
    return count


@transaction.atomic
def edit_demonstration(*, review: Review, text: str, by: User) -> Review:
    """Put a better text in the place of a demonstration, accepted at once; the author's own text stays beneath it."""
    check_text(text)
    locked = lock(review, by)
    old = locked.demonstration
    if old is None:
        raise BadInput(_("This work is a ranking: give its places."), field="text")
    must_be_free(old)
    fields = copied(old, "project_id", "prompt_id", "task_id", "slot_id", "guideline_id", "prompt_flags")
    return put(locked, Demonstration.objects.create(**fields, **new_revision(old, by), text=text), by)


@transaction.atomic
def edit_ranking(*, review: Review, tiers: Sequence[Sequence[int]], by: User, strength: int | None = None) -> Review:
    """Put a better order in the place of a ranking, accepted at once; ratings and flags stay as they were given.

    `strength` is how much better the better of two now is; the author's was said of another order.
    """
    locked = lock(review, by)
    old = locked.ranking
    if old is None:
        raise BadInput(_("This work is a demonstration: give its text."), field="tiers")
    must_be_free(old)
    ranks = check_tiers(old.comparison, tiers)
    fields = copied(old, "project_id", "comparison_id", "slot_id", "guideline_id", "reason", "prompt_flags")
    made = Ranking.objects.create(**fields, **new_revision(old, by), strength=check_strength(strength, tiers))
    RankedItem.objects.bulk_create(RankedItem(ranking=made, completion_id=pk, rank=rank) for pk, rank in ranks.items())
    Rating.objects.bulk_create(
        Rating(ranking=made, completion_id=row.completion_id, quality=row.quality, flags=row.flags)
        for row in old.ratings.all()
    )
    return put(locked, made, by)


def must_be_free(old: Any) -> None:
    """Conflict when a snapshot holds this revision: what was trained on stays as it was."""
    if old.snapshots.exists():
        raise Conflict(_("This work is part of a snapshot and can no longer be edited; you can still return it."))


def copied(old: Any, *names: str) -> dict[str, Any]:
    """What a revision takes over."""
    return {name: getattr(old, name) for name in names}


def new_revision(old: Any, by: User) -> dict[str, Any]:
    """What a reviewer's revision has of its own. Its words are the reviewer's, so that no statistic takes them for the author's."""
    return {"labeler": by, "supersedes": old, "submission": uuid.uuid4()}


def put(review: Review, made: Ranking | Demonstration, by: User) -> Review:
    """Close the review of the older revision, accept the new one."""
    if review.state == Review.State.WAITING:
        transitions.move(review, to=Review.State.REPLACED, by=by)
    fresh = review_of(review.project, made, review.reason)
    fresh.state, fresh.reviewer, fresh.decided_at = Review.State.ACCEPTED, by, db_now()
    fresh.save()
    audit.record("edited", fresh, by=by, before={"review": review.pk}, after={"kind": review.kind})
    return fresh


def lock(review: Review, by: User) -> Review:
    """The review, locked, of work that is still the newest revision and not this person's own."""
    rows = Review.objects.select_for_update(of=("self",)).select_related(
        "project", "ranking__comparison", "demonstration"
    )
    locked = rows.get(pk=review.pk)
    if locked.labeler_id == by.pk:
        raise NotAllowed(_("Somebody else reviews your work."))
    if is_replaced(locked):
        raise Conflict(_("There is a newer revision of this work: review that one."))
    return locked


def is_replaced(review: Review) -> bool:
    """Whether its work has a newer revision."""
    if review.ranking_id:
        return Ranking.objects.filter(supersedes=review.ranking_id).exists()
    return Demonstration.objects.filter(supersedes=review.demonstration_id).exists()
