"""FlexAttention for packed rows: blocks of the mask in which nobody sees anybody are skipped (Dong et al. 2024).

A dense mask makes attention pay for every pair of tokens, also for those of two completions that never meet. The
layers of `transformers` look up their attention by name; inside `attending` that name stands for `packed_attention`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from transformers import AttentionInterface, PretrainedConfig

NAME = "packed_flex"
BLOCK = 128  # rows are padded to whole blocks, so that few lengths are compiled for
NARROWEST_HEAD = 16  # below, FlexAttention has no kernel


def has_kernel(config: PretrainedConfig, device: torch.device) -> bool:
    """Whether FlexAttention can be compiled for this model: on CUDA, with heads that are wide enough."""
    settings: Any = config
    width = getattr(config, "head_dim", None) or settings.hidden_size // settings.num_attention_heads
    return device.type == "cuda" and width >= NARROWEST_HEAD


def flex_mask(segment_BT: Tensor) -> BlockMask:
    """The mask of `batches.block_mask` as blocks of 128 × 128; `segment_BT` on the device that computes."""

    def sees(row: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        own, other = segment_BT[row, query], segment_BT[row, key]
        return ((query >= key) & ((own == other) | (other == 0)) & (other >= 0)) | (query == key)

    rows, length = segment_BT.shape
    return create_block_mask(sees, rows, None, length, length, device=str(segment_BT.device), BLOCK_SIZE=BLOCK)


@contextmanager
def attending(config: PretrainedConfig, mask: Tensor | BlockMask | None) -> Iterator[None]:
    """Inside the block the layers of this config's model take `mask`; nothing changes unless it is a BlockMask."""
    if not isinstance(mask, BlockMask):
        yield
        return
    settings: Any = config
    before = settings._attn_implementation
    settings._attn_implementation = NAME
    try:
        yield
    finally:
        settings._attn_implementation = before


def packed_attention(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: BlockMask,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer, [B, heads, T, width] in, [B, T, heads, width] out; fewer key than query heads are shared."""
    query, key = query.to(value.dtype), key.to(value.dtype)  # autocast leaves the rotated ones in fp32
    shared = query.shape[1] != key.shape[1]
    out = _kernel(query.device.type)(query, key, value, block_mask=attention_mask, scale=scaling, enable_gqa=shared)
    return out.transpose(1, 2).contiguous(), None


@cache
def _kernel(device: str) -> Callable[..., Tensor]:
    """Compiled on CUDA; elsewhere torch's plain form of the same sum, which is slow and there to be compared with."""
    kernel: Any = flex_attention
    return torch.compile(kernel) if device == "cuda" else kernel  # type: ignore[no-any-return]


AttentionInterface.register(NAME, packed_attention)
