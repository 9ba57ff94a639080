"""The table of agreement that a reward run leaves, as the checkpoint's page shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labeling.checkpoints.agreement import agreement_of
from labeling.checkpoints.models import Checkpoint
from labeling.core.files import artifact_path
from labeling.people.models import Role
from tests.factories import CheckpointFactory, MembershipFactory

TABLE: dict[str, Any] = {
    "pairs": 5,
    "calibration": [
        {"low": 0.5, "high": 0.55, "predicted": 0.525, "observed": 0.5, "pairs": 2},
        {"low": 0.95, "high": 1.0, "predicted": 1.0, "observed": 1.0, "pairs": 3},
    ],
    "by_distance": {"1": {"accuracy": 0.6, "pairs": 4}, "2": {"accuracy": 1.0, "pairs": 1}},
    "by_margin": {"0.00": {"accuracy": 0.8, "pairs": 5}},
    "by_length": {"longer": {"accuracy": 0.9, "pairs": 3}, "shorter": {"accuracy": 0.4, "pairs": 2}},
    "curve": [{"rankings": 4, "pairs": 9, "accuracy": 0.55, "accuracy_ci95": [0.4, 0.7], "log_loss": 0.7}],
}


@pytest.fixture
def reward(db: None) -> Checkpoint:
    made: Checkpoint = CheckpointFactory(kind=Checkpoint.Kind.REWARD)
    artifact_path(made.path).mkdir(parents=True)
    return made


def write(checkpoint: Checkpoint, text: str) -> None:
    (artifact_path(checkpoint.path) / "agreement.json").write_text(text)


def test_bins_stand_where_confidence_and_share_put_them(reward: Checkpoint) -> None:
    write(reward, json.dumps(TABLE))
    found = agreement_of(reward)
    assert found is not None
    assert [(row.x, row.y) for row in found.bins] == [(55.0, 92.0), (340.0, 12.0)]
    assert [rows for _, rows in found.parts] == [
        [("1", 0.6, 4), ("2", 1.0, 1)],
        [("longer", 0.9, 3), ("shorter", 0.4, 2)],
    ]  # one margin alone says nothing


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pairs": 3}', '{"pairs": 0}', "x" * (1 << 20 | 1)])
def test_a_table_that_cannot_be_read_is_left_out(reward: Checkpoint, text: str) -> None:
    write(reward, text)
    assert agreement_of(reward) is None


def test_the_page_shows_the_table(client: Any, reward: Checkpoint) -> None:
    write(reward, json.dumps(TABLE))
    client.force_login(MembershipFactory(project=reward.project, role=Role.ENGINEER).user)
    page = client.get(f"/p/{reward.project.slug}/checkpoints/{reward.public_id}/").content.decode()
    assert "Agreement with held-out rankings" in page
    assert 'cx="55.0" cy="92.0"' in page
    assert "Trained on rankings" in page
