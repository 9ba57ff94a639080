"""What happens to a run's processes, and to its row when they die (reliability.md JOB-1…14)."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest

from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Completion
from labeling.core.models import Event
from labeling.runs import directory, fencing, launch, services
from labeling.runs.models import Run, RunMetric
from labeling.runs.sweep import sweep
from tests.labeling.runs.conftest import alive, pids_of, wait_for, wait_until_gone, wait_until_over

Start = Callable[..., Run]


def is_working(run: Run) -> bool:
    return run.state == "running" and run.metrics_rows > 0 and len(pids_of(run)) == 2


def test_a_run_becomes_a_checkpoint_with_its_lineage(started: Start) -> None:
    run = wait_until_over(started("works 4"))
    assert (run.state, run.error, run.exit_code, run.attempt) == ("succeeded", "", 0, 1)
    output = run.output
    assert output is not None
    assert (output.kind, output.name, output.parent.name, output.metrics) == (
        "policy",
        "works 4",
        "base",
        {"loss": 0.25},
    )
    assert output.path == f"runs/{run.pk}/output"
    assert (
        output.manifest_sha256
        == run.manifest_sha256
        == directory.sha256_of(directory.path_of(run) / "output/manifest.json")
    )
    assert [(row.row, row.step, row.values["loss"]) for row in RunMetric.objects.filter(run=run)] == [
        (0, 1, 1.0),
        (1, 2, 0.5),
        (2, 3, 1 / 3),
        (3, 4, 0.25),
    ]
    assert (run.latest, run.step, run.progress, run.metrics_rows) == ({"loss": 0.25}, 4, 1.0, 4)
    moves = (
        Event.objects.filter(object_id=str(run.pk), verb="moved").order_by("id").values_list("after__state", flat=True)
    )
    assert list(moves) == ["starting", "running", "succeeded"]
    wait_until_gone(pids_of(run))


def test_a_sample_run_stores_its_completions(started: Start) -> None:
    run = wait_until_over(started("works", "sample"))
    assert (run.state, run.output, run.result["completions"]) == ("succeeded", None, 1)
    completion = Completion.objects.get(source_run=run.pk)
    assert (completion.text, completion.checkpoint.name, completion.token_count) == ("An answer.", "base", 3)


def test_an_evaluation_keeps_its_report(started: Start) -> None:
    run = wait_until_over(started("works", "evaluate"))
    assert (run.state, run.result["report"]) == ("succeeded", {"reward": {"accuracy": 0.75}})


def test_a_failing_stage_shows_the_end_of_its_log(started: Start) -> None:
    run = wait_until_over(started("fails"))
    assert (run.state, run.attempt, run.exit_code) == ("failed", 1, 70)
    assert (
        run.error
        == "The trainer ended with status 70.\n\nloading the weights\nRuntimeError: the moon is in the wrong phase"
    )


def test_a_refused_spec_fails_at_once_with_the_reason(started: Start) -> None:
    run = wait_until_over(started("refuses"))
    assert (run.state, run.attempt, run.error) == ("failed", 1, "data.prompts[0]: row 3: field 'messages' is missing")


def test_output_that_differs_from_its_manifest_is_not_published(started: Start) -> None:
    run = wait_until_over(started("broken"))
    assert run.state == "failed"
    assert "weights.txt is missing or differs from the manifest" in run.error
    assert not Checkpoint.objects.filter(kind="policy").exists()


def test_stopping_a_run_ends_its_whole_group(started: Start) -> None:
    run = wait_for(started("waits"), is_working)
    services.request_cancel(run=run, by=None)
    run = wait_until_over(run)
    assert (run.state, run.exit_code, run.error) == ("cancelled", 75, "")
    wait_until_gone(pids_of(run))
    first = run.cancel_requested_at
    assert first is not None


def test_a_stage_deaf_to_sigterm_is_killed_after_the_grace(started: Start) -> None:
    run = wait_for(started("deaf"), is_working)
    services.request_cancel(run=run, by=None)
    run = wait_until_over(run)
    assert (run.state, run.exit_code) == ("cancelled", -9)
    wait_until_gone(pids_of(run))


def test_a_queued_run_is_cancelled_at_once(queued: Start) -> None:
    run = services.request_cancel(run=queued("works"), by=None)
    assert (run.state, run.attempt) == ("cancelled", 0)
    assert launch.start_run(run_id=run.pk) is None


def test_a_killed_trainer_is_tried_again(started: Start) -> None:
    run = wait_for(started("dies 1"), lambda row: row.state == "queued" and row.attempt == 1)
    assert run.waiting_for == "Attempt 1 of 3: The trainer was ended by SIGKILL."
    wait_until_gone(pids_of(run))
    sweep_starts(run)
    run = wait_until_over(run)
    assert (run.state, run.attempt) == ("succeeded", 2)
    assert [row.row for row in RunMetric.objects.filter(run=run)] == [0, 1, 2]


def test_a_trainer_that_always_dies_is_given_up(started: Start) -> None:
    run = started("dies 9")
    run = wait_for(run, lambda row: row.is_over, also=lambda: launch.start_run(run_id=run.pk))
    assert (run.state, run.attempt, run.exit_code) == ("failed", 3, -9)
    assert run.error.startswith("Given up after 3 attempts. The trainer was ended by SIGKILL.")


def test_a_killed_supervisor_leaves_no_trainer_and_the_run_finishes(started: Start) -> None:
    run = wait_for(started("once"), is_working)
    before = pids_of(run)
    os.kill(run.process["supervisor"]["pid"], signal.SIGKILL)
    wait_until_gone(before)
    run = wait_for(run, lambda row: row.state == "queued", also=sweep)
    assert run.waiting_for == "Attempt 1 of 3: Its supervisor was lost."
    sweep_starts(run)
    run = wait_until_over(run)
    assert (run.state, run.attempt) == ("succeeded", 2)
    assert not (directory.path_of(run) / "two-at-once").exists()


def test_a_frozen_supervisor_loses_its_trainer_and_cannot_write_when_it_wakes(started: Start) -> None:
    run = wait_for(started("once"), is_working)
    supervisor, before = run.process["supervisor"]["pid"], pids_of(run)
    os.kill(supervisor, signal.SIGSTOP)
    try:
        wait_until_gone(before)  # the dead man's switch heard nothing
        run = wait_for(run, lambda row: row.state == "queued", also=sweep)
        assert not alive([supervisor])
    finally:
        for number in (signal.SIGCONT, signal.SIGKILL):
            try:
                os.kill(supervisor, number)
            except ProcessLookupError:
                pass
    sweep_starts(run)
    run = wait_until_over(run)
    assert (run.state, run.attempt) == ("succeeded", 2)
    with pytest.raises(fencing.LostAttempt):
        fencing.renew(run_id=run.pk, attempt=1)


def test_a_finished_directory_is_adopted_when_its_supervisor_died_before_publishing(started: Start) -> None:
    run = wait_for(started("slow 12"), is_working)
    os.kill(run.process["supervisor"]["pid"], signal.SIGSTOP)
    folder = directory.path_of(run)
    try:
        wait_until_finished(folder)
        run = wait_for(run, lambda row: row.is_over, also=sweep)
    finally:
        alive([run.process["supervisor"]["pid"]]) and os.kill(run.process["supervisor"]["pid"], signal.SIGKILL)
    assert (run.state, run.attempt, run.output is not None) == ("succeeded", 1, True)


def test_a_stale_attempt_writes_nothing(queued: Start) -> None:
    run = queued("works")
    Run.objects.filter(pk=run.pk).update(attempt=4)
    with pytest.raises(fencing.LostAttempt):
        fencing.change(run_id=run.pk, attempt=3, to="failed", error="from the past")
    run.refresh_from_db()
    assert (run.state, run.error) == ("queued", "")


def test_a_second_run_waits_for_the_device(started: Start) -> None:
    first = wait_for(started("waits"), is_working)
    second = started("works")
    second.refresh_from_db()
    assert (second.state, second.waiting_for) == ("queued", "Waits for cpu:0 (waits)")
    services.request_cancel(run=first, by=None)
    wait_until_over(first)
    launch.start_run(run_id=second.pk)
    assert wait_until_over(second).state == "succeeded"


def test_a_run_for_a_device_that_is_not_here_says_so(started: Start) -> None:
    run = started("works", config={"device": "cuda"})
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 0)
    assert run.waiting_for == "No device here is a cuda: this host lends cpu:0 (RUN_DEVICES)."


def test_a_stage_sees_no_secret_and_no_open_file(started: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-pass-me")
    run = wait_until_over(started("environment"))
    folder = directory.path_of(run)
    seen = json.loads((folder / "environment.json").read_text())
    secrets = [os.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "AWS_SECRET_ACCESS_KEY")]
    assert [secret for secret in secrets for value in seen.values() if secret in value] == []
    assert not {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE"} & set(seen)
    assert (seen["HF_HUB_OFFLINE"], seen["LOOP_RUN_TOKEN"]) == ("1", f"{run.pk}.1")
    descriptors = json.loads((folder / "descriptors.json").read_text())
    assert [number for number in descriptors if int(number) > 3] == []


def test_the_supervisor_gives_the_run_back_when_it_is_told_to_leave(started: Start) -> None:
    run = wait_for(started("once"), is_working)
    os.kill(run.process["supervisor"]["pid"], signal.SIGTERM)
    run = wait_for(run, lambda row: row.state == "queued")
    assert run.waiting_for == "Attempt 1 of 4: It was interrupted, and goes on from its newest checkpoint."
    assert run.max_attempts == 4  # leaving in order uses up no attempt
    wait_until_gone(pids_of(run))


def sweep_starts(run: Run) -> None:
    """Queued again: what the sweep's wake-up makes a worker do."""
    launch.start_run(run_id=run.pk)


def wait_until_finished(folder: directory.Path) -> None:
    """Until the stage has written its result."""
    import time

    until = time.monotonic() + 20
    while not directory.finished(folder):
        assert time.monotonic() < until
        time.sleep(0.05)
