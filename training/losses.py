"""The losses and KL estimators as pure tensor functions. Only torch is imported; every equation names its source.

Axes: B rows of a batch, T answer tokens, K completions of one prompt, N any flat list of tokens. Everything is computed
in the dtype given (the stages pass float32); tests hold float64 numbers worked out by hand.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_LOG_RATIO = 20.0  # exp(20) is 5e8: far outside any clip, and still finite in float32


def ranking_loss(
    scores_K: Tensor, ranks_K: Tensor, margin: float | Tensor = 0.0, label_smoothing: float = 0.0
) -> Tensor:
    """Mean over the non-tied pairs of one prompt of -log σ(r_w - r_l - m). Ouyang et al. 2022, eq. 1; margin: Touvron et al. 2023, eq. 2.

    `ranks_K`: 1 is best; equal ranks are ties and make no pair. `margin` is one number, or a K×K tensor read at [winner, loser].
    `label_smoothing` ε takes that share of the labels as reversed: -(1-ε) log σ(d) - ε log σ(-d). Raises ValueError when no pair is left.
    """
    winner_P, loser_P = ranked_pairs(ranks_K)
    if not len(winner_P):
        raise ValueError("every completion is tied: there is no pair to learn from")
    gap_P = scores_K[winner_P] - scores_K[loser_P]
    gap_P = gap_P - (margin[winner_P, loser_P] if isinstance(margin, Tensor) else margin)
    loss_P = -F.logsigmoid(gap_P)
    if label_smoothing:
        loss_P = (1.0 - label_smoothing) * loss_P - label_smoothing * F.logsigmoid(-gap_P)
    return loss_P.mean()


def ranked_pairs(ranks_K: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (winner_P, loser_P) of all pairs whose rank differs, in row-major order of the winner."""
    winner_P, loser_P = (ranks_K[:, None] < ranks_K[None, :]).nonzero(as_tuple=True)
    return winner_P, loser_P


def kl_k1(logprobs_N: Tensor, reference_N: Tensor) -> Tensor:
    """log π/π_ref per token: unbiased for the KL of the sequence when summed over on-policy tokens. Schulman 2020, k1."""
    return logprobs_N - reference_N


def kl_k2(logprobs_N: Tensor, reference_N: Tensor) -> Tensor:
    """½ (log π/π_ref)²: biased, low variance. Schulman 2020, k2."""
    return 0.5 * (logprobs_N - reference_N) ** 2


def kl_k3(logprobs_N: Tensor, reference_N: Tensor) -> Tensor:
    """exp(-d) - 1 + d with d = log π/π_ref: unbiased and never negative; the exponent is clamped to ±20. Schulman 2020, k3."""
    gap_N = logprobs_N - reference_N
    return (-gap_N).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() - 1.0 + gap_N


def policy_loss(
    logprobs_N: Tensor,
    old_logprobs_N: Tensor,
    advantages_N: Tensor,
    clip: float,
    *,
    clip_high: float = 0.0,
    dual_clip: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Clipped surrogate per token, -min(ρA, clip(ρ, 1-ε, 1+ε)A), and the ratio ρ = π/π_old. Schulman et al. 2017, eq. 7.

    `clip_high` is ε above 1 when it differs (Yu et al. 2025, DAPO). `dual_clip` c bounds the loss where A < 0 at c|A|
    (Ye et al. 2020, eq. 5). 0 leaves either out.
    """
    ratio_N = (logprobs_N - old_logprobs_N).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    clipped_N = ratio_N.clamp(1.0 - clip, 1.0 + (clip_high or clip))
    loss_N = -torch.min(ratio_N * advantages_N, clipped_N * advantages_N)
    if dual_clip:
        loss_N = torch.where(advantages_N < 0, torch.min(loss_N, -dual_clip * advantages_N), loss_N)
    return loss_N, ratio_N


def value_loss(values_N: Tensor, old_values_N: Tensor, returns_N: Tensor, clip: float) -> Tensor:
    """½ max((V-R)², (V_old + clip(V-V_old, ±ε) - R)²) per token; `clip` 0 gives ½(V-R)². Schulman et al. 2016; OpenAI baselines."""
    plain_N = (values_N - returns_N) ** 2
    if clip <= 0.0:
        return 0.5 * plain_N
    near_N = old_values_N + (values_N - old_values_N).clamp(-clip, clip)
    return 0.5 * torch.max(plain_N, (near_N - returns_N) ** 2)
