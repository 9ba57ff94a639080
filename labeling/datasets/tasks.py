"""Celery entries of datasets."""

from datetime import timedelta

from celery import shared_task
from django.db.models.functions import Now

from labeling.datasets import write
from labeling.datasets.models import Snapshot


@shared_task(name="datasets.write", soft_time_limit=3500, time_limit=3600)
def write_snapshot(snapshot_id: int) -> str:
    """Write one snapshot's files."""
    return write.write_snapshot(snapshot_id=snapshot_id).state


@shared_task(name="datasets.sweep", soft_time_limit=3500, time_limit=3600)
def sweep() -> int:
    """Write the snapshots whose wake-up was lost."""
    waiting = Snapshot.objects.filter(state=Snapshot.State.FREEZING, created_at__lt=Now() - timedelta(seconds=10))
    found = list(waiting.values_list("pk", flat=True)[:20])
    for pk in found:
        write.write_snapshot(snapshot_id=pk)
    return len(found)
