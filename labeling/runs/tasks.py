"""Celery entries of runs."""

from uuid import UUID

from celery import shared_task

from labeling.runs import launch
from labeling.runs.sweep import sweep as sweep_runs


@shared_task(name="runs.start")
def start(run_id: str) -> None:
    """Start a queued run, if it is this worker's to start."""
    launch.start_run(run_id=UUID(run_id))


@shared_task(name="runs.sweep")
def sweep() -> None:
    """Start what was forgotten, clear away what died."""
    sweep_runs()
