"""Completions that give their model away: found, listed, and released or kept out by a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from labeling.comparisons.leaks import leak_in, names_of
from labeling.comparisons.models import Completion, HeldBack
from labeling.core import audit
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.projects.models import Project

OUT = Q(held_back__state__in=[HeldBack.State.HELD, HeldBack.State.KEPT_OUT])
DECISIONS = {"release": HeldBack.State.RELEASED, "keep_out": HeldBack.State.KEPT_OUT}


def leaking(project: Project, completions: Iterable[Completion]) -> dict[int, str]:
    """The words that give each of these completions away, by id. Released ones are left out, those kept out are in it."""
    rows = list(completions)
    names = names_of(project)
    told = dict(HeldBack.objects.filter(completion__in=rows).values_list("completion", "state"))
    found = {}
    for row in rows:
        if told.get(row.pk) == HeldBack.State.RELEASED:
            continue
        words = leak_in(row.text, messages=row.prompt.messages, names=names)
        if words or row.pk in told:
            found[row.pk] = words
    return found


def remember(project: Project, found: Mapping[int, str]) -> None:
    """List completions that were held back; those listed already stay as they are."""
    HeldBack.objects.bulk_create(
        [HeldBack(project=project, completion_id=pk, words=words[:120]) for pk, words in found.items()],
        ignore_conflicts=True,
    )


def look_through(project: Project, completions: Iterable[Completion]) -> int:
    """Find and list the leaks among fresh completions; returns how many."""
    found = leaking(project, completions)
    remember(project, found)
    return len(found)


def listed(project: Project, *, state: str = "", text: str = "") -> QuerySet[HeldBack]:
    """What was held back; `text` is looked for in the words that gave it away."""
    rows = HeldBack.objects.filter(project=project).select_related("completion__prompt", "completion__checkpoint")
    rows = rows.filter(state=state) if state else rows
    return rows.filter(words__icontains=text) if text else rows


@transaction.atomic
def decide(*, project: Project, rows: QuerySet[HeldBack], decision: str, by: User) -> int:
    """Release these completions for comparisons, or keep them out for good; returns how many changed."""
    if decision not in DECISIONS:
        raise BadInput(_("Decide one of %(DECISIONS)s.") % {"DECISIONS": ", ".join(DECISIONS)}, field="decision")
    to = DECISIONS[decision]
    ids: Sequence[int] = list(
        rows.filter(project=project).exclude(state=to).select_for_update(of=("self",)).values_list("pk", flat=True)
    )
    changed = HeldBack.objects.filter(pk__in=ids).update(state=to)
    if changed:
        audit.record(f"{decision} completions", project, by=by, after={"completions": changed, "first": list(ids[:20])})
    return changed
