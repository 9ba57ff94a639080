"""From logits to tokens: temperature, nucleus and greedy choice, each row with its own settings. Imports torch only.

Axes: A rows, V vocabulary, K blocks of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.logprobs import barred

NUCLEUS_FIRST = 512  # tokens looked at before the whole vocabulary is sorted
BLOCK = 128  # tokens summed before the cumulative sum, which is the slow part on a CPU


@dataclass(frozen=True)
class Decoding:
    """How to decode a row. Temperature 0 takes the likeliest token; `top_p` keeps the smallest set of tokens of that probability.

    Among the first `min_new_tokens` tokens none that ends the answer is drawn.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    min_new_tokens: int = 0


@dataclass(frozen=True)
class Chooser:
    """The settings of the A rows decoded together, as tensors made once. `greedy_G`, `nucleus_N`: indices of such rows."""

    temperature_A1: Tensor | float
    greedy_G: Tensor | None
    nucleus_N: Tensor | None
    top_p_N1: Tensor | None
    least_A: Tensor | None  # `min_new_tokens` of each row; None when no row has any

    @classmethod
    def of(cls, rows: Sequence[Decoding], device: torch.device) -> Chooser:
        """The chooser of these rows, in order."""
        warmth = [row.temperature or 1.0 for row in rows]
        same = len(set(warmth)) == 1
        greedy = [at for at, row in enumerate(rows) if row.temperature == 0.0]
        least = [row.min_new_tokens for row in rows]
        nucleus = [at for at, row in enumerate(rows) if row.temperature > 0.0 and row.top_p < 1.0]
        return cls(
            warmth[0] if same else torch.tensor(warmth, device=device)[:, None],
            torch.tensor(greedy, device=device) if greedy else None,
            torch.tensor(nucleus, device=device) if nucleus else None,
            torch.tensor([rows[at].top_p for at in nucleus], device=device)[:, None] if nucleus else None,
            torch.tensor(least, device=device) if any(least) else None,
        )

    def hold_on(self, logits_AV: Tensor, count_A: Tensor, stops_S: Tensor) -> Tensor:
        """The logits without the stop tokens for rows that have said too few tokens to end."""
        return logits_AV if self.least_A is None else barred(logits_AV, count_A < self.least_A, stops_S)

    def choose(self, logits_AV: Tensor, uniform_A: Tensor) -> tuple[Tensor, Tensor]:
        """A token per row by inverting the cumulative distribution at `uniform_A`, and its log-probability (fp32).

        The log-probability is that of the distribution drawn from: / temperature, renormalised over the nucleus; of a
        greedy row, that under temperature 1.
        """
        logits_AV = logits_AV.float() / self.temperature_A1
        top_A1 = logits_AV.max(-1, keepdim=True).values
        weights_AV = (logits_AV - top_A1).exp_()
        tokens_A, total_A = invert(weights_AV, uniform_A)
        if self.greedy_G is not None:
            tokens_A[self.greedy_G] = logits_AV[self.greedy_G].argmax(-1)
        logprobs_A = logits_AV.gather(-1, tokens_A[:, None])[:, 0] - top_A1[:, 0] - total_A.log().float()
        if self.nucleus_N is not None and self.top_p_N1 is not None:
            probs_NV = weights_AV[self.nucleus_N] / total_A[self.nucleus_N, None].float()
            found = choose_in_nucleus(probs_NV, uniform_A[self.nucleus_N], self.top_p_N1)
            tokens_A[self.nucleus_N], logprobs_A[self.nucleus_N] = found
        return tokens_A, logprobs_A


def choose_in_nucleus(probs_AV: Tensor, uniform_A: Tensor, top_p_A1: Tensor) -> tuple[Tensor, Tensor]:
    """Holtzman et al. 2020: sort by probability, keep tokens until `top_p` is reached, renormalise."""
    top_AK, ids_AK = probs_AV.topk(min(NUCLEUS_FIRST, probs_AV.shape[-1]))
    if top_AK.shape[-1] < probs_AV.shape[-1] and bool((top_AK.sum(-1, keepdim=True) < top_p_A1).any()):
        top_AK, ids_AK = probs_AV.sort(-1, descending=True)
    nucleus_AK = torch.where(top_AK.cumsum(-1) - top_AK < top_p_A1, top_AK, 0.0)
    place_A, total_A = invert(nucleus_AK, uniform_A)
    logprobs_A = nucleus_AK.gather(-1, place_A[:, None])[:, 0].log() - total_A.log().float()
    return ids_AK.gather(-1, place_A[:, None])[:, 0], logprobs_A


def invert(weights_AV: Tensor, uniform_A: Tensor) -> tuple[Tensor, Tensor]:
    """The index where the cumulative sum of each row passes `uniform_A` (0 … 1) of its total, and the total.

    First the block, then the place in it: the long cumulative sum runs over V / BLOCK numbers only. An index of weight 0
    is never returned. Sums are float64 (float32 on mps, which has no other).
    """
    wide = torch.float32 if weights_AV.device.type == "mps" else torch.float64
    missing = -weights_AV.shape[-1] % BLOCK
    blocks_AKB = (F.pad(weights_AV, (0, missing)) if missing else weights_AV).unflatten(-1, (-1, BLOCK))
    upto_AK = blocks_AKB.sum(-1).to(wide).cumsum(-1)
    target_A1 = _below(uniform_A[:, None].to(wide) * upto_AK[:, -1:], upto_AK[:, -1:])
    block_A1 = torch.searchsorted(upto_AK, target_A1, right=True)
    before_A1 = torch.where(block_A1 > 0, upto_AK.gather(-1, (block_A1 - 1).clamp(min=0)), 0.0)
    inside_AB = blocks_AKB.gather(1, block_A1[:, :, None].expand(-1, -1, BLOCK))[:, 0].to(wide).cumsum(-1)
    within_A1 = torch.searchsorted(inside_AB, _below(target_A1 - before_A1, inside_AB[:, -1:]), right=True)
    return (block_A1 * BLOCK + within_A1)[:, 0], upto_AK[:, -1]


def _below(target_A1: Tensor, limit_A1: Tensor) -> Tensor:
    """`target`, or the number just under `limit` where rounding has carried it there."""
    return torch.minimum(target_A1, torch.nextafter(limit_A1, torch.zeros_like(limit_A1)))
