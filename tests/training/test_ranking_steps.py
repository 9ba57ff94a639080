"""One ranking's share of the loss: margin, label smoothing, centring and weighting together, against numbers by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.run_directories import rankings
from training.configs import ConfigError, RewardConfig
from training.contracts import ContractError, RankingRecord
from training.ranking_steps import ranking_term
from training.records import RankingRow
from training.reward_data import check_valid, load_data
from training.session import Session

PAIR = RankingRow("a", "a", [1], [[2], [3]], [2, 1], 1 / 3)
FOUR = RankingRow("b", "b", [1], [[2], [3], [4], [5]], [1, 2, 3, 4])


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def test_margin_smoothing_and_centring_add_up() -> None:
    scores = torch.tensor([0.2, 1.0], dtype=torch.float64)
    config = RewardConfig(label_smoothing=0.1, centre_penalty=0.01)
    gap = 1.0 - 0.2 - 1 / 3
    expected = -0.9 * log_sigmoid(gap) - 0.1 * log_sigmoid(-gap) + 0.01 * (0.04 + 1.0) / 2
    assert float(ranking_term(scores, PAIR, config)) == pytest.approx(expected, rel=1e-12)
    assert float(ranking_term(scores, replace(PAIR, margin=0.0), RewardConfig())) == pytest.approx(-log_sigmoid(0.8))


def test_pair_weighting_counts_a_ranking_by_its_pairs_and_ties_make_none() -> None:
    scores = torch.tensor([2.0, 1.0, 0.5, -1.0], dtype=torch.float64)
    mean = float(ranking_term(scores, FOUR, RewardConfig()))
    assert mean == pytest.approx(0.22761343, abs=1e-8)
    assert float(ranking_term(scores, FOUR, RewardConfig(weighting="pair"))) == pytest.approx(6 * mean)
    tied = replace(FOUR, ranks=[1, 2, 2, 3])
    assert float(ranking_term(scores, tied, RewardConfig())) == pytest.approx(0.17832072, abs=1e-8)
    assert float(ranking_term(scores, tied, RewardConfig(weighting="pair"))) == pytest.approx(5 * 0.17832072, abs=1e-7)


def test_the_gradient_is_that_of_the_parts() -> None:
    scores = torch.tensor([0.2, 1.0], dtype=torch.float64, requires_grad=True)
    ranking_term(scores, PAIR, RewardConfig(label_smoothing=0.1, centre_penalty=0.01)).backward()
    gap = 1.0 - 0.2 - 1 / 3
    slope = 1 / (1 + math.exp(-gap)) - 0.9  # d/dgap of the smoothed loss
    expected = [-slope + 0.01 * 0.2, slope + 0.01 * 1.0]
    assert scores.grad is not None and scores.grad.tolist() == pytest.approx(expected, rel=1e-12)


class Reading:
    """As much of a session as reading its records takes."""

    def __init__(self, config: RewardConfig, rows: list[RankingRecord]) -> None:
        self.config, self.rows = config, rows
        self.spec = type("Spec", (), {"seed": 0})
        self.notes: list[str] = []

    def records(self, kind: str) -> list[RankingRecord]:
        return self.rows if kind == "rankings" else []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_margins_are_scaled_for_the_loss_and_left_alone_where_they_are_reported(
    backbone: object, tmp_path: Path
) -> None:
    rows = [row | {"margin": 1 / 3} for row in rankings(4, k=2, valid=1)]
    reading: Session = Reading(RewardConfig(margin_scale=3.0), [RankingRecord.parse(row) for row in rows])  # type: ignore[assignment]
    data = load_data(reading, backbone)  # type: ignore[arg-type]
    assert [row.margin for row in data.rows] == pytest.approx([1.0] * 3)
    assert [row.margin for row in data.valid] == pytest.approx([1 / 3])


def test_nothing_to_learn_and_nothing_to_choose_by_are_named(backbone: object) -> None:
    tied = [RankingRecord.parse(row | {"ranks": [1, 1, 1]}) for row in rankings(3)]
    with pytest.raises(ContractError, match="no train row with two different ranks"):
        load_data(Reading(RewardConfig(), tied), backbone)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"seeds: the best of 3 is chosen on held-out rankings, and there are none"):
        check_valid([replace(PAIR, ranks=[1, 1])], RewardConfig(seeds=3))
    check_valid([], RewardConfig(seeds=3, members=3))
