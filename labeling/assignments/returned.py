"""Work that came back to its author. Its own app decides what comes back, so that the start page need not know reviews."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from labeling.assignments.models import Slot
from labeling.people.models import User
from labeling.projects.models import Project


@dataclass(frozen=True)
class Returned:
    """One submitted slot whose author is asked to change it, with the reviewer's words."""

    slot: Slot
    note: str
    at: datetime


@dataclass(frozen=True)
class Source:
    """`rows` selects what a person is asked to change, to be paged; `read` makes of one row what the page shows."""

    rows: Callable[[Project, User], QuerySet[Any]]
    read: Callable[[Any], Returned]
    note: Callable[[Slot], str]  # what is asked for on one slot; "" when nothing is


_REGISTERED: list[Source] = []


def register(source: Source) -> None:
    """Make it known; called once, when its app loads."""
    _REGISTERED[:] = [source]


def registered() -> Source:
    """Who knows what came back."""
    return _REGISTERED[0]
