"""Which submitted work a second person looks at. The rules are the project's; a sweep applies them to each revision once."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from labeling.assignments.models import HIDDEN_PRIORITY
from labeling.assignments.recall import ALLOWED_SECONDS
from labeling.comparisons.models import RankedItem, Ranking, Rating
from labeling.core.clock import db_now, try_lock
from labeling.demonstrations.models import Demonstration
from labeling.projects.flags import HARM, PromptFlag
from labeling.projects.models import Project
from labeling.quality.control_items import accuracy
from labeling.quality.models import ControlItem, Review, ReviewCursor

CHUNK = 1000
PASS = 0.75  # share of the known pairs in order, as in the screening of Ouyang et al. 2022, B.1
LAG = timedelta(seconds=ALLOWED_SECONDS + 10)  # work that may still be taken back, or is not committed yet, waits
Work = Ranking | Demonstration


@dataclass
class Evidence:
    """What the rules look at, for one chunk of work of one kind: ids of the rows each rule hits."""

    failed: set[int] = field(default_factory=set)
    flagged: set[int] = field(default_factory=set)
    revised: set[int] = field(default_factory=set)
    reviewed: set[int] = field(default_factory=set)
    earlier: Counter[int] = field(default_factory=Counter)


@transaction.atomic
def sample_reviews(*, project: Project, lag: timedelta = LAG) -> int:
    """Put the work submitted since the last time into the queue where a rule asks for it; returns how many reviews are new.

    Each revision is considered once; when all work is to be reviewed, what earlier rules passed over is added too.
    """
    if not try_lock(f"reviews-{project.pk}"):
        return 0
    cursor, _ = ReviewCursor.objects.get_or_create(project=project)
    until = db_now() - lag
    made = 0
    for model, name in ((Ranking, "last_ranking"), (Demonstration, "last_demonstration")):
        while chunk := after(model, project, getattr(cursor, name), until):
            made += consider(project, chunk)
            setattr(cursor, name, chunk[-1].pk)
        if project.requires_review:
            made += require_rest(model, project, getattr(cursor, name))
    cursor.save()
    return made


def after(model: type[Any], project: Project, last: int, until: Any) -> list[Any]:
    """The next rows past `last`, oldest first, that were submitted before `until`."""
    rows = model.objects.filter(project=project, pk__gt=last, created_at__lt=until).select_related("slot")
    return list(rows.order_by("pk")[:CHUNK])


def consider(project: Project, chunk: Sequence[Any]) -> int:
    """Apply the rules to rows of one kind; late work is not reviewed."""
    evidence = evidence_of(project, chunk)
    reviews = []
    for row in chunk:
        evidence.earlier[row.labeler_id] += 1
        if not row.late and row.pk not in evidence.reviewed and (reason := reason_for(project, row, evidence)):
            reviews.append(review_of(project, row, reason))
    return len(Review.objects.bulk_create(reviews, ignore_conflicts=True))


def reason_for(project: Project, row: Work, evidence: Evidence) -> str:
    """The first rule that asks for a review; "" when none does."""
    reasons = Review.Reason
    rules = (
        (reasons.REVISED, row.pk in evidence.revised),
        (reasons.CONTROL, project.review_controls and row.pk in evidence.failed),
        (reasons.FLAGGED, project.review_flagged and row.pk in evidence.flagged),
        (reasons.NEW_LABELER, evidence.earlier[row.labeler_id] <= project.review_first),
        (reasons.RANDOM, is_drawn(project.seed, row.submission, project.review_percent)),
        (reasons.REQUIRED, project.requires_review),
    )
    return next((reason.value for reason, hit in rules if hit), "")


def is_drawn(seed: int, submission: UUID, percent: int) -> bool:
    """A pure function of seed and submission, so that asking again draws the same work."""
    digest = hashlib.sha256(f"review\n{seed}\n{submission}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 10_000 < percent * 100


def review_of(project: Project, row: Work, reason: str) -> Review:
    """An unsaved review of this revision."""
    is_ranking = isinstance(row, Ranking)
    mine: dict[str, Any] = {"ranking" if is_ranking else "demonstration": row}
    kind = "comparison" if is_ranking else "demonstration"
    slot = None if row.late else row.slot
    by, at = (slot.labeler_id, slot.submitted_at) if slot else (row.labeler_id, row.created_at)
    mine |= {"author_id": by, "submitted_at": at}
    return Review(project=project, kind=kind, labeler_id=row.labeler_id, reason=reason, **mine)


def require_rest(model: type[Any], project: Project, last: int) -> int:
    """Queue the newest revisions up to `last` that no rule had asked for."""
    rows = model.objects.filter(project=project, pk__lte=last, late=False, superseded_by=None, review=None)
    rows = rows.select_related("slot")
    missing = [review_of(project, row, Review.Reason.REQUIRED) for row in rows.order_by("pk")[: CHUNK * 5]]
    return len(Review.objects.bulk_create(missing, ignore_conflicts=True))


# ---- evidence


def evidence_of(project: Project, chunk: Sequence[Any]) -> Evidence:
    """Read what the rules need for all rows at once."""
    model, ids = type(chunk[0]), [row.pk for row in chunk]
    earlier = model.objects.filter(project=project, pk__lt=chunk[0].pk, labeler__in={row.labeler_id for row in chunk})
    counts = earlier.order_by().values_list("labeler").annotate(n=Count("pk"))
    reviewed = set(model.objects.filter(pk__in=ids, review__isnull=False).values_list("pk", flat=True))
    found = Evidence(revised=revised(model, ids), reviewed=reviewed, earlier=Counter(dict(counts)))
    if model is Ranking:
        found.failed = failed_controls(chunk)
    found.flagged = flagged(model, ids)
    return found


def revised(model: type[Any], ids: Iterable[int]) -> set[int]:
    """Revisions of work that a reviewer has, or had, before them. A waiting review of the older revision has no object any more."""
    link = "ranking" if model is Ranking else "demonstration"
    rows = model.objects.filter(pk__in=ids, supersedes__review__isnull=False)
    older = dict(rows.values_list("pk", "supersedes"))
    waiting = Review.objects.filter(**{f"{link}__in": older.values()}, state=Review.State.WAITING)
    waiting.update(state=Review.State.REPLACED)
    return set(older)


def flagged(model: type[Any], ids: Iterable[int]) -> set[int]:
    """Work that flags its prompt as sensitive, and rankings that flag a completion as harmful."""
    prompts = set(
        model.objects.filter(pk__in=ids, prompt_flags__contains=[PromptFlag.SENSITIVE]).values_list("pk", flat=True)
    )
    if model is not Ranking:
        return prompts
    ratings = Rating.objects.filter(ranking__in=ids, flags__overlap=sorted(HARM)).values_list("ranking", flat=True)
    return set(ratings) | prompts


def failed_controls(chunk: Sequence[Ranking]) -> set[int]:
    """Rankings of controls, asked as such, that have less than three quarters of the known pairs in order."""
    asked = [row for row in chunk if row.slot is not None and row.slot.priority == HIDDEN_PRIORITY]
    if not asked:
        return set()
    known = {
        one.comparison_id: one.known
        for one in ControlItem.objects.filter(comparison__in={row.comparison_id for row in asked})
    }
    said: dict[int, dict[int, int]] = defaultdict(dict)
    placed = RankedItem.objects.filter(Q(ranking__in=[row.pk for row in asked]))
    for ranking, completion, rank in placed.values_list("ranking", "completion", "rank"):
        said[ranking][completion] = rank
    return {
        row.pk
        for row in asked
        if row.comparison_id in known and accuracy(known[row.comparison_id], said[row.pk]) < PASS
    }
