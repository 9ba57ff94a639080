"""Celery entries of assignments."""

from celery import shared_task

from labeling.assignments import leases


@shared_task(name="assignments.expire_leases")
def expire_leases() -> int:
    """Put slots whose lease ran out back into the queue."""
    return leases.expire_leases()
