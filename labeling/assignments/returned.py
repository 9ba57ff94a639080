"""Work that came back to its author. Its own app decides what comes back, so that the start page need not know reviews."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from labeling.assignments.models import Slot
from labeling.people.models import User
from labeling.projects.models import Project


@dataclass(frozen=True)
class Returned:
    """One submitted slot whose author is asked to change it, with the reviewer's words."""

    slot: Slot
    note: str
    at: datetime


Source = Callable[[Project, User], list[Returned]]
_SOURCES: list[Source] = []


def register(source: Source) -> None:
    """Make a source known; called once, when its app loads."""
    _SOURCES.append(source)


def returned_work(project: Project, labeler: User) -> list[Returned]:
    """What this person is asked to change, newest first."""
    found = [one for source in _SOURCES for one in source(project, labeler)]
    return sorted(found, key=lambda one: one.at, reverse=True)
