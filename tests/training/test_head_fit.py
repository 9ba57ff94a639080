"""The exact head: the minimum it claims, nothing of the trunk changed, the same scores after saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.run_directories import make_run, rankings
from training import reward
from training.backbone import load_backbone
from training.configs import ConfigError, RewardConfig, config_for
from training.contracts import EXIT_OK, Kind, Result
from training.head_fit import fit_head, pair_gaps
from training.losses import ranking_loss
from training.records import RankingRow
from training.reward_model import load_reward
from training.reward_scoring import RewardModel, head_width, new_head
from training.session import main

CPU = torch.device("cpu")


def rows_of(count: int) -> list[RankingRow]:
    generator = torch.Generator().manual_seed(3)

    def tokens(n: int) -> list[int]:
        return torch.randint(10, 200, (n,), generator=generator).tolist()

    ranks = [[1, 2, 3], [2, 1, 1], [3, 1, 2], [1, 1, 2]]
    return [
        RankingRow(str(at), str(at), tokens(4), [tokens(3), tokens(5), tokens(2)], ranks[at % 4]) for at in range(count)
    ]


@pytest.mark.parametrize(
    "options", [{}, {"weighting": "pair"}, {"label_smoothing": 0.2}, {"readout": "mean"}, {"readout": "both"}]
)
def test_no_step_away_from_the_fitted_head_lowers_the_loss(tiny_dir: Path, options: dict[str, Any]) -> None:
    backbone = load_backbone(tiny_dir, device=CPU, dtype=torch.float32)
    config = RewardConfig(epochs=0, head_l2=0.05, **options)
    model = RewardModel(backbone, new_head(head_width(backbone.hidden_size, config.readout), CPU), config.readout)
    rows = rows_of(6)
    losses: list[float] = []
    fit_head(model, rows, config, lambda _, loss: losses.append(loss))
    states = [part.double() for part in model.ranking_states(rows)]
    scale_D = torch.cat(states).std(0, correction=0)
    weight_D = model.head.weight.detach()[0].double().requires_grad_()
    terms = torch.stack(
        [
            ranking_loss(part @ weight_D, torch.tensor(row.ranks), label_smoothing=config.label_smoothing)
            for part, row in zip(states, rows, strict=True)
        ]
    )
    shares = torch.tensor([row.pairs if config.weighting == "pair" else 1 for row in rows], dtype=torch.float64)
    objective = (terms * shares / shares.sum()).sum() + config.head_l2 * (weight_D * scale_D).square().sum()
    objective.backward()
    assert float((weight_D.grad / scale_D).abs().max()) < 1e-6  # type: ignore[operator]
    assert losses[0] == pytest.approx(0.693147, abs=1e-5)
    assert losses[-1] < losses[0]


class Features:
    """Stands for a model of which only what the head reads matters: rows of random numbers."""

    def __init__(self, rows: int, k: int, width: int) -> None:
        draw = torch.Generator().manual_seed(5)
        self.states = [torch.randn(k, width, generator=draw) for _ in range(rows)]
        self.head = torch.nn.Linear(width, 1, bias=False)

    def ranking_states(self, _rows: list[RankingRow], *, pack: str) -> list[torch.Tensor]:
        return self.states


@pytest.mark.parametrize("head_l2", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize(("width", "margin"), [(17, 3.0), (150, 3.0), (17, 0.0)])
def test_the_fit_ends_at_its_minimum_where_whole_newton_steps_run_away(
    width: int, margin: float, head_l2: float
) -> None:
    rows = [RankingRow(str(at), str(at), [at], [[0], [1]], [1, 2], margin) for at in range(22)]
    model, seen = Features(len(rows), 2, width), list[float]()
    config = RewardConfig(epochs=0, head_l2=head_l2)
    fit_head(model, rows, config, lambda _, loss: seen.append(loss))  # type: ignore[arg-type]
    assert seen[-1] < seen[0]
    scale_D = torch.cat(model.states).double().std(0, correction=0)
    w_D = (model.head.weight.detach()[0].double() * scale_D).requires_grad_()
    gaps_P = torch.stack([(own[0] - own[1]).double() for own in model.states]) / scale_D @ w_D - margin
    (torch.nn.functional.softplus(-gaps_P).mean() + head_l2 * w_D.square().sum()).backward()
    assert w_D.grad is not None and float(w_D.grad.abs().max()) < 1e-6


def test_labelers_of_the_same_completions_share_their_features_and_all_count() -> None:
    features_CD = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    row = RankingRow("a", "a", [1], [[2], [3]], [2, 1])
    other = RankingRow("b", "a", [1], [[2], [3]], [1, 2])
    gaps_PD, margin_P, weight_P = pair_gaps(features_CD, [0, 0, 0], [row, row, other], "prompt")
    assert gaps_PD[:, 0].tolist() == [1.0, 1.0, -1.0]
    assert margin_P.tolist() == [0.0] * 3
    assert weight_P.tolist() == pytest.approx([1 / 3] * 3)


def test_a_reward_run_without_epochs_leaves_the_trunk_as_it_is(tmp_path: Path, tiny_dir: Path) -> None:
    config = {"epochs": 0, "head_l2": 0.1, "lora_rank": 2, "first_adapted_layer": 1, "valid_fraction": 0.25}
    run = make_run(
        tmp_path / "run", Kind.REWARD, config=config, inputs={"policy": tiny_dir}, data={"rankings": rankings(12)}
    )
    assert main(reward.train, [str(run)]) == EXIT_OK
    metrics = Result.read(run).metrics
    assert metrics["loss_last"] < metrics["loss_first"] and metrics["steps"] >= 2
    policy = load_backbone(tiny_dir, device=CPU, dtype=torch.float32)
    shared = load_reward(run / "output", device=CPU, dtype=torch.float32, backbone=policy)
    alone = load_reward(run / "output", device=CPU, dtype=torch.float32)
    assert shared.backbone is policy
    answers = [([5, 6, 7], [9, 10]), ([5, 6], [11, 12, 13])]
    assert torch.allclose(shared.score(answers), alone.score(answers), atol=1e-4)
    untouched = load_backbone(tiny_dir, device=CPU, dtype=torch.float32).model.state_dict()
    saved = alone.backbone.model.state_dict()
    same = [key for key in untouched if key in saved and "layers" in key]
    assert same and all(torch.equal(untouched[key], saved[key]) for key in same)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"epochs": 0}, "head_l2"),
        ({"head_l2": 1.0, "centre_penalty": 0.1}, "centre_penalty"),
        ({"epochs": 0, "head_l2": 1.0, "batch_size": 4}, "batch_size"),
        ({"epochs": 0, "head_l2": 1.0, "learning_rate": 1e-3}, "learning_rate"),
        ({"epochs": 0, "head_l2": 1.0, "schedule": "constant"}, "schedule"),
        ({"epochs": 0, "head_l2": 1.0, "weight_decay": 0.1}, "weight_decay"),
    ],
)
def test_settings_that_cannot_work_together_are_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        config_for("reward", config)
    assert refusal.value.field == field
