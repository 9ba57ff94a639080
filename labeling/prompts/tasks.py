"""Celery entries of prompts."""

from celery import shared_task

from labeling.prompts import uploads


@shared_task(name="prompts.import", soft_time_limit=7100, time_limit=7200)
def import_upload(import_id: int) -> str:
    """Import one waiting file."""
    return uploads.run_import(import_id)


@shared_task(name="prompts.sweep", soft_time_limit=7100, time_limit=7200)
def sweep() -> int:
    """Import the files whose wake-up was lost."""
    found = uploads.waiting()
    for pk in found:
        uploads.run_import(pk)
    return len(found)
