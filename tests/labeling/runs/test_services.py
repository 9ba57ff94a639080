"""Queueing: everything a stage would refuse is refused before a row exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labeling.core.errors import BadInput, WrongState
from labeling.runs import services
from labeling.runs.models import Run
from tests.factories import CheckpointFactory, ProjectFactory, SnapshotFactory
from training.configs import PpoConfig

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue() -> Callable[..., Run]:
    """Queue a correct PPO run with some arguments changed."""
    project = ProjectFactory.create()
    given: dict[str, Any] = {
        "project": project,
        "kind": "ppo",
        "name": "ppo-1",
        "config": {"updates": 3},
        "by": None,
        "snapshots": [SnapshotFactory.create(project=project, kind="prompts")],
        "inputs": {
            "policy": [CheckpointFactory.create(project=project)],
            "reward": [CheckpointFactory.create(project=project, kind="reward")],
        },
    }

    def queued(**changes: Any) -> Run:
        inputs = {**given["inputs"], **changes.pop("inputs", {})}
        return services.queue_run(**{**given, **changes, "inputs": inputs})

    return queued


def test_a_run_keeps_its_whole_config_inputs_and_data(queue: Callable[..., Run]) -> None:
    run = queue(seed=5, round_number=2)
    assert run.config == PpoConfig(updates=3).to_dict()
    assert (run.state, run.attempt, run.seed, run.round_number) == ("queued", 0, 5, 2)
    assert sorted(run.inputs.values_list("role", flat=True)) == ["policy", "reward"]
    assert run.data.get().snapshot.kind == "prompts"


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"kind": "dpo"}, "kind", "must be one of"),
        ({"config": {"learning_rat": 1.0}}, "config.learning_rat", "unknown setting"),
        ({"config": {"updates": 0}}, "config.updates", "must be from 1"),
        ({"config": {"updates": "3"}}, "config.updates", "must be int"),
        ({"config": {"minibatches": 500}}, "config.minibatches", "cannot exceed rollout_prompts"),
        ({"config": [1]}, "config", "must be an object"),
        ({"name": "  "}, "name", "Give the run a name"),
        ({"name": "x" * 81}, "name", "1 to 80"),
        ({"seed": -1}, "seed", "whole number"),
        ({"seed": 2**32}, "seed", "4294967295"),
        ({"snapshots": []}, "data.prompts", "needs a snapshot of prompts"),
        ({"inputs": {"reward": []}}, "inputs.reward", "needs a checkpoint as reward, or the setting 'reward'"),
        ({"config": {"reward": "oracle:score"}}, "config.reward", "replaces inputs.reward"),
        ({"config": {"ptx_coef": 1.0}}, "config.ptx_coef", "needs data.documents or data.demonstrations"),
    ],
)
def test_what_is_wrong_is_named(queue: Callable[..., Run], changes: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(BadInput, match=text) as refused:
        queue(**changes)
    assert refused.value.field == field
    assert not Run.objects.exists()


def test_checkpoints_of_another_project_kind_or_state_are_refused(queue: Callable[..., Run]) -> None:
    project = queue().project
    wrong = {
        "belongs to another project": CheckpointFactory.create(),
        "cannot be the policy": CheckpointFactory.create(project=project, kind="reward"),
        "is retired": CheckpointFactory.create(project=project, state="retired"),
    }
    for text, checkpoint in wrong.items():
        with pytest.raises(BadInput, match=text) as refused:
            queue(inputs={"policy": [checkpoint]})
        assert refused.value.field == "inputs.policy"
    with pytest.raises(BadInput, match="reads no reference"):
        queue(inputs={"reference": [CheckpointFactory.create(project=project)]})
    with pytest.raises(BadInput, match="reads one checkpoint as policy, not 2"):
        queue(inputs={"policy": CheckpointFactory.create_batch(2, project=project)})
    assert Run.objects.count() == 1


def test_snapshots_of_another_project_kind_or_state_are_refused(queue: Callable[..., Run]) -> None:
    run = queue()
    project, good = run.project, run.data.get().snapshot
    wrong = {
        "belongs to another project": SnapshotFactory.create(),
        "reads prompts, documents, demonstrations, not rankings": SnapshotFactory.create(
            project=project, kind="rankings"
        ),
        "could not be written": SnapshotFactory.create(project=project, state="failed"),
        "has no rows": SnapshotFactory.create(project=project, rows=0),
        "named twice": good,
    }
    for text, snapshot in wrong.items():
        with pytest.raises(BadInput, match=text):
            queue(snapshots=[good, snapshot])
    assert Run.objects.count() == 1


def test_an_evaluation_needs_something_to_evaluate_on(queue: Callable[..., Run]) -> None:
    with pytest.raises(BadInput, match="prompts or rankings") as refused:
        queue(kind="evaluate", config={}, snapshots=[])
    assert refused.value.field == "data.prompts"


def test_sampling_takes_several_policies(queue: Callable[..., Run]) -> None:
    run = queue()
    two = CheckpointFactory.create_batch(2, project=run.project)
    sampled = queue(kind="sample", config={}, inputs={"policy": two, "reward": []})
    assert sampled.inputs.count() == 2


def test_a_run_that_is_over_cannot_be_stopped(queue: Callable[..., Run]) -> None:
    run = services.request_cancel(run=queue(), by=None)
    assert (run.state, run.cancel_requested_at is not None, run.finished_at is not None) == ("cancelled", True, True)
    with pytest.raises(WrongState, match="already cancelled"):
        services.request_cancel(run=run, by=None)


def test_asking_twice_to_stop_keeps_the_first_asker(queue: Callable[..., Run]) -> None:
    run = queue()
    now = run.created_at
    Run.objects.filter(pk=run.pk).update(state="running", heartbeat_at=now, lease_expires_at=now)
    first = services.request_cancel(run=run, by=None)
    again = services.request_cancel(run=run, by=None)
    assert (again.state, again.cancel_requested_at) == ("cancelling", first.cancel_requested_at)
