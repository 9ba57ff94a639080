"""A batch on its way through the layers, its attention mask and positions: who sees whom. Imports torch only. B rows, T positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

Mask = Tensor | BlockMask


@dataclass(frozen=True)
class Hidden:
    """A batch after its first `layer` layers. `states_BTD` is None at layer 0: `run_top` embeds the ids itself."""

    ids_BT: Tensor
    states_BTD: Tensor | None
    layer: int
    positions_BT: Tensor
    mask: Mask | None  # None = causal; else bool, broadcastable to [B, 1, T, T], true = may attend; or blocks of it


def attention_of(ids_BT: Tensor, mask: Mask | None, positions: Tensor | None) -> tuple[Mask | None, Tensor]:
    """The mask the layers need (None = plain causal, enough for right-padded rows) and position ids.

    `mask` [B, T] marks real tokens, padded on any side; a 4-D mask, dense or in blocks, is taken as it is. Positions count real tokens.
    """
    length = ids_BT.shape[1]
    if isinstance(mask, Tensor) and mask.dim() == 2:
        real_BT = mask.bool()
        if positions is None:
            positions = (real_BT.long().cumsum(1) - 1).clamp(min=0)
        if bool(real_BT[:, 0].all()) and bool((real_BT[:, 1:] <= real_BT[:, :-1]).all()):
            mask = None
        else:
            causal = torch.ones(length, length, dtype=torch.bool, device=ids_BT.device).tril()
            itself = torch.eye(length, dtype=torch.bool, device=ids_BT.device)
            mask = (causal & real_BT[:, None, None, :]) | itself
    if positions is None:
        positions = torch.arange(length, device=ids_BT.device)[None, :]
    return mask, positions
