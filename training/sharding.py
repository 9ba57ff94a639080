"""Weights, gradients and optimiser state spread over the processes, layer by layer (FSDP2: Zhao et al. 2023).

A layer is gathered when it computes and let go afterwards. As every forward and backward pass is then a meeting of all
ranks, each must do as many as the others: `evened` fills up with batches that count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor, nn

from training import distributed
from training.adapters import decoder_layers
from training.configs import ConfigError

if TYPE_CHECKING:
    from training.backbone import Backbone

T = TypeVar("T")


def shard(backbone: Backbone) -> dict[str, nn.Parameter]:
    """Spread the weights of a fully tuned model; return this rank's parts by name. ConfigError where it cannot be done."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if distributed.size() == 1:
        raise ConfigError("shard", "there is one process only; start several with torchrun or training.launch")
    if not backbone.splits:
        raise ConfigError("shard", f"the layers of {type(backbone.model).__name__} cannot be called one by one")
    model: Any = backbone.model
    mesh = init_device_mesh(backbone.device.type, (distributed.size(),))
    _, layers = decoder_layers(model.base_model, backbone.layer_count)
    outer = [model.base_model.embed_tokens, model.base_model.norm, model.get_output_embeddings()]
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard([part for part in outer if part is not None], mesh=mesh, reshard_after_forward=False)
    fully_shard(model, mesh=mesh)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)  # losses are divided by the tokens of all ranks already
            part.set_force_sum_reduction_for_comms(True)
    model._get_fsdp_state()._lazy_init()  # layers are called one by one, never through the model: it is the root all the same
    return dict(model.named_parameters())


def is_spread(tensor: Tensor) -> bool:
    """Whether a tensor lies on several ranks, each with a part."""
    return hasattr(tensor, "device_mesh")


def is_sharded(model: nn.Module) -> bool:
    """Whether `shard` has been at it."""
    return any(is_spread(weight) for weight in model.parameters())


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Inside the block every rank has the whole weights and computes without meeting the others, for sampling."""
    from torch.distributed.fsdp import FSDPModule

    parts = [part for part in model.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
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


def for_files(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the first rank writes: the whole of each tensor, on the CPU. Nothing on the others, which only help to gather."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if distributed.is_first() or is_spread(tensor):
            full = whole(tensor)
            if distributed.is_first():
                found[name] = full
    return found
