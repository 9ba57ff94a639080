"""Zero and unit: what sets them, that they are applied once, and that raw scores go past them."""

from __future__ import annotations

import pytest
import torch

from tests.training.run_directories import demonstrations
from tests.training.test_reward_model import ROWS, reward_model
from training.backbone import Backbone
from training.chat import TokenRow
from training.configs import RewardConfig
from training.contracts import DemonstrationRecord
from training.records import demonstration_rows
from training.score_scale import answers_sha256, demonstration_scores, last_answer, set_scale


def shown_by(backbone: Backbone) -> list[TokenRow]:
    records = [DemonstrationRecord.parse(row) for row in demonstrations(6)]
    return demonstration_rows(records, backbone.tokenizer, 512)


ANSWERS = [(row.prompt, answer) for row in ROWS for answer in row.completions]


def test_demonstrations_average_zero_and_completions_have_deviation_one(backbone: Backbone) -> None:
    model, _ = reward_model(backbone)
    shown = shown_by(backbone)
    facts = set_scale(model, ROWS, shown, RewardConfig(), seed=0)
    scored = demonstration_scores(model, shown)
    assert (facts["normalise"], facts["n"], scored["n"]) == ("demonstrations", 6, 6)
    assert scored["mean"] == pytest.approx(0.0, abs=1e-5)
    assert float(model.score(ANSWERS).std(correction=0)) == pytest.approx(1.0, rel=1e-4)
    raw = model.score(ANSWERS, raw=True)
    torch.testing.assert_close(model.score(ANSWERS), (raw - model.bias) / model.gain)
    assert facts["zero_sha256"] == answers_sha256([last_answer(row.ids, row.response) for row in shown])
    assert facts["zero_sha256"] != answers_sha256([last_answer(row.ids, row.response) for row in shown[:5]])


def test_zero_and_unit_are_chosen_apart(backbone: Backbone) -> None:
    model, _ = reward_model(backbone)
    raw = model.score(ANSWERS, raw=True)
    mean, spread = float(raw.mean()), float(raw.std(correction=0))
    for normalise, unit, bias, gain in (
        ("completions", True, mean, spread),
        ("completions", False, mean, 1.0),
        ("none", True, 0.0, spread),
        ("none", False, 0.0, 1.0),
    ):
        model.bias, model.gain = 9.0, 9.0
        facts = set_scale(model, ROWS, [], RewardConfig(normalise=normalise, unit_variance=unit), seed=0)
        assert facts["normalise"] == normalise
        if facts["n"]:
            assert (model.bias, model.gain) == (pytest.approx(bias, abs=1e-5), pytest.approx(gain, rel=1e-4))
        else:
            assert (model.bias, model.gain) == (0.0, 1.0)


def test_without_demonstrations_the_completions_set_the_zero(backbone: Backbone) -> None:
    model, _ = reward_model(backbone)
    facts = set_scale(model, ROWS, [], RewardConfig(), seed=0)
    assert (facts["normalise"], facts["n"]) == ("completions", len(ANSWERS))
    assert demonstration_scores(model, []) == {"mean": None, "std": None, "n": 0}


def test_equal_scores_leave_the_unit_alone(backbone: Backbone) -> None:
    model, _ = reward_model(backbone)
    torch.nn.init.zeros_(model.head.weight)
    set_scale(model, ROWS, [], RewardConfig(), seed=0)
    assert (model.bias, model.gain) == (0.0, 1.0)
