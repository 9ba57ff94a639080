"""How members did in the screening and how long they worked. Their own apps know it, so that the list of people need not know them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labeling.projects.models import Membership, Project


class Shares:
    """Shares from 0 to 1 as a page shows them."""

    agreement: float | None
    flagging: float | None

    @property
    def percent(self) -> float | None:
        """Agreement in percent."""
        return None if self.agreement is None else 100 * self.agreement

    @property
    def flagging_percent(self) -> float | None:
        """Right flags in percent."""
        return None if self.flagging is None else 100 * self.flagging


@dataclass(frozen=True)
class Score(Shares):
    """What a screening was decided on: shares from 0 to 1 and the mean grade from 1 to 7; None where nothing of the kind was asked."""

    agreement: float | None
    flagging: float | None
    grade: float | None


@dataclass(frozen=True)
class Standing:
    """One member: the score, None before the decision or without a screening, and active seconds of this month (UTC)."""

    score: Score | None
    seconds: int

    @property
    def hours(self) -> float:
        """Active time in hours."""
        return self.seconds / 3600


@dataclass(frozen=True)
class Source:
    """`scores` by membership, asked once for many people; `seconds` of this month by user, of the whole project."""

    scores: Callable[[Sequence[Membership]], dict[int, Score]]
    seconds: Callable[[Project], dict[int, int]]


_REGISTERED: list[Source] = []


def register(source: Source) -> None:
    """Make it known; called once, when its app loads."""
    _REGISTERED[:] = [source]


def standings(project: Project, places: Sequence[Membership]) -> dict[int, Standing]:
    """How these members of one project stand, by membership: the same few queries however many they are, and none for nobody."""
    if not places:
        return {}
    (source,) = _REGISTERED
    scores, seconds = source.scores(places), source.seconds(project)
    return {place.pk: Standing(scores.get(place.pk), seconds.get(place.user_id, 0)) for place in places}
