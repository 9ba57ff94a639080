"""AdamW and its learning rate as a function of the step, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from training import distributed, sharding
from training.configs import TrainConfig

BETAS = (0.9, 0.95)  # Ouyang et al. 2022, appendix C


def build_optimizer(
    weights: Mapping[str, nn.Parameter],
    config: TrainConfig,
    *,
    head: Mapping[str, nn.Parameter] | None = None,
    head_rate: float = 0.0,
) -> torch.optim.AdamW:
    """AdamW over the trained weights; a scalar head may have its own learning rate. Vectors (norms, biases) do not decay."""
    matrices = [weight for weight in weights.values() if weight.dim() > 1]
    vectors = [weight for weight in weights.values() if weight.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "peak": config.learning_rate, "weight_decay": config.weight_decay},
        {"params": vectors, "peak": config.learning_rate, "weight_decay": 0.0},
        {"params": list((head or {}).values()), "peak": head_rate, "weight_decay": config.weight_decay},
    ]
    groups = [{**group, "lr": group["peak"]} for group in groups if group["params"]]
    fused = all(weight.device.type == "cuda" for weight in weights.values())
    return torch.optim.AdamW(groups, betas=BETAS, eps=1e-8, fused=fused)


def learning_rate_factor(step: int, total: int, config: TrainConfig) -> float:
    """Share of the peak at `step` (1 … total): a tenth to the peak over the warm-up, then constant or cosine to a tenth."""
    if step <= config.warmup_steps:
        return 0.1 + 0.9 * (step - 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    done = (step - 1 - config.warmup_steps) / max(1, total - 1 - config.warmup_steps)
    return 0.1 + 0.45 * (1.0 + math.cos(math.pi * min(1.0, done)))


def optimizer_step(optimizer: torch.optim.Optimizer, step: int, total: int, config: TrainConfig) -> tuple[float, float]:
    """Clip each parameter group's gradients together, step, clear; return (learning rate of the first group, gradient norm)."""
    factor = learning_rate_factor(step, total, config)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = clip_gradients(weights, config.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(optimizer.param_groups[0]["lr"]), norm


def clip_gradients(weights: Sequence[nn.Parameter], max_norm: float) -> float:
    """Sum the gradients over the ranks, then clip them; return the norm before."""
    distributed.sum_gradients(weights)
    return clip(weights, max_norm)


def clip(weights: Sequence[nn.Parameter], max_norm: float) -> float:
    """Scale gradients that are those of all ranks already together to a norm of at most `max_norm`; return the norm before."""
    kinds = [[one for one in weights if sharding.is_spread(one) is spread] for spread in (False, True)]
    if not kinds[1]:
        return float(nn.utils.clip_grad_norm_(weights, max_norm))
    norms = [nn.utils.get_total_norm([one.grad for one in kind if one.grad is not None]) for kind in kinds]
    norm = torch.stack([sharding.whole(part) for part in norms]).norm()
    for kind in kinds:
        nn.utils.clip_grads_with_norm_(kind, max_norm, norm.to(kind[0].device) if kind else norm)
    return float(norm)


@lru_cache(maxsize=4)
def epoch_order(count: int, *, seed: int, epoch: int) -> tuple[int, ...]:
    """The order of one pass over `count` rows: a function of seed and epoch alone."""
    order = list(range(count))
    random.Random(f"{seed}:{epoch}").shuffle(order)
    return tuple(order)


def batch_at(step: int, count: int, batch_size: int, *, seed: int) -> tuple[int, ...]:
    """The rows of step 1, 2, …: epochs in turn, the last batch of an epoch may be smaller."""
    per_epoch = math.ceil(count / batch_size)
    epoch, batch = divmod(step - 1, per_epoch)
    return epoch_order(count, seed=seed, epoch=epoch)[batch * batch_size : (batch + 1) * batch_size]
