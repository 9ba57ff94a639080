"""`transformers` generation on a batch of prompts of one length, each with its own number of new tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaForCausalLM, StoppingCriteria, StoppingCriteriaList

from benchmarks.harness import llama


class RowLimits(StoppingCriteria):
    """Ends each row at its own length: what an end token does, at known places."""

    def __init__(self, lengths_B: Tensor) -> None:
        self.lengths_B = lengths_B

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Which rows [B] have all their tokens."""
        return self.lengths_B <= input_ids.shape[1]


@torch.no_grad()
def generate(
    model: LlamaForCausalLM, prompts: Sequence[Sequence[int]], limits: Sequence[int], temperature: float
) -> list[list[int]]:
    """`limits[n]` sampled tokens after each prompt, without log-probabilities. The prompts must be of one length."""
    ids = torch.tensor(prompts, device=model.device)
    width = ids.shape[1]
    settings = GenerationConfig(
        max_new_tokens=max(limits),
        do_sample=True,
        temperature=temperature,
        top_k=0,
        top_p=1.0,
        pad_token_id=llama.PAD,
        eos_token_id=None,
    )
    ends = torch.tensor([width + limit for limit in limits], device=model.device)
    uneven = len(set(limits)) > 1
    found = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        generation_config=settings,
        stopping_criteria=StoppingCriteriaList([RowLimits(ends)] if uneven else []),
    )
    return [row[width : width + limit].tolist() for row, limit in zip(found, limits, strict=True)]
