"""Models whose layers look back over a window only: everything goes through their own forward, so nothing sees further.

Where the window is as long as the longest row there is nothing further to see, and the layers are called one by one.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Gemma3TextConfig, MistralConfig, Qwen3Config

from training.backbone import Backbone, load_backbone
from training.chat import TokenRow
from training.configs import ConfigError
from training.contracts import ContractError
from training.language_loss import arrange, mean_loss
from training.packing import joined
from training.records import RankingRow
from training.reward_scoring import RewardModel, new_head
from training.sampling import Decoding, generate, row_seed

CPU = torch.device("cpu")
WINDOW = 16  # longer than the probe of a fresh model, shorter than the rows
SHAPE: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "sliding_window": WINDOW,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
KINDS = {
    "every layer": MistralConfig(**SHAPE),
    "three of four, scaled embeddings": Gemma3TextConfig(**SHAPE, head_dim=16),
    "the upper half": Qwen3Config(**SHAPE, head_dim=16, use_sliding_window=True, max_window_layers=2),
}
DRAW = torch.Generator().manual_seed(0)
PROMPTS = [torch.randint(3, 512, (length,), generator=DRAW).tolist() for length in (31, 5, 24, 31)]


def save(kind: str, tiny_dir: Path, folder: Path) -> None:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(KINDS[kind])
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(4.0)  # so that what a token sees matters
    model.save_pretrained(folder)
    load_backbone(tiny_dir, device=CPU, dtype=torch.float32).tokenizer.save_pretrained(folder)


@pytest.fixture(params=KINDS)
def windowed(request: pytest.FixtureRequest, tiny_dir: Path, tmp_path: Path) -> Backbone:
    save(request.param, tiny_dir, tmp_path / "model")
    return load_backbone(tmp_path / "model", device=CPU, dtype=torch.float32)


def own_logprobs(model: Any, ids: list[int]) -> Tensor:
    """log π of every token but the first, by `transformers` alone."""
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits.float()
    return torch.log_softmax(logits, -1)[0, :-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]


def seeing_all(model: Any) -> Any:
    config = copy.deepcopy(model.config)
    config.sliding_window = SHAPE["max_position_embeddings"]
    other = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    other.load_state_dict(model.state_dict())
    return other


def test_captured_and_recomputed_logprobs_are_those_of_transformers(windowed: Backbone) -> None:
    answers = generate(windowed, PROMPTS * 2, Decoding(20), [row_seed(at) for at in range(8)], batch_rows=3)
    far = seeing_all(windowed.model)
    apart = []
    for prompt, answer in zip(PROMPTS * 2, answers, strict=True):
        expected = own_logprobs(windowed.model, prompt + answer.ids)[len(prompt) - 1 :]
        torch.testing.assert_close(answer.logprobs_T, expected, rtol=0, atol=1e-4)
        apart.append((own_logprobs(far, prompt + answer.ids)[len(prompt) - 1 :] - expected).abs().max())
    assert max(apart) > 0.1
    rows = [TokenRow(prompt, [False, *[True] * (len(prompt) - 1)]) for prompt in PROMPTS]
    expected_loss = -torch.cat([own_logprobs(windowed.model, prompt) for prompt in PROMPTS]).mean().item()
    assert mean_loss(windowed, arrange(windowed, rows, "auto"), 4096) == pytest.approx(expected_loss, abs=1e-5)


def test_completions_are_scored_a_row_each(windowed: Backbone) -> None:
    head = new_head(windowed.hidden_size, torch.device("cpu"))
    scorer = RewardModel(windowed, head)
    answers = [[40, 41, 2], [42, 2], [43, 44, 45, 2]]
    found = scorer.score([(PROMPTS[0], answer) for answer in answers], raw=True)
    for score, answer in zip(found, answers, strict=True):
        with torch.no_grad():
            ids = torch.tensor([PROMPTS[0] + answer])
            state = windowed.model.base_model(ids, use_cache=False).last_hidden_state[0, -1]
            assert score.item() == pytest.approx(head(state).item(), abs=1e-4)


def test_rows_packed_side_by_side_are_refused(windowed: Backbone) -> None:
    row = RankingRow("r", "p", PROMPTS[0], [[40, 2], [41, 2]], [1, 2])
    scorer = RewardModel(windowed, new_head(windowed.hidden_size, torch.device("cpu")))
    with pytest.raises(ConfigError, match="pack: .*cannot take a block mask; use auto or never"):
        scorer.raw_scores([row], pack="always")
    with pytest.raises(ConfigError, match="pack: .*cannot take a block mask; use auto or never"):
        arrange(windowed, [TokenRow([1, 2], [False, True])], "always")
    mask = torch.ones(2, 2, dtype=torch.bool).tril()[None, None]
    with pytest.raises(ContractError, match="cannot take attention masks"):
        windowed.run_bottom(torch.tensor([[1, 2]]), mask)
    assert (
        arrange(windowed, [TokenRow([1, 2], [False, True])] * 2, "auto")
        == [joined([TokenRow([1, 2], [False, True])])] * 2
    )


@pytest.mark.parametrize("kind", ["every layer", "the upper half"])
@pytest.mark.parametrize(("longest", "split"), [(WINDOW + 1, False), (WINDOW, True)])
def test_rows_that_fit_into_the_window_take_the_short_way(
    kind: str, longest: int, split: bool, tiny_dir: Path, tmp_path: Path
) -> None:
    save(kind, tiny_dir, tmp_path / "model")
    short = load_backbone(tmp_path / "model", device=CPU, dtype=torch.float32, longest=longest)
    assert (short.splits, short.context_length) == (split, longest)
    rows = [TokenRow(prompt[:WINDOW], [False] + [True] * (len(prompt[:WINDOW]) - 1)) for prompt in PROMPTS]
    expected = -torch.cat([own_logprobs(short.model, row.ids) for row in rows]).mean().item()
    assert mean_loss(short, arrange(short, rows, "always" if split else "auto"), 4096) == pytest.approx(
        expected, abs=1e-5
    )
    (answer,) = generate(short, [PROMPTS[1]], Decoding(WINDOW - 5), [1])
    captured = own_logprobs(short.model, PROMPTS[1] + answer.ids)[len(PROMPTS[1]) - 1 :]
    torch.testing.assert_close(answer.logprobs_T, captured, rtol=0, atol=1e-4)
