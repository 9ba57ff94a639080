"""Celery entries of people."""

from celery import shared_task

from labeling.people import retention


@shared_task(name="people.forget_ended")
def forget_ended() -> int:
    """Delete what is left of sessions that are over."""
    return retention.forget_ended()
