"""The whole loop with the tiny model: real services, a real worker, real training processes; only the labelers are code."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.core.management import call_command

from labeling.comparisons.models import Comparison
from labeling.datasets.models import Snapshot, SnapshotMember
from labeling.projects.models import Project
from labeling.rounds.models import Round
from labeling.runs.models import Run
from labeling.simulation.lineage import problems
from labeling.simulation.profiles import TINY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(560)]


@pytest.fixture
def played(celery_beat_process, monkeypatch, capsys):
    """What `manage.py demo` printed after one round."""
    monkeypatch.setenv("DEMO_PROFILE", "tiny")
    monkeypatch.setenv("DEMO_SEED", "3")
    monkeypatch.delenv("DEMO_ROUNDS", raising=False)
    call_command("demo")
    return capsys.readouterr().out


def test_one_round_ends_with_judged_comparisons_of_the_new_policy(played):
    project = Project.objects.get()
    first, second = Round.objects.filter(project=project).order_by("number")
    assert first.state == Round.State.CLOSED
    assert (second.state, second.policy) == (Round.State.COMPARISONS, first.new_policy)

    runs = Run.objects.filter(project=project).order_by("created_at")
    assert [(run.name, run.state) for run in runs] == [
        (name, "succeeded") for name in ("sft-1", "sample-1", "reward-1", "ppo-1", "next-1")
    ]
    assert first.new_policy.parent == first.policy
    assert first.new_policy.reward == first.reward
    assert first.policy.parent.kind == "base"
    assert problems(first.new_policy) == []

    snapshots = Snapshot.objects.filter(project=project)
    assert set(snapshots.values_list("state", flat=True)) == {"ready"}
    assert first.demonstrations_snapshot.rows == TINY.demonstrations
    assert first.rankings_snapshot.rows == TINY.ranking_prompts
    learned = SnapshotMember.objects.filter(snapshot__used_by__run__kind__in=("sft", "reward", "ppo"))
    assert not learned.filter(prompt__split="test").exists()

    fresh = Comparison.objects.filter(task__project=project, task__round_number=2)
    assert fresh.count() == TINY.evaluation_prompts
    for comparison in fresh:
        assert (comparison.purpose, comparison.task.prompt.split, comparison.task.state) == (
            "evaluation",
            "test",
            "done",
        )
        policies = set(comparison.completions.values_list("checkpoint", flat=True))
        assert policies == {first.new_policy_id, first.policy_id}

    report = json.loads((settings.VAR_DIR / "report.json").read_text())
    assert list(report)[:4] == ["seconds", "seed", "rounds", "lineage_ok"]
    assert (report["seed"], report["lineage_ok"]) == (3, True)
    [facts] = report["rounds"]
    assert list(facts) == [
        "number",
        "labels",
        "reward_accuracy",
        "reward_rows",
        "kl",
        "win_rate",
        "win_rate_ci95",
        "n_eval",
    ]
    assert facts["labels"] == TINY.demonstrations + TINY.ranking_prompts + TINY.evaluation_prompts
    assert facts["n_eval"] == TINY.evaluation_prompts
    low, high = facts["win_rate_ci95"]
    assert 0.0 <= low <= facts["win_rate"] <= high <= 1.0

    for said in ("snapshot rows", "SFT loss", "PPO reward", "PPO KL", "win rate over the parent", "before", "after"):
        assert said in played
    assert 'make run ARGS="--var ' in played
