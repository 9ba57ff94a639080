"""Log-probabilities of chosen tokens without ever holding the whole [N, V] table of logits. Imports torch only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CHUNK_ELEMENTS = 1 << 25  # 128 MiB of fp32 logits at a time
NEVER = torch.finfo(torch.float32).min  # the logit of a token that may not come; -∞ would make the entropy 0 · ∞


class TokenLogprobs(NamedTuple):
    """Of N chosen tokens: log-probability and entropy (fp32), and the state that predicted each."""

    logprobs_N: Tensor
    entropy_N: Tensor
    states_ND: Tensor


def linear_logprobs(
    states_ND: Tensor,
    head: nn.Module,
    targets_N: Tensor,
    temperature: float = 1.0,
    early_N: Tensor | None = None,
    stops: Sequence[int] = (),
) -> tuple[Tensor, Tensor]:
    """log softmax(head(states) / T) at the targets, and its entropy (no gradient), both fp32 [N].

    Where `early_N`, the softmax is over all tokens but `stops` (see `barred`).
    Chunks of tokens are recomputed in the backward pass, so memory does not grow with N × vocabulary.
    """
    rows = max(1, CHUNK_ELEMENTS // head.get_parameter("weight").shape[0])
    stops_S = torch.tensor(stops, dtype=torch.long, device=states_ND.device)
    if len(states_ND) <= rows:
        return _logprobs(states_ND, head, targets_N, temperature, early_N, stops_S)
    parts = []
    early = repeat(None) if early_N is None else early_N.split(rows)
    for chunk in zip(states_ND.split(rows), repeat(head), targets_N.split(rows), repeat(temperature), early):
        if torch.is_grad_enabled():
            parts.append(checkpoint(_logprobs, *chunk, stops_S, use_reentrant=False))
        else:
            parts.append(_logprobs(*chunk, stops_S))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _logprobs(
    states_ND: Tensor,
    head: nn.Module,
    targets_N: Tensor,
    temperature: float,
    early_N: Tensor | None,
    stops_S: Tensor,
) -> tuple[Tensor, Tensor]:
    logits_NV = head(states_ND).float() / temperature
    logprobs_NV = torch.log_softmax(logits_NV if early_N is None else barred(logits_NV, early_N, stops_S), -1)
    with torch.no_grad():
        entropy_N = -(logprobs_NV.exp() * logprobs_NV).sum(-1)
    return logprobs_NV.gather(-1, targets_N[:, None])[:, 0], entropy_N


def barred(logits_NV: Tensor, early_N: Tensor, stops_S: Tensor) -> Tensor:
    """Logits of a distribution without the stop tokens where `early_N`: π(v) / (1 - Σ_s π(s)) for the others. In place.

    Sampling and training both call it, so that a log-probability means the same in both (`MinNewTokensLengthLogitsProcessor`
    of `transformers`).
    """
    logits_NV[:, stops_S] = torch.where(early_N[:, None], NEVER, logits_NV[:, stops_S])
    return logits_NV
