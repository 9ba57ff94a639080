"""One step on a batch of rankings: its loss and gradient, the same whatever the micro-batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.agreement import accuracy
from training.configs import RewardConfig
from training.losses import ranking_loss
from training.records import RankingRow
from training.reward_scoring import RewardModel, ranking_batches


def accumulate(model: RewardModel, rows: Sequence[RankingRow], config: RewardConfig) -> dict[str, float | None]:
    """Add the gradient of the batch's loss, divided by the prompts (or pairs) of the whole batch; return the numbers to log."""
    total = {"prompt": len(rows), "pair": sum(row.pairs for row in rows)}[config.weighting]
    loss = torch.zeros((), device=model.backbone.device)
    scores: dict[int, Tensor] = {}
    for group, batch in ranking_batches(
        rows, model.backbone, config.micro_tokens, config.pack, config.packed_attention
    ):
        parts = model.read(batch).split([len(rows[at].completions) for at in group])
        terms = [ranking_term(scores_K, rows[at], config) for scores_K, at in zip(parts, group, strict=True)]
        part = torch.stack(terms).sum() / total
        part.backward()
        loss += part.detach()
        scores.update(zip(group, (scores_K.detach() for scores_K in parts), strict=True))
    flat = torch.cat([scores[at] for at in range(len(rows))]).cpu()
    ordered = [part.tolist() for part in flat.split([len(row.completions) for row in rows])]
    return {
        "reward/loss": float(loss),
        "reward/accuracy": accuracy(ordered, rows),
        "reward/score_mean": float(flat.mean()),
        "reward/score_std": float(flat.std(correction=0)),
    }


def ranking_term(scores_K: Tensor, row: RankingRow, config: RewardConfig) -> Tensor:
    """One ranking's share of the loss, before division by the number of prompts (or pairs) in the batch.

    The ranking loss with the row's margin and the config's label smoothing, plus centre_penalty · mean(score²).
    """
    ranks_K = torch.tensor(row.ranks, device=scores_K.device)
    loss = ranking_loss(scores_K, ranks_K, margin=row.margin, label_smoothing=config.label_smoothing)
    if config.centre_penalty:
        loss = loss + config.centre_penalty * scores_K.square().mean()
    return loss * (row.pairs if config.weighting == "pair" else 1)
