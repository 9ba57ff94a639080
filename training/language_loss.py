"""Next-token loss over padded or packed rows, for SFT and pretraining: its gradient, and its mean over held-out rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from training import distributed, sharding
from training.backbone import Backbone
from training.batches import micro_batches
from training.chat import TokenRow
from training.configs import ConfigError
from training.flex import has_kernel
from training.packing import PackedBatch, PackedRow, joined, pack_if_cheaper, pack_rows, packed_batch


def arrange(backbone: Backbone, rows: Sequence[TokenRow], pack: str) -> list[PackedRow]:
    """Rows as they are computed: packed `always`, `never`, or (`auto`) where that is cheaper and the layers take masks."""
    if pack == "always" and not backbone.splits:
        raise ConfigError("pack", f"{type(backbone.model).__name__} cannot take a block mask; use auto or never")
    if pack == "never" or not backbone.splits or not rows:
        return [joined([row]) for row in rows]
    if pack == "always":
        return pack_rows(rows, max(len(row.ids) for row in rows))
    return pack_if_cheaper(rows, backbone.hidden_size, flex=uses_flex(backbone))


def uses_flex(backbone: Backbone) -> bool:
    """Whether packed rows go through FlexAttention: wherever it has a kernel."""
    return has_kernel(backbone.model.config, backbone.device)


def learned_tokens(rows: Sequence[PackedRow]) -> int:
    """Tokens that carry loss."""
    return sum(sum(row.learned) for row in rows)


def batches_of(backbone: Backbone, rows: Sequence[PackedRow], micro_tokens: int) -> Iterator[PackedBatch]:
    """The rows in micro-batches of at most `micro_tokens` padded tokens."""
    for group in micro_batches([len(row.ids) for row in rows], micro_tokens):
        chosen = [rows[at] for at in group]
        yield packed_batch(chosen, backbone.pad_id, backbone.device, flex=uses_flex(backbone))


def shared_batches(
    backbone: Backbone, rows: Sequence[PackedRow], micro_tokens: int
) -> Iterator[tuple[PackedBatch, float]]:
    """This rank's share of the rows in micro-batches, each with its weight (see `sharding.evened`)."""
    own = [rows[at] for at in distributed.share([len(row.ids) for row in rows])]
    return sharding.evened(
        batches_of(backbone, own, micro_tokens),
        lambda: next(batches_of(backbone, rows[:1], micro_tokens)),
        backbone.model,
    )


def loss_sum(backbone: Backbone, batch: PackedBatch) -> Tensor:
    """-Σ log π over the batch's learned tokens."""
    hidden = backbone.run_bottom(batch.ids_BT, batch.mask, batch.positions_BT)
    return -backbone.token_logprobs(backbone.run_top(hidden), batch.ids_BT, batch.learned_BT).logprobs_N.sum()


def accumulate(backbone: Backbone, rows: Sequence[PackedRow], micro_tokens: int) -> float:
    """Add the gradient of the mean loss over all learned tokens of `rows`, whatever the micro-batches and ranks; return that loss."""
    tokens = max(1, learned_tokens(rows))
    loss = torch.zeros((), device=backbone.device)
    for batch, weight in shared_batches(backbone, rows, micro_tokens):
        part = weight * loss_sum(backbone, batch) / tokens
        part.backward()
        loss += part.detach()
    return float(distributed.total(loss))


@torch.no_grad()
def mean_loss(backbone: Backbone, rows: Sequence[PackedRow], micro_tokens: int) -> float | None:
    """Mean loss per learned token; None when there is none."""
    tokens = learned_tokens(rows)
    if not tokens:
        return None
    loss = torch.zeros((), dtype=torch.float64)  # on the CPU: mps has no such numbers
    for batch, weight in shared_batches(backbone, rows, micro_tokens):
        loss += weight * loss_sum(backbone, batch).cpu()
    return float(distributed.total(loss)) / tokens
