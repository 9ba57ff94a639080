"""The real stages on the two-layer model, started, followed and published as in the product."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labeling.checkpoints import services as checkpoints
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Completion
from labeling.projects.models import Project
from labeling.runs import directory, launch, services
from labeling.runs.models import Run, RunMetric
from tests.factories import ProjectFactory, PromptFactory, SnapshotFactory
from tests.labeling.runs.conftest import wait_until_over
from training.contracts import verify_manifest


@pytest.fixture
def base(fast_runs: None, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Checkpoint:
    """The tiny model, and the interpreter of this test run as the trainer."""
    settings.TRAINING_PYTHON = sys.executable
    monkeypatch.setenv("TRAINING_PYTHON", sys.executable)
    make = [sys.executable, "-m", "training.default_model", str(tmp_path / "tiny"), "--tiny"]
    subprocess.run(make, check=True, cwd=settings.BASE_DIR, capture_output=True)
    return checkpoints.register_base(project=ProjectFactory.create(), path=str(tmp_path / "tiny"), name="tiny")


def finish(project: Project, kind: str, name: str, **given: Any) -> Run:
    run = services.queue_run(project=project, kind=kind, name=name, by=None, **given)
    launch.start_run(run_id=run.pk)
    return wait_until_over(run, seconds=180)


@pytest.mark.slow
def test_sft_makes_a_policy_whose_completions_are_stored(base: Checkpoint) -> None:
    project = base.project
    prompts = PromptFactory.create_batch(3, project=project)
    asked = [{"id": str(prompt.public_id), "messages": prompt.messages, "split": "train"} for prompt in prompts]
    answered = [
        {**row, "messages": [*row["messages"], {"role": "assistant", "content": "It is a number."}]} for row in asked
    ]
    demonstrations = SnapshotFactory.create(project=project, kind="demonstrations", records=answered)
    config = {"epochs": 2, "batch_size": 2, "lora_rank": 2}
    sft = finish(project, "sft", "sft-1", config=config, snapshots=[demonstrations], inputs={"policy": [base]})
    assert (sft.state, sft.error) == ("succeeded", "")
    policy = sft.output
    assert policy is not None and (policy.kind, policy.parent) == ("policy", base)
    assert verify_manifest(directory.path_of(sft) / "output")
    losses = [
        row.values["sft/loss"] for row in RunMetric.objects.filter(run=sft, split="train") if "sft/loss" in row.values
    ]
    assert len(losses) == 4 and sft.progress == 1.0 and sft.step == 4

    snapshot = SnapshotFactory.create(project=project, kind="prompts", records=asked)
    config = {"n": 2, "max_new_tokens": 8}
    sample = finish(
        project, "sample", "sample-1", config=config, snapshots=[snapshot], inputs={"policy": [policy, base]}
    )
    assert (sample.state, sample.error, sample.result["completions"]) == ("succeeded", "", 12)
    stored = Completion.objects.filter(source_run=sample.pk)
    assert {row.checkpoint.name for row in stored} == {"sft-1", "tiny"}
    assert {row.prompt for row in stored} == set(prompts)


@pytest.mark.slow
def test_a_stage_that_cannot_read_its_data_says_so_on_the_run(base: Checkpoint) -> None:
    rows = [{"id": "d1", "messages": [{"role": "user", "content": "Only a question?"}]}]
    snapshot = SnapshotFactory.create(project=base.project, kind="demonstrations", records=rows)
    run = finish(base.project, "sft", "sft-1", config={}, snapshots=[snapshot], inputs={"policy": [base]})
    assert (run.state, run.exit_code, run.attempt) == ("failed", 64, 1)
    assert "the last message must be from 'assistant'" in run.error
    assert not (directory.path_of(run) / "output").exists()
