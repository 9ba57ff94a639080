"""What others ask about demonstrations."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from labeling.assignments.models import Slot
from labeling.demonstrations.models import KIND, Demonstration
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts.models import Prompt


def current(project: Project) -> QuerySet[Demonstration]:
    """The newest revision of every demonstration that came in time."""
    newer = Demonstration.objects.filter(supersedes=OuterRef("pk"))  # an anti-join: the planner guesses its rows well
    return Demonstration.objects.filter(~Exists(newer), project=project, late=False)


def newest(slot: Slot) -> Demonstration | None:
    """The newest revision of what was written for the slot in time; its labeler is a reviewer where one has edited it."""
    return Demonstration.objects.filter(slot=slot, late=False, superseded_by=None).first()


def sent_late(slot: Slot, labeler: User) -> Demonstration | None:
    """What this labeler sent for the slot when somebody else had it."""
    return Demonstration.objects.filter(slot=slot, labeler=labeler, late=True).first()


def prompts_without_task(*, project: Project, split: str, category: str = "") -> QuerySet[Prompt]:
    """Active prompts of a split that nobody has been asked to answer yet, oldest first."""
    rows = Prompt.objects.filter(project=project, state=Prompt.State.ACTIVE, split=split)
    if category:
        rows = rows.filter(category=category)
    asked = Prompt.objects.filter(tasks__kind=KIND).exclude(tasks__state="withdrawn").values("pk")
    return rows.exclude(pk__in=asked).order_by("pk")
