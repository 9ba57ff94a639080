"""What screening forgets of a person who is erased."""

from __future__ import annotations

from labeling.people.models import User
from labeling.quality.screening_models import Qualification


def forget(user: User) -> None:
    """Their answer to the screening question; whether they passed stays."""
    Qualification.objects.filter(membership__user=user).update(answer="")
