"""The Celery fixtures are real: a message goes through the broker to another process, which writes to the test database."""

from __future__ import annotations

import os
import re

import pytest
from django.conf import settings
from django.db import connection

from labeling.celery import app
from labeling.core.stack.application import worker_services
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


def test_what_may_take_minutes_waits_in_a_queue_of_its_own() -> None:
    app.loader.import_default_modules()
    usual = settings.CELERY_TASK_TIME_LIMIT
    slow = {name for name, task in app.tasks.items() if (task.time_limit or 0) > usual}
    routes = {name: route["queue"] for name, route in settings.CELERY_TASK_ROUTES.items()}
    assert slow == {name for name, queue in routes.items() if queue == "long"}
    assert app.amqp.router.route({}, "quality.sweep")["queue"].name == "long"
    assert app.amqp.router.route({}, "assignments.expire_leases")["queue"].name == "default"


def test_every_queue_has_its_worker() -> None:
    queues = {settings.CELERY_TASK_DEFAULT_QUEUE, *(route["queue"] for route in settings.CELERY_TASK_ROUTES.values())}
    served = [service.argv[service.argv.index("-Q") + 1] for service in worker_services({})]
    assert sorted(served) == sorted(queues)
    entrypoint = (settings.BASE_DIR / "docker" / "entrypoint.sh").read_text()
    assert sorted(re.findall(r"--queues (\S+)", entrypoint)) == sorted(queues)
