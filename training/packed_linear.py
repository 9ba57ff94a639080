"""Linear maps with weights laid out for small batches on a CPU: about twice as fast as torch's own while decoding.

oneDNN keeps the weight in blocks that fit its kernel. The copy costs the memory of the weights and about one decoding
step, so it is made once per `generate`. Where oneDNN is missing, and for other dtypes, torch's own maps are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

FEWEST_FEATURES = 64  # below this the call costs more than it saves


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this build of torch has the kernel for such weights."""
    has_ops = hasattr(torch.ops.mkldnn, "_linear_pointwise") and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return device.type == "cpu" and dtype == torch.float32 and torch.backends.mkldnn.is_available() and has_ops


@contextmanager
def packed_linears(model: nn.Module, rows: int) -> Iterator[None]:
    """Inside the block the model's linear maps compute `rows` rows at a time, or fewer, with packed weights; without gradients."""
    chosen = [part for part in model.modules() if type(part) is nn.Linear and _worth_it(part)]
    try:
        for part in chosen:
            part.__dict__["forward"] = _packed(part, rows)  # found before the method of the class
        yield
    finally:
        for part in chosen:
            part.__dict__.pop("forward", None)


def _worth_it(part: nn.Linear) -> bool:
    return can_pack(part.weight.device, part.weight.dtype) and min(part.weight.shape) >= FEWEST_FEATURES


def _packed(part: nn.Linear, rows: int) -> Callable[[Tensor], Tensor]:
    ops: Any = torch.ops.mkldnn
    weight = ops._reorder_linear_weight(part.weight.detach(), rows)
    bias = None if part.bias is None else part.bias.detach()
    plain = part.forward

    def forward(x: Tensor) -> Tensor:
        if x.shape[:-1].numel() > rows:  # a prefill: the layout is for few rows
            return plain(x)
        y: Tensor = ops._linear_pointwise(x, weight, bias, "none", [], "")
        return y

    return forward
