"""Celery entries of core."""

from celery import shared_task

from labeling.core import audit, chain


@shared_task(name="core.seal_events")
def seal_events() -> int:
    """Chain new audit events."""
    return audit.seal_events()


@shared_task(name="core.follow_chain")
def follow_chain() -> int:
    """Check a piece of the chain."""
    return chain.follow_chain()
