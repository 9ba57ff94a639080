"""PPO-ptx (Ouyang et al. 2022, eq. 2): the language-model loss beside PPO's. Two backward passes, one optimiser step.

Documents count with all their tokens, demonstrations with their answers'. The loss is a mean over its own tokens, times γ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training import distributed, sharding
from training.backbone import Backbone
from training.chat import TokenRow, end_id
from training.configs import PpoConfig
from training.contracts import DemonstrationRecord, DocumentRecord
from training.language_loss import accumulate, arrange, mean_loss
from training.optimization import batch_at
from training.packing import joined
from training.records import demonstration_rows, document_tokens


@dataclass(frozen=True)
class PretrainingMix:
    """Rows to learn from, and those held out (their split is `valid`) to see whether the language is kept."""

    train: list[TokenRow]
    valid: list[TokenRow]


def build_mix(
    documents: Sequence[DocumentRecord],
    demonstrations: Sequence[DemonstrationRecord],
    backbone: Backbone,
    config: PpoConfig,
) -> PretrainingMix | None:
    """The rows of both kinds; None without any. Raises ContractError for a demonstration longer than `ptx_tokens`."""
    parts: dict[str, list[TokenRow]] = {}
    for split in ("train", "valid"):
        texts = [record for record in documents if record.split == split]
        answers = [record for record in demonstrations if record.split == split]
        rows = [
            TokenRow(ids[start : start + config.ptx_tokens], [True] * len(ids[start : start + config.ptx_tokens]))
            for ids in document_tokens(texts, backbone.tokenizer, end_id(backbone.tokenizer))
            for start in range(0, len(ids), config.ptx_tokens)
        ]
        parts[split] = [row for row in rows if len(row.ids) > 1]  # one token alone predicts nothing
        parts[split] += demonstration_rows(answers, backbone.tokenizer, config.ptx_tokens)
    return PretrainingMix(parts["train"], parts["valid"]) if parts["train"] else None


def mix_gradient(
    backbone: Backbone,
    weights: Mapping[str, nn.Parameter],
    mix: PretrainingMix,
    config: PpoConfig,
    *,
    step: int,
    seed: int,
) -> dict[str, float]:
    """Add γ times the gradient of the mean loss on the rows of `step`; return that loss, both norms and their cosine."""
    before = {name: weight.grad for name, weight in weights.items()}
    for weight in weights.values():
        weight.grad = None
    chosen = [mix.train[at] for at in batch_at(step, len(mix.train), config.ptx_rows, seed=seed)]
    loss = accumulate(backbone, arrange(backbone, chosen, "auto"), config.micro_tokens)
    distributed.sum_gradients(weights.values())
    own = {name: _scaled(weight, config.ptx_coef) for name, weight in weights.items()}
    both = [(own[name], other) for name, other in before.items() if other is not None]
    ptx_norm = math.sqrt(sharding.dot((grad, grad) for grad in own.values()))
    ppo_norm = math.sqrt(sharding.dot((other, other) for _, other in both))
    product = sharding.dot(both)
    for grad, other in both:
        grad.add_(other)
    for name, grad in own.items():
        weights[name].grad = grad
    cosine = product / (ppo_norm * ptx_norm) if ppo_norm * ptx_norm > 0.0 else 0.0
    return {"ptx_loss": loss, "ptx_norm": ptx_norm, "ppo_norm": ppo_norm, "ptx_cosine": cosine}


def _scaled(weight: nn.Parameter, factor: float) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad.mul_(factor)


def held_out_loss(backbone: Backbone, mix: PretrainingMix, micro_tokens: int) -> float | None:
    """Mean loss per token on the held-out rows; None without any."""
    return mean_loss(backbone, [joined([row]) for row in mix.valid], micro_tokens)
