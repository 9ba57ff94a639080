"""The Celery fixtures are real: a message goes through the broker to another process, which writes to the test database."""

from __future__ import annotations

import os

import pytest
from django.db import connection

from labeling.celery import app
from labeling.core.stack.processes import marked_processes
from tests.test_stack import alive, wait_until
from tests.workers import OWNER, CeleryProcess


@pytest.mark.slow
def test_a_real_worker_runs_a_task_and_leaves_nothing(celery_worker_process: CeleryProcess) -> None:
    app.send_task("core.seal_events")
    assert wait_until(
        lambda: (
            "Task core.seal_events" in celery_worker_process.output() and "succeeded" in celery_worker_process.output()
        )
    )
    assert os.environ["DATABASE_URL"].endswith("/" + connection.settings_dict["NAME"])
    pids = marked_processes(celery_worker_process.owner, variable=OWNER)
    assert pids
    celery_worker_process.__exit__(None, None, None)
    assert alive(pids) == []


@pytest.mark.slow
def test_beat_wakes_the_sweeps(celery_worker_process: CeleryProcess, celery_beat_process: CeleryProcess) -> None:
    assert wait_until(lambda: "Task runs.sweep" in celery_worker_process.output())
    assert celery_beat_process.popen.poll() is None
