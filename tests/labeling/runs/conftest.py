"""Runs with real processes: a trainer script in place of torch, short leases, and nothing left behind."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labeling.runs import launch, processes, services
from labeling.runs.models import Run
from tests.factories import CheckpointFactory, ProjectFactory, PromptFactory, SnapshotFactory

FAKE_TRAINER = Path(__file__).with_name("fake_trainer.py")
PATIENCE = 90.0
FAST = {
    "RUN_LEASE_SECONDS": 8.0,
    "RUN_HEARTBEAT_SECONDS": 0.5,
    "RUN_FENCE_SECONDS": 6.0,
    "RUN_CANCEL_GRACE_SECONDS": 1.0,
    "RUN_START_SECONDS": 30.0,
}


@pytest.fixture
def fast_runs(transactional_db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fake trainer, leases of seconds, one device; every process of every run is gone afterwards."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE_TRAINER} "$@"\n')
    script.chmod(0o755)
    for name, value in {**FAST, "TRAINING_PYTHON": str(script), "RUN_DEVICES": ["cpu:0"]}.items():
        setattr(settings, name, value)
        monkeypatch.setenv(name, ",".join(value) if isinstance(value, list) else str(value))
    yield
    for run in Run.objects.all():
        for attempt in range(1, run.attempt + 1):
            processes.end_attempt(run.pk, attempt, run.process)


@pytest.fixture
def queued(fast_runs: None) -> Callable[..., Run]:
    """Queue a run whose name tells the fake trainer what to do."""
    project = ProjectFactory.create()
    base = CheckpointFactory.create(project=project, kind="base", name="base", path="tiny")
    prompt = PromptFactory.create(project=project)
    record = {"id": str(prompt.public_id), "messages": prompt.messages, "split": "train"}
    prompts = SnapshotFactory.create(project=project, kind="prompts", records=[record])
    demonstration = {"id": "d1", "messages": [*prompt.messages, {"role": "assistant", "content": "Two."}]}
    demonstrations = SnapshotFactory.create(project=project, kind="demonstrations", records=[demonstration])

    def queue(name: str, kind: str = "sft", **changes: Any) -> Run:
        data = {"sft": [demonstrations], "sample": [prompts], "evaluate": [prompts]}[kind]
        given = {"config": {}, "snapshots": data, "inputs": {"policy": [base]}, "by": None, **changes}
        return services.queue_run(project=project, kind=kind, name=name, **given)

    return queue


@pytest.fixture
def started(queued: Callable[..., Run]) -> Callable[..., Run]:
    """Queue a run and start it as a worker would."""

    def start(name: str, kind: str = "sft", **changes: Any) -> Run:
        run = queued(name, kind, **changes)
        launch.start_run(run_id=run.pk)
        return run

    return start


def wait_for(run: Run, condition: Callable[[Run], Any], *, seconds: float = PATIENCE, also: Any = None) -> Run:
    """Refresh until the condition holds; AssertionError with what there is otherwise. `also` is called between looks."""
    until = time.monotonic() + seconds
    while True:
        run.refresh_from_db()
        if condition(run):
            return run
        if time.monotonic() > until:
            raise AssertionError(f"{run.state} {run.waiting_for!r} {run.error!r}\n{output_of(run)}")
        if also:
            also()
        time.sleep(0.1)


def wait_until_over(run: Run, **patience: Any) -> Run:
    """Until the run is terminal."""
    return wait_for(run, lambda row: row.is_over, **patience)


def output_of(run: Run) -> str:
    """What its supervisors and stages printed."""
    from labeling.runs.directory import path_of

    texts = [path_of(run) / name for name in ("supervisor.log", "log.txt")]
    return "\n".join(path.read_text() for path in texts if path.exists())


def pids_of(run: Run) -> list[int]:
    """The trainer of the run and its child."""
    from labeling.runs.directory import path_of

    with contextlib.suppress(OSError):
        return [int(pid) for pid in (path_of(run) / "pids").read_text().split()]
    return []


def alive(pids: list[int]) -> list[int]:
    """Those that still run."""
    return [pid for pid in pids if processes.start_time(pid)]


def wait_until_gone(pids: list[int], *, seconds: float = 30.0) -> None:
    """Until none of them runs."""
    until = time.monotonic() + seconds
    while alive(pids):
        assert time.monotonic() < until, f"still alive: {alive(pids)}"
        time.sleep(0.05)
