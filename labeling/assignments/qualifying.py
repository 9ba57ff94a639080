"""Work for people who qualify first. Its own app decides what they are given, so that a claim need not know screening."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labeling.assignments.models import Slot
from labeling.people.models import User
from labeling.projects.models import Guideline, Project


@dataclass(frozen=True)
class Steps:
    """How far somebody is: pieces done of all, whether one is left to claim, whether the question is still open."""

    done: int
    total: int
    has_task: bool
    asks: bool


@dataclass(frozen=True)
class Screening:
    """`claim` leases the next piece, or returns None when none is left; `steps` only looks."""

    claim: Callable[[Project, User, Guideline | None], Slot | None]
    steps: Callable[[Project, User], Steps]


_SCREENING: list[Screening] = []


def register(screening: Screening) -> None:
    """Make the screening known; called once, when its app loads."""
    _SCREENING.append(screening)


def claim(project: Project, labeler: User, guideline: Guideline | None) -> Slot | None:
    """The next piece of screening work for this person, leased."""
    found = (screening.claim(project, labeler, guideline) for screening in _SCREENING)
    return next((slot for slot in found if slot is not None), None)


def steps(project: Project, labeler: User) -> Steps | None:
    """How far this person is; None where nothing screens."""
    return next((screening.steps(project, labeler) for screening in _SCREENING), None)
