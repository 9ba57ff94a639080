"""Frozen rows as records of training/contracts.py. The same rows always give the same lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models

from labeling.comparisons.models import Ranking
from labeling.datasets.models import Snapshot, SnapshotMember
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Membership
from labeling.prompts.models import Prompt

PAGE = 500
MARGINS = (0.0, 1 / 3, 2 / 3, 1.0)  # negligibly … significantly better: Touvron et al. 2023, table 27, the smaller set


def records(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Every row in order of `ordinal`, read a page at a time by keyset, each page its own short query."""
    pages = {"demonstrations": _demonstrations, "rankings": _rankings, "prompts": _prompts}
    after = -1
    while True:
        page = list(
            SnapshotMember.objects.filter(snapshot=snapshot, ordinal__gt=after)
            .order_by("ordinal")
            .values_list("ordinal", "split", f"{snapshot.kind[:-1]}_id")[:PAGE]
        )
        if not page:
            return
        found = pages[snapshot.kind](snapshot, [pk for _, _, pk in page])
        for _, split, pk in page:
            yield {**found[pk], "split": split}
        after = page[-1][0]


def _keys(snapshot: Snapshot, rows: list[Any]) -> dict[int, str]:
    """Labelers' pseudonyms (PRIV-2)."""
    members = Membership.objects.filter(project=snapshot.project_id, user__in={row.labeler_id for row in rows})
    return {user: str(key) for user, key in members.values_list("user_id", "labeler_key")}


def _prompts(_snapshot: Snapshot, ids: list[int]) -> dict[int, dict[str, Any]]:
    return {
        prompt.pk: {"id": str(prompt.public_id), "messages": prompt.messages, "category": prompt.category}
        for prompt in Prompt.objects.filter(pk__in=ids)
    }


def _demonstrations(snapshot: Snapshot, ids: list[int]) -> dict[int, dict[str, Any]]:
    rows = list(Demonstration.objects.filter(pk__in=ids).select_related("prompt", "guideline"))
    keys = _keys(snapshot, rows)
    return {
        row.pk: {
            "id": str(row.public_id),
            "prompt_id": str(row.prompt.public_id),
            "messages": [*row.prompt.messages, {"role": "assistant", "content": row.text}],
            "labeler": keys.get(row.labeler_id, ""),
            "guideline": row.guideline.version if row.guideline else None,
        }
        for row in rows
    }


def _rankings(snapshot: Snapshot, ids: list[int]) -> dict[int, dict[str, Any]]:
    rows = list(
        Ranking.objects.filter(pk__in=ids)
        .select_related("comparison__task__prompt", "guideline")
        .prefetch_related(
            models.Prefetch("comparison__items__completion"),
            "comparison__items__completion__checkpoint",
            "items",
            "ratings",
        )
    )
    keys = _keys(snapshot, rows)
    return {row.pk: _ranking(row, keys.get(row.labeler_id, "")) for row in rows}


def _ranking(row: Ranking, labeler: str) -> dict[str, Any]:
    completions = [item.completion for item in sorted(row.comparison.items.all(), key=lambda item: item.position)]
    ranks = {item.completion_id: item.rank for item in row.items.all()}
    ratings = {rating.completion_id: rating for rating in row.ratings.all()}
    return {
        "id": str(row.public_id),
        "prompt_id": str(row.comparison.task.prompt.public_id),
        "messages": row.comparison.task.prompt.messages,
        "completions": [
            {
                "id": str(completion.public_id),
                "text": completion.text,
                "policy": completion.checkpoint.name,
                "finish_reason": completion.finish_reason,
                "token_count": completion.token_count,
            }
            for completion in completions
        ],
        "ranks": [ranks[completion.pk] for completion in completions],
        "quality": [ratings[c.pk].quality if c.pk in ratings else None for c in completions],
        "flags": [sorted(ratings[c.pk].flags) if c.pk in ratings else [] for c in completions],
        "margin": MARGINS[row.strength] if row.strength is not None and len(completions) == 2 else 0.0,
        "labeler": labeler,
        "guideline": row.guideline.version if row.guideline else None,
    }
