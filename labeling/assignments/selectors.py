"""What people ask about their work, and admins about batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.assignments import kinds
from labeling.assignments.models import HIDDEN_PRIORITY, KeptDraft, Skip, Slot, Task, TaskBatch
from labeling.assignments.recall import OFFERED_SECONDS
from labeling.core.clock import db_now
from labeling.core.errors import NotFound
from labeling.people.models import User
from labeling.projects import selectors as projects
from labeling.projects.models import Project
from labeling.prompts.models import Prompt

LOOK_AHEAD = 2000  # open slots looked at to say whether there is work; more than that means yes


@dataclass(frozen=True)
class Offer:
    """One kind of work on the start page."""

    kind: kinds.Kind
    available: bool
    done_today: int


def one_slot(*, project: Project, public_id: UUID) -> Slot:
    """A slot of this project; NotFound otherwise."""
    rows = Slot.objects.select_related("task__prompt", "project", "guideline")
    slot = rows.filter(project=project, public_id=public_id).first()
    if slot is None:
        raise NotFound(_("There is no such task here."))
    return slot


def has_held(slot: Slot, labeler: User) -> bool:
    """Whether this person has the slot, or lost its task with a draft or a late answer kept."""
    return slot.labeler_id == labeler.pk or KeptDraft.objects.filter(task=slot.task_id, labeler=labeler).exists()


def kept_draft(slot: Slot, labeler: User) -> KeptDraft | None:
    """What this person wrote for the slot's task before they lost it, or sent late."""
    return KeptDraft.objects.select_related("slot").filter(task=slot.task_id, labeler=labeler).first()


def held(*, project: Project, labeler: User) -> Slot | None:
    """The slot this person is working on."""
    rows = Slot.objects.select_related("task__prompt", "project")
    return rows.filter(project=project, labeler=labeler, state=Slot.State.LEASED).first()


def start_of_today() -> datetime:
    """Midnight in the server's time zone."""
    return timezone.localtime(db_now()).replace(hour=0, minute=0, second=0, microsecond=0)


def done_today(*, project: Project, labeler: User) -> Counter[str]:
    """Slots submitted since midnight, by kind."""
    rows = Slot.objects.filter(project=project, labeler=labeler, submitted_at__gte=start_of_today())
    return Counter(dict(rows.order_by().values_list("kind").annotate(n=Count("pk"))))


def offers(*, project: Project, labeler: User) -> list[Offer]:
    """Every kind of work with what this person did today and whether there is more for them."""
    done = done_today(project=project, labeler=labeler)
    return [
        Offer(kind, has_work(project=project, labeler=labeler, kind=kind.name), done[kind.name])
        for kind in kinds.every()
    ]


def has_work(*, project: Project, labeler: User, kind: str) -> bool:
    """Whether an open slot is for this person, as far as LOOK_AHEAD goes."""
    ahead = Slot.objects.filter(project=project, kind=kind, state=Slot.State.OPEN, priority__gt=HIDDEN_PRIORITY)
    ids = list(ahead.order_by("-priority", "rnd", "id").values_list("pk", flat=True)[:LOOK_AHEAD])
    if len(ids) == LOOK_AHEAD:
        return True
    mine = Slot.objects.filter(task=OuterRef("task"), labeler=labeler)
    skipped = Skip.objects.filter(task=OuterRef("task"), labeler=labeler)
    late = KeptDraft.objects.filter(task=OuterRef("task"), labeler=labeler, late_at__isnull=False)
    left = Slot.objects.filter(pk__in=ids).exclude(Exists(mine) | Exists(skipped) | Exists(late))
    left = left.exclude(task__prompt__state=Prompt.State.QUARANTINED)
    if unwanted := projects.unwanted_categories(project=project, user=labeler):
        left = left.exclude(task__prompt__category__in=unwanted)
    return left.exists()


def history(*, project: Project, labeler: User) -> QuerySet[Slot]:
    """What this person submitted."""
    rows = Slot.objects.filter(project=project, labeler=labeler, state=Slot.State.SUBMITTED)
    return rows.select_related("task__prompt").order_by("-submitted_at")


def kept_drafts(*, project: Project, labeler: User) -> QuerySet[KeptDraft]:
    """Drafts whose lease ran out; they come back with the task, when nobody else took it."""
    rows = KeptDraft.objects.filter(task__project=project, labeler=labeler, late_at=None).exclude(draft={})
    return rows.select_related("task__prompt", "slot").order_by("-kept_at")


def recallable(*, project: Project, labeler: User) -> Slot | None:
    """The submission that may still be taken back."""
    since = db_now() - timedelta(seconds=OFFERED_SECONDS)
    return history(project=project, labeler=labeler).filter(submitted_at__gte=since).first()


def batches(*, project: Project, kind: str = "", state: str = "") -> QuerySet[TaskBatch]:
    """The batches of a project, newest first; `state` keeps those that have a task in it."""
    rows = TaskBatch.objects.filter(project=project).select_related("created_by")
    if kind:
        rows = rows.filter(kind=kind)
    if state:
        rows = rows.filter(Exists(Task.objects.filter(batch=OuterRef("pk"), state=state)))
    return rows


def one_batch(*, project: Project, public_id: UUID) -> TaskBatch:
    """A batch of this project; NotFound otherwise."""
    batch = TaskBatch.objects.select_related("created_by").filter(project=project, public_id=public_id).first()
    if batch is None:
        raise NotFound(_("There is no such batch of tasks here."))
    return batch


def waiting(project: Project) -> Counter[str]:
    """Judgements that are open or under way, by kind; hidden controls are nobody's backlog. Each state reads its own index."""
    rows = Slot.objects.filter(project=project, priority__gt=HIDDEN_PRIORITY).order_by().values_list("kind")
    found: Counter[str] = Counter()
    for state in (Slot.State.OPEN, Slot.State.LEASED):
        found.update(dict(rows.filter(state=state).annotate(n=Count("*"))))
    return found


def slot_counts(batches: list[TaskBatch]) -> dict[int, Counter[str]]:
    """Slots by state, for each batch."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    rows = Slot.objects.filter(batch__in=batches).order_by().values_list("batch", "state")
    for batch_id, state, number in rows.annotate(n=Count("*")):
        counts[batch_id][state] = number
    return counts


def task_counts(batch: TaskBatch) -> Counter[str]:
    """Tasks of a batch by state."""
    return Counter(dict(batch.tasks.order_by().values_list("state").annotate(n=Count("pk"))))
