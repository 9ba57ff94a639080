"""Log-probabilities of chosen tokens without ever holding the whole [N, V] table of logits. Imports torch only."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CHUNK_ELEMENTS = 1 << 25  # 128 MiB of fp32 logits at a time


class TokenLogprobs(NamedTuple):
    """Of N chosen tokens: log-probability and entropy (fp32), and the state that predicted each."""

    logprobs_N: Tensor
    entropy_N: Tensor
    states_ND: Tensor


def linear_logprobs(
    states_ND: Tensor, head: nn.Module, targets_N: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """log softmax(head(states) / T) at the targets, and its entropy (no gradient), both fp32 [N].

    Chunks of tokens are recomputed in the backward pass, so memory does not grow with N × vocabulary.
    """
    rows = max(1, CHUNK_ELEMENTS // head.get_parameter("weight").shape[0])
    if len(states_ND) <= rows:
        return _logprobs(states_ND, head, targets_N, temperature)
    parts = []
    for states, targets in zip(states_ND.split(rows), targets_N.split(rows), strict=True):
        if torch.is_grad_enabled():
            parts.append(checkpoint(_logprobs, states, head, targets, temperature, use_reentrant=False))
        else:
            parts.append(_logprobs(states, head, targets, temperature))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _logprobs(states_ND: Tensor, head: nn.Module, targets_N: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    logprobs_NV = torch.log_softmax(head(states_ND).float() / temperature, -1)
    with torch.no_grad():
        entropy_N = -(logprobs_NV.exp() * logprobs_NV).sum(-1)
    return logprobs_NV.gather(-1, targets_N[:, None])[:, 0], entropy_N
