"""The packed ranking against the pairs it replaces: one loss, one gradient, whatever the shapes; dense and FlexAttention."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import flex_attention as torch_flex
from torch.nn.functional import logsigmoid
from transformers import LlamaConfig

from tests.training.test_reward_model import gradients, relative, reward_model
from training import language_loss
from training.backbone import Backbone, load_backbone
from training.batches import block_mask, completion_rows, packed_length, packed_rows, packing_pays
from training.configs import ConfigError, RewardConfig, config_for
from training.flex import BLOCK, attending, flex_mask
from training.ranking_steps import ranking_term
from training.records import RankingRow
from training.reward_scoring import RewardModel, answers_by_prompt, new_head, uses_flex

CPU = torch.device("cpu")


def random_ranking(draw: random.Random, k: int) -> RankingRow:
    """A ranking with ties, uneven completions and a margin; at least one pair."""

    def tokens(low: int, high: int) -> list[int]:
        return [draw.randrange(3, 200) for _ in range(draw.randint(low, high))]

    ranks = [draw.randint(1, k) for _ in range(k)]
    ranks[draw.randrange(k)] = max(ranks) + 1
    margin = draw.choice([0.0, 1 / 3, 1.0])
    return RankingRow("r", "p", tokens(1, 24), [tokens(1, 14) for _ in range(k)], ranks, margin)


def loss_by_pairs(model: RewardModel, row: RankingRow) -> Tensor:
    """What a trainer of pairs computes: two rows for every pair that is not tied."""
    order = range(len(row.ranks))
    pairs = [(w, l) for w in order for l in order if row.ranks[w] < row.ranks[l]]  # noqa: E741 - winner and loser
    batch = completion_rows([(row.prompt, row.completions[at]) for pair in pairs for at in pair], 0, CPU)
    scores_P2 = model.read(batch).view(-1, 2)
    return -logsigmoid(scores_P2[:, 0] - scores_P2[:, 1] - row.margin).mean()


@pytest.fixture
def flex_gradients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch refuses gradients of FlexAttention on a CPU because its fast kernel has none; the plain form, used here, does."""
    monkeypatch.setattr(torch_flex, "_validate_device", lambda *_: None)
    monkeypatch.setattr(torch_flex, "_WARNINGS_SHOWN", {"flex_attention_performance"})
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("readout", ["last", "mean", "both"])
def test_a_packed_row_has_the_loss_and_gradient_of_its_pairs(backbone: Backbone, readout: str) -> None:
    model, weights = reward_model(backbone, readout)
    draw = random.Random(7)
    for k in (2, 2, 3, 4, 5, 7, 9):
        row = random_ranking(draw, k)
        by_pairs = loss_by_pairs(model, row)
        by_pairs.backward()
        expected = gradients(weights)
        loss = ranking_term(model.read(packed_rows([row], 0, CPU)), row, RewardConfig())
        loss.backward()
        assert loss.item() == pytest.approx(by_pairs.item(), rel=1e-5)
        assert relative(gradients(weights), expected) <= 1e-5


@pytest.mark.usefixtures("flex_gradients")
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # torch's own tracing looks at it
def test_flex_attention_has_the_scores_and_gradient_of_the_dense_mask(backbone: Backbone) -> None:
    model, weights = reward_model(backbone)
    draw = random.Random(11)
    for count in (1, 2):
        rows = [random_ranking(draw, 3) for _ in range(count)]
        found = []
        for flex in (False, True):
            batch = packed_rows(rows, 0, CPU, flex=flex)
            scores = model.read(batch)
            scores.square().sum().backward()
            found.append((scores.detach(), gradients(weights)))
        assert batch.ids_BT.shape[1] == BLOCK
        torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=1e-6)
        assert relative(found[1][1], found[0][1]) <= 1e-5


@pytest.mark.usefixtures("flex_gradients")
def test_flex_attention_takes_the_mixed_precision_of_full_tuning(
    tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[torch.dtype] = set()

    def kernel(*qkv: Tensor, **options: Any) -> Tensor:
        seen.update(part.dtype for part in qkv)
        return torch_flex.flex_attention(*qkv, **options)

    monkeypatch.setattr("training.flex._kernel", lambda _: kernel)
    backbone = load_backbone(tiny_dir, device=CPU, dtype=torch.bfloat16)
    backbone.tune(RewardConfig(tuning="full"), "reward")
    model = RewardModel(backbone, new_head(backbone.hidden_size, CPU), adapter="reward")
    rows = [random_ranking(random.Random(3), 3)]
    with torch.no_grad():
        dense, flex = (model.read(packed_rows(rows, 0, CPU, flex=flex)) for flex in (False, True))
    torch.testing.assert_close(flex, dense, rtol=0, atol=5e-2)
    assert seen == {torch.bfloat16}


def test_flex_blocks_hold_the_dense_mask_and_skip_what_nobody_sees() -> None:
    segment_BT = torch.tensor([[0] * 128 + [1] * 128 + [2] * 128 + [3] * 100 + [-1] * 28])
    mask = flex_mask(segment_BT)
    idx = torch.arange(512)
    dense = mask.mask_mod(torch.tensor(0), torch.tensor(0), idx[:, None], idx[None, :])
    assert torch.equal(dense, block_mask(segment_BT)[0, 0])
    assert mask.to_dense()[0, 0].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]


def test_other_masks_leave_the_models_attention_as_it_is(backbone: Backbone) -> None:
    config = backbone.model.config
    with attending(config, block_mask(torch.tensor([[0, 1]]))):
        assert config._attn_implementation == "sdpa"
    with attending(config, flex_mask(torch.tensor([[0, 1]]))):
        assert config._attn_implementation == "packed_flex"
    assert config._attn_implementation == "sdpa"


def test_flex_is_chosen_where_it_has_a_kernel(backbone: Backbone) -> None:
    on_cuda = replace(backbone, device=torch.device("cuda"))
    assert not uses_flex("auto", backbone)
    assert uses_flex("auto", on_cuda) and language_loss.uses_flex(on_cuda)
    assert not uses_flex("dense", on_cuda)
    with pytest.raises(ConfigError, match="packed_attention: FlexAttention does not train this model on cpu"):
        uses_flex("flex", backbone)
    narrow = copy.copy(backbone.model)
    narrow.config = LlamaConfig(hidden_size=32, num_attention_heads=4)
    with_narrow_heads = replace(on_cuda, model=narrow)
    assert not uses_flex("auto", with_narrow_heads) and not language_loss.uses_flex(with_narrow_heads)
    with pytest.raises(ConfigError, match="does not train this model on cuda"):
        uses_flex("flex", with_narrow_heads)
    with pytest.raises(ConfigError, match="packed_attention: does not apply when pack is 'never'"):
        config_for("reward", {"pack": "never", "packed_attention": "dense"})


def test_blocks_make_packing_pay_where_a_dense_mask_does_not() -> None:
    row = RankingRow("r", "p", [1] * 100, [[1] * 400] * 9, list(range(1, 10)))
    assert packed_length(row) == 3700
    assert not packing_pays(row, 64)
    assert packing_pays(row, 64, flex=True)


def test_answers_to_one_prompt_are_scored_as_if_alone(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = reward_model(backbone)
    prompts = [list(range(3, 43)), [5, 6]]
    rows = [(prompts[at % 2], [7 + at, 8 + at, 2]) for at in range(40)]
    assert [len(group) for group in answers_by_prompt(rows, 100)] == [20, 20]  # 40 + 20 · 3 tokens are 100
    assert sorted(map(len, answers_by_prompt(rows, 50))) == [2, 3, 3, 3, 3, 3, 3, 4, 16]
    assert sorted(at for group in answers_by_prompt(rows, 50) for at in group) == list(range(40))
    assert model.packable(rows, [0, 2, 4]) == [[0, 2, 4]]  # a long prompt is shared
    assert model.packable([([5], list(range(60)))] * 2, [0, 1]) == [[0], [1]]  # a short one is not worth a mask
    tokens: list[int] = []
    read = model.states
    monkeypatch.setattr(model, "states", lambda batch: (tokens.append(batch.ids_BT.numel()), read(batch))[1])
    together = model.score(rows)
    assert sum(tokens) < 0.5 * sum(len(prompt) + len(answer) for prompt, answer in rows)
    torch.testing.assert_close(together, torch.cat([model.score([row]) for row in rows]), rtol=0, atol=1e-5)
