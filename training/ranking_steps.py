"""One step on a batch of rankings: its loss and gradient, the same whatever the micro-batches and ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from training import distributed, sharding
from training.agreement import accuracy
from training.batches import ScoreBatch, packed_length
from training.configs import RewardConfig
from training.losses import ranking_loss
from training.records import RankingRow
from training.reward_scoring import RewardModel, ranking_batches


def accumulate(model: RewardModel, rows: Sequence[RankingRow], config: RewardConfig) -> dict[str, float | None]:
    """Add the gradient of the batch's loss, divided by the prompts (or pairs) of the whole batch; return the numbers to log."""
    total = {"prompt": len(rows), "pair": sum(row.pairs for row in rows)}[config.weighting]
    loss = torch.zeros((), device=model.backbone.device)
    scores: dict[int, Tensor] = {}
    for group, batch, weight in shared_batches(model, rows, config):
        parts = model.read(batch).split([len(rows[at].completions) for at in group])
        terms = [ranking_term(scores_K, rows[at], config) for scores_K, at in zip(parts, group, strict=True)]
        part = weight * torch.stack(terms).sum() / total
        part.backward()
        loss += part.detach()
        if weight:
            scores.update(zip(group, (scores_K.detach() for scores_K in parts), strict=True))
    flat = torch.cat(distributed.gathered({at: scores_K.cpu() for at, scores_K in scores.items()}))
    ordered = [part.tolist() for part in flat.split([len(row.completions) for row in rows])]
    return {
        "reward/loss": float(distributed.total(loss)),
        "reward/accuracy": accuracy(ordered, rows),
        "reward/score_mean": float(flat.mean()),
        "reward/score_std": float(flat.std(correction=0)),
    }


def shared_batches(
    model: RewardModel, rows: Sequence[RankingRow], config: RewardConfig
) -> Iterator[tuple[list[int], ScoreBatch, float]]:
    """This rank's share of the rankings in micro-batches: their indices, the batch, its weight (see `sharding.evened`)."""

    def batches(chosen: Sequence[int]) -> Iterator[tuple[list[int], ScoreBatch]]:
        own = [rows[at] for at in chosen]
        found = ranking_batches(own, model.backbone, config.micro_tokens, config.pack, config.packed_attention)
        return (([chosen[at] for at in group], batch) for group, batch in found)

    own = batches(distributed.share([packed_length(row) for row in rows]))
    for (group, batch), weight in sharding.evened(own, lambda: next(batches([0])), model.backbone.model):
        yield group, batch, weight


def ranking_term(scores_K: Tensor, row: RankingRow, config: RewardConfig) -> Tensor:
    """One ranking's share of the loss, before division by the number of prompts (or pairs) in the batch.

    The ranking loss with the row's margin and the config's label smoothing, plus centre_penalty · mean(score²).
    """
    ranks_K = torch.tensor(row.ranks, device=scores_K.device)
    loss = ranking_loss(scores_K, ranks_K, margin=row.margin, label_smoothing=config.label_smoothing)
    if config.centre_penalty:
        loss = loss + config.centre_penalty * scores_K.square().mean()
    return loss * (row.pairs if config.weighting == "pair" else 1)
