"""Celery entries of core."""

from celery import shared_task

from labeling.core import audit


@shared_task(name="core.seal_events")
def seal_events() -> int:
    """Chain new audit events."""
    return audit.seal_events()
