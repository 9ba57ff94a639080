"""Reading snapshots."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _

from labeling.core.errors import NotFound
from labeling.datasets import render
from labeling.datasets.models import Snapshot
from labeling.projects.models import Project


def one(*, project: Project, public_id: Any) -> Snapshot:
    """The project's snapshot of this id; raises NotFound."""
    found = Snapshot.objects.select_related("created_by").filter(project=project, public_id=public_id).first()
    if found is None:
        raise NotFound(_("There is no such snapshot in this project."))
    return found


def card(snapshot: Snapshot) -> dict[str, Any]:
    """What is inside, in numbers: rows by split, guideline versions, labelers, ties and lengths of rankings."""
    members = snapshot.members.all()
    numbers: dict[str, Any] = {
        "splits": list(members.values_list("split").annotate(rows=Count("id")).order_by("split")),
    }
    if snapshot.kind != Snapshot.Kind.PROMPTS:
        link = snapshot.kind[:-1]
        numbers["guidelines"] = list(
            members.values_list(f"{link}__guideline__version")
            .annotate(rows=Count("id"))
            .order_by(f"{link}__guideline__version")
        )
        numbers["labelers"] = members.values(f"{link}__labeler").distinct().count()
    if snapshot.kind == Snapshot.Kind.RANKINGS:
        numbers["prompts"] = members.values("ranking__comparison__task__prompt").distinct().count()
        numbers["completions"] = members.aggregate(n=Count("ranking__items"))["n"]
    return numbers


def first_rows(snapshot: Snapshot, count: int) -> list[dict[str, Any]]:
    """The first records to read; those of rankings get `ranked`: (place, completion), best first."""
    rows = list(islice(render.records(snapshot), count))
    for row in rows:
        if "ranks" in row:
            row["ranked"] = sorted(zip(row["ranks"], row["completions"], strict=True), key=lambda pair: pair[0])
    return rows
