"""Celery entries of rounds: the autopilot."""

from __future__ import annotations

from celery import shared_task

from labeling.rounds import services
from labeling.rounds.models import Round


@shared_task(name="rounds.advance")
def advance(round_id: int) -> bool:
    """Take one round one step on, if its project has autopilot on."""
    flying = Round.objects.filter(pk=round_id, project__autopilot=True).exclude(state=Round.State.CLOSED)
    return flying.exists() and services.drive(round_id=round_id)


@shared_task(name="rounds.sweep")
def sweep() -> int:
    """Look at every open round with autopilot; returns how many went on."""
    flying = Round.objects.filter(project__autopilot=True, project__is_paused=False).exclude(state=Round.State.CLOSED)
    return sum(services.drive(round_id=pk) for pk in flying.values_list("pk", flat=True))
