"""Rows that share a row: nothing is lost, nobody sees another, and loss and gradient are those of rows alone."""

import random

import pytest
import torch

from training.backbone import Backbone
from training.chat import TokenRow
from training.configs import ConfigError, SftConfig
from training.language_loss import accumulate, arrange, learned_tokens, loss_sum, mean_loss
from training.packing import best_fit, joined, pack_if_cheaper, pack_rows, packed_batch

CPU = torch.device("cpu")


def drawn_rows(count: int, *, longest: int = 40, seed: int = 0) -> list[TokenRow]:
    """Random tokens; some of each row's tokens, never the first, are an answer."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        length = draw.randint(2, longest)
        response = [False, *(draw.random() < 0.6 for _ in range(length - 1))]
        rows.append(TokenRow([draw.randrange(3, 300) for _ in range(length)], response))
    return rows


def gradient(weights: dict[str, torch.nn.Parameter]) -> torch.Tensor:
    found = torch.cat([weight.grad.flatten() for weight in weights.values() if weight.grad is not None])
    for weight in weights.values():
        weight.grad = None
    return found


def test_best_fit_puts_the_longest_first_where_least_room_is_left() -> None:
    assert best_fit([4, 8, 1, 4, 2, 1], 10) == [[1, 4], [0, 3, 2, 5]]
    assert best_fit([12, 3], 10) == [[0], [1]]
    assert best_fit([], 10) == []


@pytest.mark.parametrize("seed", range(5))
def test_best_fit_loses_nothing_and_never_overfills(seed: int) -> None:
    draw = random.Random(seed)
    lengths = [draw.randint(1, 32) for _ in range(300)]
    bins = best_fit(lengths, 64)
    assert sorted(at for part in bins for at in part) == list(range(300))
    sums = [sum(lengths[at] for at in part) for part in bins]
    assert max(sums) <= 64
    assert len(bins) <= 1.02 * sum(lengths) / 64 + 1


@pytest.mark.parametrize("seed", range(3))
def test_packed_loss_and_gradient_equal_those_of_rows_alone(backbone: Backbone, seed: int) -> None:
    weights = backbone.tune(SftConfig())
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in weights.items():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    rows = drawn_rows(11, seed=seed)
    alone, packed = (arrange(backbone, rows, pack) for pack in ("never", "always"))
    assert len(packed) < len(alone) == 11
    assert learned_tokens(packed) == learned_tokens(alone)
    loss = accumulate(backbone, alone, 4096)
    expected = gradient(weights)
    for micro_tokens in (4096, 64, 16):
        assert accumulate(backbone, packed, micro_tokens) == pytest.approx(loss, rel=1e-5)
        assert (gradient(weights) - expected).norm() <= 1e-5 * expected.norm()
        assert accumulate(backbone, alone, micro_tokens) == pytest.approx(loss, rel=1e-5)
        assert (gradient(weights) - expected).norm() <= 1e-5 * expected.norm()
    assert mean_loss(backbone, packed, 64) == pytest.approx(loss, rel=1e-5)


@torch.no_grad()
def test_no_part_sees_another(backbone: Backbone) -> None:
    first, second = drawn_rows(2, seed=1)
    other = TokenRow([5] * len(first.ids), first.response)

    def states(row: TokenRow) -> torch.Tensor:
        batch = packed_batch([joined([row, second])], 0, CPU)
        return backbone.run_top(backbone.run_bottom(batch.ids_BT, batch.mask, batch.positions_BT))[0, len(row.ids) :]

    assert torch.equal(states(first), states(other))
    torch.testing.assert_close(states(first), backbone.run_top(backbone.run_bottom(torch.tensor([second.ids])))[0])


def test_the_first_token_of_a_part_is_not_learned() -> None:
    row = joined([TokenRow([7, 8], [True, True]), TokenRow([9, 10, 11], [True, False, True])])
    assert row == ([7, 8, 9, 10, 11], [1, 1, 2, 2, 2], [False, True, False, False, True])
    batch = packed_batch([row, joined([TokenRow([4], [True])])], 0, CPU)
    assert batch.positions_BT is not None
    assert batch.positions_BT.tolist() == [[0, 1, 0, 1, 2], [0, 0, 0, 0, 0]]
    assert batch.learned_BT.tolist() == [row.learned, [False] * 5]


@torch.no_grad()
def test_the_loss_is_that_of_the_answers_tokens(backbone: Backbone) -> None:
    (row,) = drawn_rows(1, seed=4)
    table = torch.log_softmax(backbone.model(input_ids=torch.tensor([row.ids])).logits, -1)[0]
    expected = -sum(table[at - 1, row.ids[at]] for at in range(len(row.ids)) if row.response[at])
    torch.testing.assert_close(
        loss_sum(backbone, packed_batch([joined([row])], 0, CPU)), expected, rtol=1e-5, atol=1e-5
    )


def test_rows_are_packed_only_where_that_costs_less(backbone: Backbone) -> None:
    short, long = TokenRow([3] * 10, [True] * 10), TokenRow([3] * 40, [True] * 40)
    assert len(pack_if_cheaper([long, short, short, short, short], 64)) == 2
    assert len(pack_if_cheaper([long, long], 64)) == 2
    assert len(pack_rows([long, short], 50)) == 1
    assert len(arrange(backbone, [long, short, short], "never")) == 3
    backbone.splits = False  # layers that take no mask
    assert len(arrange(backbone, [long, short, short, short, short], "auto")) == 5
    with pytest.raises(ConfigError, match="pack: LlamaForCausalLM cannot take a block mask; use auto or never"):
        arrange(backbone, [long, short], "always")
