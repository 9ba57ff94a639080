"""Weights, gradients and optimiser state spread over the processes, layer by layer (FSDP2: Zhao et al. 2023).

A layer is gathered when it computes and let go afterwards. As every forward and backward pass is then a meeting of all
ranks, each must do as many as the others: `evened` fills up with batches that count for nothing. What is done once in a
while and in other portions on every rank (sampling, scoring) is done with the weights `gathered`. Adapters and heads are
small: every rank has them whole, and their gradients are summed as without sharding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from training import distributed
from training.adapters import decoder_layers
from training.configs import ConfigError

if TYPE_CHECKING:
    from training.backbone import Backbone

T = TypeVar("T")


def shard(backbone: Backbone) -> None:
    """Spread the weights of a model, and of the reference kept beside it, but for adapters. ConfigError where it cannot be done."""
    if distributed.size() == 1:
        raise ConfigError("shard", "there is one process only; start several with torchrun or training.launch")
    if not backbone.splits:
        raise ConfigError("shard", f"the layers of {type(backbone.model).__name__} cannot be called one by one")
    for model in (backbone.reference, backbone.model):
        if model is not None:
            _, layers = decoder_layers(model.base_model, backbone.layer_count)
            _spread(model, layers, backbone.device)


def _spread(model: Any, layers: nn.ModuleList, device: torch.device) -> None:
    """A group of weights for each layer, and one for what lies around them (see `gather_ends`)."""
    from torch.distributed.fsdp import fully_shard

    mesh = distributed.mesh(device.type)
    adapters = {weight for name, weight in model.named_parameters() if ".lora_" in name}
    groups: list[Any] = [fully_shard(part, mesh=mesh, ignored_params=adapters) for part in (*layers, model)]
    for group in groups:
        group.set_gradient_divide_factor(1.0)  # losses are divided by the tokens of all ranks already
        group.set_force_sum_reduction_for_comms(True)
    for at, layer in enumerate(groups[:-1]):
        # FSDP would guess what comes next from all passes so far; where ranks have sampled in other portions, they differ
        layer.set_modules_to_backward_prefetch([groups[max(0, at - 1)]])
    model._get_fsdp_state()._lazy_init()  # layers are called one by one, never through the model: it is the root all the same


def gather_ends(model: nn.Module) -> None:
    """Gather embedding, norm and output layer, if spread: they stay until the next backward pass. All ranks must ask."""
    if unshard := getattr(model, "unshard", None):
        unshard()


def is_spread(tensor: Tensor) -> bool:
    """Whether a tensor lies on several ranks, each with a part."""
    return hasattr(tensor, "device_mesh")


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` has been at it."""
    return any(is_spread(weight) for weight in model.parameters())


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Inside the block every rank has the whole weights and computes without meeting the others, for sampling and scoring."""
    from torch.distributed.fsdp import FSDPModule

    parts = [part for part in model.modules() if isinstance(part, FSDPModule)] if is_sharded(model) else []
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.reshard()  # what is still there from a forward pass may have been changed since
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(True, recurse=False)


def evened(batches: Iterable[T], filler: Callable[[], T], model: nn.Module) -> Iterator[tuple[T, float]]:
    """(batch, weight): one's own with weight 1 and, for a sharded model, some batch with weight 0 until all have as many."""
    if not is_sharded(model):
        yield from ((batch, 1.0) for batch in batches)
        return
    own = list(batches)
    missing = distributed.most(len(own)) - len(own)
    yield from ((batch, 1.0) for batch in own)
    yield from [(own[0] if own else filler(), 0.0)] * missing


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor that may be spread over the ranks (all must ask), on the CPU."""
    full: Tensor = tensor.detach()
    if hasattr(full, "full_tensor"):
        full = full.full_tensor()
    return full.to("cpu", copy=True).contiguous()


def like(full: Tensor, pattern: Tensor) -> Tensor:
    """`full` spread as `pattern` is."""
    if not is_spread(pattern):
        return full
    from torch.distributed.tensor import distribute_tensor

    spread: Any = pattern
    return distribute_tensor(full.to(spread.device.type), spread.device_mesh, spread.placements, src_data_rank=None)


def dot(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Σ of the products of all numbers of each pair, both of it whole or both spread alike (all ranks must ask)."""
    own: list[Tensor] = []
    shared: list[Tensor] = []
    for pair in pairs:
        one, other = (x.to_local() if hasattr(x, "to_local") else x for x in pair)
        (shared if is_spread(pair[0]) else own).append((one * other).sum())
    found = float(torch.stack(own).sum()) if own else 0.0
    return found + (float(distributed.total(torch.stack(shared).sum())) if shared else 0.0)


def for_files(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the first rank writes: the whole of each tensor, on the CPU. Nothing on the others, which only help to gather."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if distributed.is_first() or is_spread(tensor):
            full = whole(tensor)
            if distributed.is_first():
                found[name] = full
    return found
