"""Computing what the quality page shows, once for everybody who looks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import ComparisonItem, Ranking
from labeling.core.clock import db_now, take_long, try_lock
from labeling.core.errors import BadInput
from labeling.projects.models import Project
from labeling.quality import selectors
from labeling.quality.measures import Measures
from labeling.quality.models import Dispute, RewardScore, Summary, WeeklyAgreement

PATIENCE = 10  # a summary is not computed again before ten times as long as it took has passed
CHUNK = 2000


def sweep() -> int:
    """Compute the summaries that are no longer true; returns how many. Projects that take long are looked at less often."""
    done = 0
    for project in Project.objects.order_by("id"):
        stored = Summary.objects.filter(project=project).only("computed_at", "seconds").first()
        if stored and db_now() < stored.computed_at + timedelta(seconds=PATIENCE * stored.seconds):
            continue
        done += refresh(project=project)
    return done


@transaction.atomic
def refresh(*, project: Project) -> bool:
    """Compute the summary of one project if what it rests on has changed; True when it was. One at a time per project."""
    if not try_lock(f"quality-{project.pk}"):
        return False
    basis = selectors.basis(project)
    if Summary.objects.filter(project=project, basis=basis).exists():
        return False
    take_long()
    began, at = time.monotonic(), db_now()
    newest = Ranking.objects.filter(project=project).aggregate(last=Max("id"))["last"] or 0
    walk = selectors.walk(project)
    figures = walk.figures(selectors.skips(project))
    store_weeks(project, walk.measures)
    store_disputes(project, walk.measures)
    Summary.objects.update_or_create(
        project=project,
        defaults={
            "figures": figures,
            "basis": basis,
            "newest_ranking": newest,
            "seconds": time.monotonic() - began,
            "computed_at": at,
        },
    )
    return True


def store_weeks(project: Project, measures: Measures) -> None:
    """Replace everybody's agreement by week."""
    WeeklyAgreement.objects.filter(project=project).delete()
    rows = []
    for (labeler, week), ratio in measures.own_weeks.items():
        found = ratio.estimate(resamples=500)
        if found:
            rows.append(
                WeeklyAgreement(
                    project=project, labeler_id=labeler, week=week,
                    agreement=found.value, low=found.low, high=found.high, pairs=found.cases,
                )
            )  # fmt: skip
    WeeklyAgreement.objects.bulk_create(rows, batch_size=CHUNK)


def store_disputes(project: Project, measures: Measures) -> None:
    """Write the comparisons whose disagreement is new or another one, and forget those that have none any more."""
    rows = Dispute.objects.filter(project=project).values_list("comparison", "round_number", "labelers", "disagreement")
    stored = {comparison: (number, labelers, share) for comparison, number, labelers, share in rows}
    fresh = [
        Dispute(project=project, comparison_id=pk, round_number=number, labelers=labelers, disagreement=share)
        for pk, (number, labelers, share) in measures.disputes.items()
        if stored.get(pk) != (number, labelers, share)
    ]
    Dispute.objects.filter(project=project, comparison__in=stored.keys() - measures.disputes.keys()).delete()
    Dispute.objects.bulk_create(
        fresh,
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["comparison"],
        update_fields=["round_number", "labelers", "disagreement"],
    )


@transaction.atomic
def store_scores(*, checkpoint: Checkpoint, scores: Mapping[int, float]) -> int:
    """Keep a reward model's scores by completion; the newest score replaces. Returns how many."""
    RewardScore.objects.bulk_create(
        (RewardScore(completion_id=pk, checkpoint=checkpoint, score=score) for pk, score in scores.items()),
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["completion", "checkpoint"],
        update_fields=["score"],
    )
    return len(scores)


def scores_by_completion(project: Project, rows: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Scores of completions from those of rankings: {"id": the ranking's, "scores": in the order of its comparison}.

    Rankings that the project does not have are passed over. Raises BadInput where scores and completions do not match.
    """
    given = {str(row["id"]): row["scores"] for row in rows}
    known = Ranking.objects.filter(project=project, public_id__in=[name for name in given if is_uuid(name)])
    comparisons = {str(name): pk for name, pk in known.values_list("public_id", "comparison")}
    items = ComparisonItem.objects.filter(comparison__in=set(comparisons.values())).order_by("position")
    order: dict[int, list[int]] = {}
    for comparison, completion in items.values_list("comparison", "completion"):
        order.setdefault(comparison, []).append(completion)
    found: dict[int, float] = {}
    for name, comparison in comparisons.items():
        if len(given[name]) != len(order[comparison]):
            raise BadInput(
                _("Ranking %(name)s has %(comparison)s completions, not %(name2)s.")
                % {"name": name, "comparison": len(order[comparison]), "name2": len(given[name])},
                field="scores",
            )
        found |= dict(zip(order[comparison], map(float, given[name]), strict=True))
    return found


def is_uuid(name: str) -> bool:
    """Whether an id can be a ranking's."""
    try:
        UUID(name)
    except ValueError:
        return False
    return True
