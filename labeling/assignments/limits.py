"""How much one person works in a day (reliability.md LAB-1): over the project's limit no new work is handed out."""

from __future__ import annotations

from django.db.models import Sum
from django.utils.translation import gettext as _

from labeling.assignments.models import Slot
from labeling.assignments.selectors import start_of_today
from labeling.core.errors import NotAllowed
from labeling.people.models import User
from labeling.projects.models import Project

REACHED = "daily_hours_reached"


def seconds_today(*, project: Project, labeler: User) -> int:
    """Active time on what this person submitted here since midnight (UTC)."""
    rows = Slot.objects.filter(project=project, labeler=labeler, state=Slot.State.SUBMITTED)
    return rows.filter(submitted_at__gte=start_of_today()).aggregate(n=Sum("active_seconds"))["n"] or 0


def is_reached(*, project: Project, labeler: User) -> bool:
    """Whether this person has worked as many hours today as the project allows; never where it has no limit."""
    most = project.daily_hours
    return most is not None and seconds_today(project=project, labeler=labeler) >= most * 3600


def check_hours(*, project: Project, labeler: User) -> None:
    """NotAllowed over the day's limit. What is begun may be finished: only who asks for new work is asked this."""
    if is_reached(project=project, labeler=labeler):
        raise NotAllowed(
            _(
                "You have reached today's %(hours)s active hours: new work comes after midnight UTC. What you have begun can still be finished."
            )
            % {"hours": project.daily_hours},
            code=REACHED,
        )
