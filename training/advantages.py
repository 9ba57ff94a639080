"""From scores to advantages: shaped rewards, GAE, whitening, adaptive β. Pure functions that import torch only.

Axes: B rows, T answer tokens (right-padded). `mask_BT` is true on real tokens, the end token included; what lies under
a false mask may be anything and never reaches a result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


def last_token(mask_BT: Tensor) -> Tensor:
    """Index of the last real token of each row, shape B. Raises ValueError when a row has none."""
    lengths_B = mask_BT.sum(1)
    if not bool((lengths_B > 0).all()):
        raise ValueError("an answer has no token; even an empty answer has its end token")
    return lengths_B - 1


def shaped_rewards(scores_B: Tensor, kl_BT: Tensor, mask_BT: Tensor, kl_coef: float) -> Tensor:
    """r_t = -β k1_t, plus the score at the last real token (end or truncation token). Ziegler et al. 2019, eq. 2."""
    rewards_BT = torch.where(mask_BT, -kl_coef * kl_BT, 0.0)
    rows_B = torch.arange(len(scores_B), device=scores_B.device)
    return rewards_BT.index_put((rows_B, last_token(mask_BT)), scores_B.to(rewards_BT.dtype), accumulate=True)


def truncated_scores(scores_B: Tensor, truncated_B: Tensor, policy: str, value: float) -> Tensor:
    """Scores after the rule for answers without an end token: `override` sets `value`, `penalty` adds it, the others leave the score."""
    if policy == "override":
        return torch.where(truncated_B, torch.full_like(scores_B, value), scores_B)
    if policy == "penalty":
        return torch.where(truncated_B, scores_B + value, scores_B)
    if policy in ("keep", "mask", "bootstrap"):
        return scores_B
    raise ValueError(f"truncated must be override, penalty, keep, mask or bootstrap, not {policy!r}")


def overlong_penalties(lengths_B: Tensor, limit: int, buffer: int, penalty: float) -> Tensor:
    """What to subtract: nothing up to `limit - buffer` tokens, then in a line to `penalty` at `limit`. Yu et al. 2025, eq. 13."""
    return (lengths_B - (limit - buffer)).clamp(min=0, max=buffer) / max(1, buffer) * penalty


def gae(
    rewards_BT: Tensor,
    values_BT: Tensor,
    mask_BT: Tensor,
    gamma: float = 1.0,
    lam: float = 0.95,
    final_values_B: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Advantages A and returns A + V of right-padded rows, both B×T and 0 under the mask. Schulman et al. 2016, eq. 16.

    δ_t = r_t + γ V_{t+1} - V_t and A_t = δ_t + γλ A_{t+1}; after the last real token A is 0, and V is 0 unless
    `final_values_B` says what an answer that was cut off would still have been worth.
    """
    advantages_BT = torch.zeros_like(values_BT)
    next_value_B = torch.zeros_like(values_BT[:, 0]) if final_values_B is None else final_values_B
    next_advantage_B = torch.zeros_like(next_value_B)
    for t in reversed(range(values_BT.shape[1])):
        delta_B = rewards_BT[:, t] + gamma * next_value_B - values_BT[:, t]
        real_B = mask_BT[:, t]
        next_advantage_B = torch.where(real_B, delta_B + gamma * lam * next_advantage_B, next_advantage_B)
        next_value_B = torch.where(real_B, values_BT[:, t], next_value_B)
        advantages_BT[:, t] = torch.where(real_B, next_advantage_B, 0.0)
    return advantages_BT, torch.where(mask_BT, advantages_BT + values_BT, 0.0)


def whiten(x_BT: Tensor, mask_BT: Tensor, shift_mean: bool = True) -> Tensor:
    """(x - mean) / √(var + 1e-8) over the masked entries; `shift_mean=False` puts the mean back.

    The variance is the biased one (divided by n, as in OpenAI's code; TRL and verl divide by n - 1: a factor of
    √((n-1)/n), which the learning rate absorbs).

    With one entry or with all entries alike there is no scale to divide by: the result is x - mean (+ mean).
    """
    count = mask_BT.sum()
    mean = torch.where(mask_BT, x_BT, 0.0).sum() / count.clamp(min=1)
    centred_BT = torch.where(mask_BT, x_BT - mean, 0.0)
    variance = (centred_BT**2).sum() / count.clamp(min=1)
    tiny = torch.finfo(x_BT.dtype).eps * mean.abs().clamp(min=1.0)
    scale = torch.where(variance.sqrt() > tiny, torch.rsqrt(variance + 1e-8), torch.ones_like(variance))
    return torch.where(mask_BT, centred_BT * scale + (0.0 if shift_mean else mean), 0.0)


class Moments(NamedTuple):
    """Of all numbers seen so far: how many, their mean, and the sum of squared differences from it."""

    seen: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_more(self, x_N: Tensor) -> Moments:
        """These numbers taken in too, in float64. Chan, Golub & LeVeque 1983, eq. 2.1."""
        own, more = x_N.cpu().double(), len(x_N)
        count, gap = self.seen + more, float(own.mean()) - self.mean
        squares = float(((own - own.mean()) ** 2).sum())
        return Moments(
            count, self.mean + gap * more / count, self.squares + squares + gap**2 * self.seen * more / count
        )

    @property
    def deviation(self) -> float:
        """√(squares / seen), the biased one; 1 while all numbers are alike."""
        found = math.sqrt(self.squares / max(1, self.seen))
        return found if found > 1e-7 * max(1.0, abs(self.mean)) else 1.0


def explained_variance(values_N: Tensor, returns_N: Tensor) -> float:
    """1 - Var(R - V) / Var(R): 1 is a perfect critic, 0 no better than a constant; 0 when the returns do not vary or there is none."""
    if not len(returns_N):
        return 0.0
    spread = returns_N.var(correction=0)
    if float(spread) <= 1e-12:
        return 0.0
    return float(1.0 - (returns_N - values_N).var(correction=0) / spread)


def adapted_kl_coef(kl_coef: float, kl: float, target: float, episodes: int, horizon: int) -> float:
    """β (1 + clip(KL/target - 1, ±0.2) · episodes/horizon). Ziegler et al. 2019, §2.2; `kl` and `target` in nats per answer."""
    error = max(-0.2, min(0.2, kl / target - 1.0))
    return kl_coef * max(0.0, 1.0 + error * episodes / horizon)


def best_of_n_kl(n: int) -> float:
    """KL in nats of best-of-n sampling from its policy, log n - (n-1)/n. Stiennon et al. 2020, app. G.3."""
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    return math.log(n) - (n - 1) / n
