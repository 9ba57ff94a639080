"""What people judged, read prompt by prompt: every ranking of a project with what stood around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from django.db.models import F, Max, QuerySet
from django.db.models.functions import Length

from labeling.comparisons.models import ComparisonItem, DisplayOrder, RankedItem, Ranking, Rating
from labeling.people.models import Role
from labeling.projects.models import Membership, Project
from labeling.quality.models import ControlItem, RewardScore

PROMPTS = 300  # prompts read at once
Key = TypeVar("Key")


@dataclass(frozen=True)
class Judgement:
    """One person's newest ranking of one comparison. `places` is the shown order (1 is A), empty where none was stored."""

    labeler: int
    is_researcher: bool
    week: date  # its Monday
    version: int | None  # of the guideline
    active_seconds: int
    ranks: dict[int, int]
    places: dict[int, int] = field(default_factory=dict)
    ratings: dict[int, int] = field(default_factory=dict)
    flagged: bool = False


@dataclass(frozen=True)
class Judged:
    """One comparison and its judgements. `lengths` in characters; `known` of a control item; `score_ranks` 1 is the best score."""

    comparison: int
    prompt: int
    round_number: int | None
    judgements: list[Judgement]
    lengths: dict[int, int] = field(default_factory=dict)
    known: dict[int, int] | None = None
    score_ranks: dict[int, int] | None = None


def own_rankings(project: Project) -> QuerySet[Ranking]:
    """What each person last said in time: revisions of one's own replace, those of a reviewer do not."""
    rows = Ranking.objects.filter(project=project, late=False)
    return rows.exclude(superseded_by__labeler=F("labeler"))


def prompts_judged(project: Project) -> Iterator[list[Judged]]:
    """All judged comparisons of each prompt, the prompt with the newest ranking first."""
    researchers = set(
        Membership.objects.filter(project=project).exclude(role=Role.CONTRACTOR).values_list("user_id", flat=True)
    )
    order = own_rankings(project).order_by().values_list("comparison__task__prompt").annotate(last=Max("id"))
    prompts = [pk for pk, _ in order.order_by("-last")]
    for start in range(0, len(prompts), PROMPTS):
        chosen = prompts[start : start + PROMPTS]
        found: dict[int, list[Judged]] = defaultdict(list)
        for judged in read(project, chosen, researchers):
            found[judged.prompt].append(judged)
        yield from (found[prompt] for prompt in chosen)


def read(project: Project, prompts: Sequence[int], researchers: set[int]) -> Iterator[Judged]:
    """The judged comparisons of these prompts, in a handful of queries."""
    rows = list(
        own_rankings(project)
        .filter(comparison__task__prompt__in=prompts)
        .order_by("id")
        .values_list(
            "id", "comparison_id", "comparison__task__prompt_id", "comparison__task__round_number", "slot_id",
            "labeler_id", "guideline__version", "active_seconds", "created_at", "prompt_flags",
        )
    )  # fmt: skip
    rankings, comparisons = [row[0] for row in rows], {row[1] for row in rows}
    ranks = grouped(RankedItem.objects.filter(ranking__in=rankings).values_list("ranking", "completion", "rank"))
    shown = DisplayOrder.objects.filter(slot__in=[row[4] for row in rows]).order_by()
    places = grouped(shown.values_list("slot", "completion", "place"))
    ratings = grouped(Rating.objects.filter(ranking__in=rankings).values_list("ranking", "completion", "quality"))
    flagged = set(Rating.objects.filter(ranking__in=rankings, flags__len__gt=0).values_list("ranking", flat=True))
    items = ComparisonItem.objects.filter(comparison__in=comparisons).order_by()
    lengths = grouped(items.annotate(size=Length("completion__text")).values_list("comparison", "completion", "size"))
    known = {row.comparison_id: row.known for row in ControlItem.objects.filter(comparison__in=comparisons)}
    scores = scores_of(comparisons)
    together: dict[int, dict[int, Judgement]] = defaultdict(dict)
    about: dict[int, tuple[int, int | None]] = {}
    for pk, comparison, prompt, number, slot, labeler, version, seconds, at, prompt_flags in rows:
        about[comparison] = (prompt, number)
        together[comparison][labeler] = Judgement(
            labeler=labeler,
            is_researcher=labeler in researchers,
            week=monday(at.date()),
            version=version,
            active_seconds=seconds,
            ranks=ranks[pk],
            places=places[slot],
            ratings={completion: quality for completion, quality in ratings[pk].items() if quality},
            flagged=pk in flagged or bool(prompt_flags),
        )
    for comparison, judgements in together.items():
        yield Judged(
            comparison,
            *about[comparison],
            judgements=list(judgements.values()),
            lengths=lengths[comparison],
            known=known.get(comparison),
            score_ranks=ranks_of_scores(scores[comparison]),
        )


def grouped(rows: Iterable[tuple[Any, ...]]) -> dict[Any, dict[int, int]]:
    """{first: {second: third}}."""
    found: dict[Any, dict[int, int]] = defaultdict(dict)
    for first, second, third in rows:
        found[first][second] = third
    return found


def scores_of(comparisons: Iterable[int]) -> dict[int, dict[int, float]]:
    """{comparison: {completion: score}} by the newest reward model that scored any of its completions."""
    rows = RewardScore.objects.filter(completion__comparisons__in=list(comparisons)).order_by("checkpoint")
    found: dict[int, tuple[int, dict[int, float]]] = {}
    for comparison, checkpoint, completion, score in rows.values_list(
        "completion__comparisons", "checkpoint", "completion", "score"
    ):
        if comparison not in found or found[comparison][0] != checkpoint:
            found[comparison] = (checkpoint, {})
        found[comparison][1][completion] = score
    return defaultdict(dict, {comparison: scores for comparison, (_, scores) in found.items()})


def ranks_of_scores(scores: dict[int, float]) -> dict[int, int] | None:
    """Places by score, the highest first; equal scores tie. None below two scores."""
    ordered = sorted(set(scores.values()), reverse=True)
    return {pk: ordered.index(score) + 1 for pk, score in scores.items()} if len(scores) > 1 else None


def monday(day: date) -> date:
    """The first day of its ISO week."""
    return day - timedelta(days=day.weekday())
