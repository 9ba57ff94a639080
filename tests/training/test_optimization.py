import pytest
import torch
from torch import nn

from training.configs import TrainConfig
from training.optimization import batch_at, build_optimizer, learning_rate_factor, optimizer_step


def test_learning_rate_rises_from_a_tenth_and_falls_to_a_tenth() -> None:
    config = TrainConfig(warmup_steps=4)
    factors = [learning_rate_factor(step, 9, config) for step in range(1, 10)]
    assert factors[:5] == pytest.approx([0.1, 0.325, 0.55, 0.775, 1.0])
    assert factors[6] == pytest.approx(0.55)
    assert factors[8] == pytest.approx(0.1)
    constant = TrainConfig(warmup_steps=4, schedule="constant")
    assert [learning_rate_factor(step, 9, constant) for step in (4, 5, 9)] == pytest.approx([0.775, 1.0, 1.0])
    assert learning_rate_factor(1, 1, TrainConfig()) == 1.0


def test_head_has_its_own_rate_and_vectors_do_not_decay() -> None:
    weights = {"w": nn.Parameter(torch.ones(2, 2)), "norm": nn.Parameter(torch.ones(2))}
    head = {"head": nn.Parameter(torch.ones(1, 2))}
    config = TrainConfig(learning_rate=0.1, weight_decay=0.5, max_grad_norm=1.0, schedule="constant")
    optimizer = build_optimizer(weights, config, head=head, head_rate=0.7)
    shown = [(group["lr"], group["weight_decay"], len(group["params"])) for group in optimizer.param_groups]
    assert shown == [(0.1, 0.5, 1), (0.1, 0.0, 1), (0.7, 0.5, 1)]
    for weight in (*weights.values(), *head.values()):
        weight.grad = torch.full_like(weight, 10.0)
    rate, norm = optimizer_step(optimizer, 1, 5, config)
    assert (rate, norm) == pytest.approx((0.1, 10.0 * 8**0.5))
    assert weights["w"].grad is None


def test_every_epoch_holds_every_row_once_in_a_new_order() -> None:
    steps = [batch_at(step, 10, 4, seed=1) for step in range(1, 7)]
    assert [len(rows) for rows in steps] == [4, 4, 2, 4, 4, 2]
    first, second = sum(steps[:3], ()), sum(steps[3:], ())
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert batch_at(2, 10, 4, seed=1) == steps[1]
    assert batch_at(1, 10, 4, seed=2) != steps[0]
