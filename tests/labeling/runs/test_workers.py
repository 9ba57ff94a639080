"""Runs through real Celery workers: messages are hints, workers come and go, trainers stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import transaction

from labeling.runs import processes, services
from labeling.runs.models import Run
from tests.labeling.runs.conftest import alive, pids_of, wait_for, wait_until_over
from tests.workers import CeleryProcess

Start = Callable[..., Run]


def is_working(run: Run) -> bool:
    return run.state == "running" and run.metrics_rows > 0 and len(pids_of(run)) == 2


@pytest.mark.slow
def test_a_queued_run_is_started_by_its_message(queued: Start, redis_flushed: None, tmp_path: Path) -> None:
    with CeleryProcess.worker(tmp_path):
        run = wait_until_over(queued("works"))
    assert (run.state, run.attempt) == ("succeeded", 1)


@pytest.mark.slow
def test_a_lost_message_only_delays_a_run(queued: Start, redis_flushed: None, tmp_path: Path) -> None:
    run = queued("works")
    redis.Redis.from_url(settings.REDIS_URL).flushdb()
    with CeleryProcess.worker(tmp_path), CeleryProcess.beat(tmp_path):
        run = wait_until_over(run)
    assert (run.state, run.attempt) == ("succeeded", 1)


@pytest.mark.slow
def test_a_run_waiting_for_a_device_is_started_when_it_is_free(
    queued: Start, redis_flushed: None, tmp_path: Path
) -> None:
    first, second = queued("waits"), queued("works")
    with CeleryProcess.worker(tmp_path):
        wait_for(first, is_working)
        wait_for(second, lambda row: row.waiting_for == "Waits for cpu:0 (waits)")
        services.request_cancel(run=first, by=None)
        second = wait_until_over(second)  # no beat runs here: the end of the first is what wakes it
    first.refresh_from_db()
    assert (first.state, second.state) == ("cancelled", "succeeded")


@pytest.mark.slow
def test_restarting_the_worker_leaves_the_trainer_alone(queued: Start, redis_flushed: None, tmp_path: Path) -> None:
    worker = CeleryProcess.worker(tmp_path)
    try:
        run = wait_for(queued("waits"), is_working)
        before = pids_of(run)
        worker.popen.terminate()
        worker.popen.wait(20)
        beat = run.heartbeat_at
        run = wait_for(run, lambda row: row.heartbeat_at > beat)
        assert (run.state, run.attempt, alive(before)) == ("running", 1, before)
        assert processes.is_alive(run.process["supervisor"])
        services.request_cancel(run=run, by=None)
        run = wait_until_over(run)
        assert (run.state, run.attempt) == ("cancelled", 1)
    finally:
        worker.__exit__(None, None, None)


@pytest.mark.slow
def test_a_message_that_comes_twice_starts_a_run_once(queued: Start, redis_flushed: None, tmp_path: Path) -> None:
    from labeling.core.broker import wake

    run = queued("slow 8")
    with transaction.atomic():
        for _ in range(5):
            wake("runs.start", str(run.pk))
    with CeleryProcess.worker(tmp_path):
        run = wait_until_over(run)
    assert (run.state, run.attempt) == ("succeeded", 1)
