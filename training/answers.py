"""What is measured on sampled answers: lengths, repetition, and their log-probability under another policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from training.backbone import Backbone
from training.batches import RowBatch, micro_batches, pad_rows
from training.chat import TokenRow
from training.sampling import Sampled

GRAM = 4


class Measured(NamedTuple):
    """Per answer: log-probability and entropy of each of its tokens, fp32 on the CPU."""

    logprobs: list[Tensor]
    entropy: list[Tensor]


def answer_batch(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], backbone: Backbone) -> RowBatch:
    """Right-padded rows of prompt + answer; the answer's tokens, end token included, are marked."""
    rows = [
        TokenRow([*prompt, *answer], [False] * len(prompt) + [True] * len(answer))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    return pad_rows(rows, backbone.pad_id, backbone.device)


@torch.no_grad()
def measure(
    backbone: Backbone,
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    micro_tokens: int,
    temperature: float = 1.0,
) -> Measured:
    """Teacher-forced log-probabilities and entropies of given answers under the backbone as it is set now."""
    logprobs: dict[int, Tensor] = {}
    entropy: dict[int, Tensor] = {}
    lengths = [len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
    for group in micro_batches(lengths, micro_tokens):
        batch = answer_batch([prompts[at] for at in group], [answers[at] for at in group], backbone)
        states_BTD = backbone.run_top(backbone.run_bottom(batch.ids_BT))
        found = backbone.token_logprobs(states_BTD, batch.ids_BT, batch.response_BT, temperature=temperature)
        sizes = [len(answers[at]) for at in group]
        logprobs.update(zip(group, torch.split(found.logprobs_N.cpu(), sizes), strict=True))
        entropy.update(zip(group, torch.split(found.entropy_N.cpu(), sizes), strict=True))
    order = range(len(answers))
    return Measured([logprobs[at] for at in order], [entropy[at] for at in order])


def repeated_grams(ids: Sequence[int], size: int = GRAM) -> float:
    """Share of n-grams that occurred before in the same answer; 0 for answers shorter than that."""
    grams = [tuple(ids[at : at + size]) for at in range(len(ids) - size + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def answer_statistics(answers: Sequence[Sampled]) -> dict[str, float]:
    """length (mean and 95th percentile, tokens), eos_fraction, truncated_fraction, repeat_4gram, distinct_1, distinct_2."""
    lengths = sorted(len(answer.ids) for answer in answers)
    finished = sum(answer.finished for answer in answers) / len(answers)
    pairs = [pair for answer in answers for pair in zip(answer.ids, answer.ids[1:], strict=False)]
    return {
        "length": sum(lengths) / len(lengths),
        "length_p95": float(lengths[min(len(lengths) - 1, int(0.95 * len(lengths)))]),
        "eos_fraction": finished,
        "truncated_fraction": 1.0 - finished,
        "repeat_4gram": sum(repeated_grams(answer.ids) for answer in answers) / len(answers),
        "distinct_1": len({token for answer in answers for token in answer.ids}) / sum(lengths),
        "distinct_2": len(set(pairs)) / len(pairs) if pairs else 1.0,
    }
