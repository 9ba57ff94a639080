"""Making hidden controls: comparisons whose ranking is known, judged by many people who cannot tell them from others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from labeling.assignments.models import HIDDEN_PRIORITY, Slot, Task
from labeling.assignments.services import add_hidden_slots
from labeling.comparisons import selectors as comparisons
from labeling.comparisons.models import Comparison, RankedItem
from labeling.comparisons.services import order_slots
from labeling.core import audit
from labeling.core.errors import BadInput, Conflict, NotFound
from labeling.people.models import User
from labeling.projects.flags import HARM
from labeling.projects.models import Project
from labeling.quality.models import ControlItem

MAX_JUDGEMENTS = 1000
MAX_AT_ONCE = 500


@transaction.atomic
def make_control(
    *,
    comparison: Comparison,
    tiers: Sequence[Sequence[int]],
    judgements: int,
    by: User | None,
    note: str = "",
    harmful: Sequence[int] | None = None,
) -> ControlItem:
    """Make a training comparison a control: `tiers` is the known order, best first; `judgements` more people rank it, unseen.

    `harmful` are the completions that deserve a flag of harm, none of them if empty; None means that this is not known.
    What was ranked before stays as it was. Raises BadInput naming the field, Conflict when it is a control already.
    """
    task = Task.objects.select_for_update(no_key=True).get(pk=comparison.task_id)
    ranks = known_ranks(comparison, tiers)
    if harmful is not None:
        check_harmful(harmful, ranks, task.project)
    if not 1 <= judgements <= MAX_JUDGEMENTS:
        raise BadInput(_("Ask 1 to %(most)d people.") % {"most": MAX_JUDGEMENTS}, field="judgements")
    if comparison.purpose != Comparison.Purpose.TRAINING:
        raise BadInput(_("Evaluation comparisons compare policies; choose one for training."), field="comparison")
    if task.state == Task.State.WITHDRAWN:
        raise Conflict(_("This comparison is withdrawn: choose another."))
    if ControlItem.objects.filter(comparison=comparison).exists():
        raise Conflict(_("This comparison is a control already."))
    control = ControlItem.objects.create(
        comparison=comparison,
        ranks={str(pk): rank for pk, rank in ranks.items()},
        harmful=None if harmful is None else sorted(harmful),
        note=note.strip()[:300],
        created_by=by,
    )
    order_slots(comparison, add_hidden_slots(task=task, number=judgements, by=by))
    audit.record("made control", control, by=by, project_id=task.project_id, after={"judgements": judgements})
    return control


def known_ranks(comparison: Comparison, tiers: Sequence[Sequence[int]]) -> dict[int, int]:
    """Dense ranks; BadInput unless each completion has one place and not all share one: that would tell nothing."""
    filled = [list(tier) for tier in tiers if tier]
    placed = sorted(pk for tier in filled for pk in tier)
    if placed != sorted(comparison.items.values_list("completion_id", flat=True)):
        raise BadInput(_("Give every completion one place."), field="ranks")
    if len(filled) < 2:
        raise BadInput(_("Put at least one completion above another: a control needs a known order."), field="ranks")
    return {pk: rank for rank, tier in enumerate(filled, start=1) for pk in tier}


def check_harmful(harmful: Sequence[int], ranks: Mapping[int, int], project: Project) -> None:
    """BadInput unless these are completions of the comparison, in a project whose labelers can flag harm."""
    if not set(harmful) <= ranks.keys():
        raise BadInput(_("Only completions of this comparison can be harmful here."), field="harmful")
    if not asks_harm(project):
        raise BadInput(
            _("The project asks no flag of harm, so nobody could find it: choose one in the settings first."),
            field="harmful",
        )


def asks_harm(project: Project) -> bool:
    """Whether labelers can say that a completion is harmful."""
    return not HARM.isdisjoint(project.flags)


@transaction.atomic
def ask_more(*, control: ControlItem, judgements: int, by: User) -> int:
    """Let so many more people rank a control; returns how many slots were added."""
    task = Task.objects.select_for_update(no_key=True).get(comparison=control.comparison_id)
    if not 1 <= judgements <= MAX_JUDGEMENTS:
        raise BadInput(_("Ask 1 to %(most)d people.") % {"most": MAX_JUDGEMENTS}, field="judgements")
    if task.state == Task.State.WITHDRAWN:
        raise Conflict(_("This comparison is withdrawn: choose another."))
    order_slots(control.comparison, add_hidden_slots(task=task, number=judgements, by=by))
    audit.record("asked more", control, by=by, project_id=task.project_id, after={"judgements": judgements})
    return judgements


@transaction.atomic
def stop_control(*, control: ControlItem, by: User) -> int:
    """Hand a control out no more; what was judged stays and still counts. Returns how many judgements are no longer wanted."""
    task = Task.objects.select_for_update(no_key=True).get(comparison=control.comparison_id)
    hidden = Slot.objects.filter(task=task, priority=HIDDEN_PRIORITY, state__in=(Slot.State.OPEN, Slot.State.PAUSED))
    gone = hidden.update(state=Slot.State.WITHDRAWN)
    left = Slot.objects.filter(task=task, state__in=(Slot.State.OPEN, Slot.State.PAUSED, Slot.State.LEASED)).exists()
    if not left and task.state in (Task.State.OPEN, Task.State.PAUSED):
        Task.objects.filter(pk=task.pk).update(state=Task.State.DONE)
    audit.record("stopped control", control, by=by, project_id=task.project_id, after={"withdrawn": gone})
    return gone


# ---- reading


def controls(project: Project, *, asked: str = "") -> QuerySet[ControlItem]:
    """The controls of a project, newest first, with `waiting` and `judged` counts of hidden slots; `asked`: waiting or done."""
    hidden = Q(comparison__task__slots__priority=HIDDEN_PRIORITY)
    waiting = Q(comparison__task__slots__state__in=(Slot.State.OPEN, Slot.State.LEASED, Slot.State.PAUSED))
    judged = Q(comparison__task__slots__state=Slot.State.SUBMITTED)
    rows = ControlItem.objects.filter(comparison__task__project=project).select_related(
        "comparison__task__prompt", "created_by"
    )
    rows = rows.annotate(
        waiting=Count("comparison__task__slots", filter=hidden & waiting),
        judged=Count("comparison__task__slots", filter=hidden & judged),
    )
    if asked == "waiting":
        return rows.filter(waiting__gt=0)
    return rows.filter(waiting=0) if asked == "done" else rows


def one_comparison(project: Project, task: UUID) -> Comparison:
    """The comparison of this task; NotFound otherwise."""
    rows = Comparison.objects.select_related("task__prompt")
    found = rows.filter(task__project=project, task__public_id=task).first()
    if found is None:
        raise NotFound(_("There is no such comparison here."))
    return found


def said_so_far(comparison: Comparison) -> list[dict[int, int]]:
    """The places that each current ranking gave."""
    places: dict[int, dict[int, int]] = defaultdict(dict)
    rows = comparisons.current(comparison.task.project).filter(comparison=comparison)
    for ranking, completion, rank in RankedItem.objects.filter(ranking__in=rows).values_list(
        "ranking", "completion", "rank"
    ):
        places[ranking][completion] = rank
    return list(places.values())


def unanimous(project: Project, *, least: int, limit: int = MAX_AT_ONCE) -> Sequence[tuple[Comparison, dict[int, int]]]:
    """Training comparisons that at least `least` people ranked in one and the same order, newest first, with that order.

    Those that are controls already, withdrawn, or ranked as one single tie are left out.
    """
    current = Q(rankings__late=False, rankings__superseded_by=None)
    rows = Comparison.objects.filter(task__project=project, purpose=Comparison.Purpose.TRAINING, control=None)
    rows = rows.exclude(task__state=Task.State.WITHDRAWN).annotate(said=Count("rankings", filter=current))
    candidates = list(rows.filter(said__gte=least).select_related("task").order_by("-pk")[: limit * 4])
    found = []
    for comparison, orders in zip(candidates, orders_of(candidates), strict=True):
        if len(orders) >= least and all(one == orders[0] for one in orders) and len(set(orders[0].values())) > 1:
            found.append((comparison, orders[0]))
    return found[:limit]


def orders_of(candidates: Sequence[Comparison]) -> list[list[dict[int, int]]]:
    """The places that each current ranking of each comparison gave, in one query."""
    places: dict[int, dict[int, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    rows = RankedItem.objects.filter(
        ranking__comparison__in=candidates, ranking__late=False, ranking__superseded_by=None
    )
    for comparison, ranking, completion, rank in rows.values_list(
        "ranking__comparison", "ranking", "completion", "rank"
    ):
        places[comparison][ranking][completion] = rank
    return [list(places[one.pk].values()) for one in candidates]


@transaction.atomic
def make_controls(*, project: Project, least: int, limit: int, judgements: int, by: User) -> int:
    """Make controls of the newest comparisons whose rankings all say the same; returns how many."""
    chosen = unanimous(project, least=least, limit=limit)
    for comparison, ranks in chosen:
        make_control(
            comparison=comparison,
            tiers=tiers_of(ranks),
            judgements=judgements,
            by=by,
            note=_("%(number)d people agreed.") % {"number": least},
        )
    return len(chosen)


def tiers_of(ranks: Mapping[int, int]) -> list[list[int]]:
    """Ranks as tiers, best first."""
    return [[pk for pk, rank in ranks.items() if rank == place] for place in sorted(set(ranks.values()))]


def accuracy(known: Mapping[int, int], said: Mapping[Any, int]) -> float:
    """Share of the strictly ordered known pairs that were put in that order; a tie counts half."""
    pairs = [(a, b) for a in known for b in known if known[a] < known[b]]
    right = sum(1.0 if said[a] < said[b] else 0.5 if said[a] == said[b] else 0.0 for a, b in pairs)
    return right / len(pairs)
