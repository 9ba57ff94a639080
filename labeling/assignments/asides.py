"""An ideal answer written beside another kind of work. Its own app keeps it, so that the two kinds need not know each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from labeling.assignments.models import Slot
from labeling.people.models import User


class Keep(Protocol):
    """Keeps the text as the newest revision; empty text takes an earlier one away. Raises BadInput or Frozen."""

    def __call__(self, *, slot: Slot, labeler: User, submission: UUID, text: str, late: bool) -> None:
        """Keep it."""


@dataclass(frozen=True)
class Aside:
    """`keep` stores it, `said` gives the newest text of a slot and its labeler or "", `drop` deletes it."""

    keep: Keep
    said: Callable[[Slot, User], str]
    drop: Callable[[Slot], None]


_REGISTERED: list[Aside] = []


def register(aside: Aside) -> None:
    """Make it known; called once, when its app loads."""
    _REGISTERED[:] = [aside]


def registered() -> Aside:
    """Who keeps such answers."""
    return _REGISTERED[0]
