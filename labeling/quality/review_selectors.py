"""What reviewers ask about submitted work, and authors about work that came back."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from labeling.assignments.models import Slot
from labeling.assignments.returned import Returned
from labeling.comparisons import selectors as comparisons
from labeling.comparisons.models import Ranking
from labeling.core.errors import NotFound
from labeling.demonstrations.models import Demonstration
from labeling.people.models import User
from labeling.projects.flags import Flag, PromptFlag
from labeling.projects.models import Project
from labeling.quality.models import Review, ScreeningPiece

NEWEST = ~Exists(Ranking.objects.filter(supersedes=OuterRef("ranking"))) & ~Exists(
    Demonstration.objects.filter(supersedes=OuterRef("demonstration"))
)  # anti-joins, whose number of rows the planner guesses well


ON_A_SLOT = Q(ranking__slot__isnull=False) | Q(demonstration__slot__isnull=False)
RETURNED = Q(review__state=Review.State.RETURNED)
ACCEPTED = Q(review__state=Review.State.ACCEPTED)
REGULAR = Q(~Exists(ScreeningPiece.objects.filter(slot=OuterRef("slot"))))  # not done to qualify


def usable(project: Project) -> Q:
    """Rankings or demonstrations that may enter a snapshot: none returned or made for screening, only accepted ones if required."""
    usual = ~RETURNED & REGULAR
    return usual & ACCEPTED if project.requires_review else usual


def queue(
    project: Project, *, state: str = "waiting", kind: str = "", reason: str = "", labeler: str = ""
) -> QuerySet[Review]:
    """Reviews that match, of the newest revisions, with author and prompt; `labeler` is looked for in names and addresses."""
    rows = Review.objects.filter(NEWEST, project=project)
    rows = rows.select_related("labeler", "ranking__comparison__task__prompt", "demonstration__prompt")
    wanted = {"state": state, "kind": kind, "reason": reason}
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    if labeler:
        rows = rows.filter(Q(labeler__name__icontains=labeler) | Q(labeler__email__icontains=labeler))
    return rows


def listed(rows: QuerySet[Review]) -> QuerySet[Review]:
    """Rows of `queue` without the long texts that a list does not show."""
    return rows.defer(
        "note",
        "ranking__reason",
        "ranking__comparison__task__prompt__messages",
        "demonstration__text",
        "demonstration__prompt__messages",
    )


def counts(project: Project) -> Counter[str]:
    """Reviews by state."""
    rows = Review.objects.filter(project=project).order_by().values_list("state")
    return Counter(dict(rows.annotate(n=Count("*"))))


def one(project: Project, public_id: UUID) -> Review:
    """A review of this project; NotFound otherwise."""
    rows = queue(project, state="").select_related("reviewer", "ranking__slot")
    found = rows.filter(public_id=public_id).first()
    if found is None:
        raise NotFound(_("There is no such review here; the work may have a newer revision."))
    return found


def next_waiting(project: Project, review: Review, reviewer: User) -> Review | None:
    """What to look at next: the next older one that waits, or else the newest; never one's own work."""
    rows = queue(project).exclude(pk=review.pk).exclude(labeler=reviewer).order_by("-pk")
    return rows.filter(pk__lt=review.pk).first() or rows.first()


def returned_to(project: Project, labeler: User) -> QuerySet[Review]:
    """Reviews of this person's work that was returned and has no newer revision yet."""
    rows = Review.objects.filter(NEWEST, ON_A_SLOT, project=project, labeler=labeler, state=Review.State.RETURNED)
    return rows.select_related("ranking__slot__task__prompt", "demonstration__slot__task__prompt").order_by("-pk")


def read_returned(row: Review) -> Returned:
    """A row of `returned_to` as its author reads it."""
    assert row.work.slot is not None and row.decided_at is not None  # returned_to and the database see to both
    return Returned(row.work.slot, row.note, row.decided_at)


def note_on(slot: Slot) -> str:
    """What a reviewer asks of the newest revision on a slot; "" when it was not returned."""
    rows = Review.objects.filter(NEWEST, Q(ranking__slot=slot) | Q(demonstration__slot=slot))
    row = rows.filter(labeler=slot.labeler, state=Review.State.RETURNED).order_by("-pk").first()
    return row.note if row else ""


def responses(review: Review) -> list[dict[str, Any]]:
    """The completions of a reviewed ranking, best first; none for a demonstration."""
    return said_of(review.ranking) if review.ranking is not None else []


def said_of(ranking: Ranking) -> list[dict[str, Any]]:
    """The completions of a ranking, best first, with place, letter as its labeler saw it, quality and flags."""
    letters = {row.pk: letter for letter, row in comparisons.shown(ranking.slot).items()} if ranking.slot else {}
    ratings = {row.completion_id: row for row in ranking.ratings.all()}
    found = []
    for item in ranking.items.select_related("completion").order_by("rank", "pk"):
        rating = ratings.get(item.completion_id)
        found.append(
            {
                "pk": item.completion_id,
                "letter": letters.get(item.completion_id, ""),
                "rank": item.rank,
                "text": item.completion.text,
                "quality": rating.quality if rating else None,
                "flags": flag_words(rating.flags) if rating else [],
            }
        )
    return found


def prompt_flag_words(work: Ranking | Demonstration) -> list[str]:
    """What the author says of the prompt, in words."""
    return [str(PromptFlag(flag).label) for flag in work.prompt_flags]


def flag_words(flags: list[str]) -> list[str]:
    """Flags in words."""
    return [str(Flag(flag).label) for flag in flags]
