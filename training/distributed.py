"""Several processes at one run: who this one is, its share of a batch, and sums over all of them. One process: nothing happens.

    torchrun --nproc-per-node 4 -m training.sft RUN_DIR        (or training.launch, which also passes exit codes on)

Every process (rank) has the whole model and computes its share of a step's rows. Losses are divided by the tokens (or
prompts) of the *whole* step, so gradients are summed over the ranks, not averaged, and are those of one process. That is
why there is no `DistributedDataParallel` here: its averaging would have to be undone, and it wants each backward pass to
follow one forward pass of the module it wraps, whereas a step here is any number of micro-batches through parts of a
model. `sharding.py` spreads the weights themselves (FSDP2). Only the first rank writes files.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

T = TypeVar("T")
BUCKET = 1 << 24  # numbers summed over the ranks at a time
_meshes: dict[str, Any] = {}  # by kind of device


def rank() -> int:
    """This process's number, 0 … size() - 1."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """Processes at this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this is the process that writes."""
    return rank() == 0


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes torchrun has started with this one, if it has; on CUDA each takes the GPU of its local rank."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("cuda:nccl,cpu:gloo" if torch.cuda.is_available() else "gloo")
    yield
    dist.destroy_process_group()  # not after an exception: the others are not there to take leave of
    for known in _meshes.values():
        getattr(
            known, "_pg_registry", {}
        ).clear()  # torch's caches keep meshes, and so the group's threads, past the end
    _meshes.clear()
    gc.collect()


def mesh(device_type: str) -> Any:
    """All ranks in a row, for tensors that are spread over them."""
    from torch.distributed.device_mesh import init_device_mesh

    if device_type not in _meshes:
        _meshes[device_type] = init_device_mesh(device_type, (size(),))
    return _meshes[device_type]


# ---------------------------------------------------------------- shares


def share(costs: Sequence[float]) -> list[int]:
    """The indices of this rank's items, in order: dealt by falling cost to whoever has least, the same on every rank."""
    if size() == 1:
        return list(range(len(costs)))
    loads = [(0.0, number) for number in range(size())]
    own: list[int] = []
    for at in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        load, lightest = min(loads)
        loads[lightest] = (load + costs[at], lightest)
        if lightest == rank():
            own.append(at)
    return sorted(own)


def of_all(own: T) -> list[T]:
    """What every rank has, in the order of the ranks, on every rank."""
    parts: list[Any] = [own] * size()
    if size() > 1:
        dist.all_gather_object(parts, own)
    return parts


def gathered(own: dict[int, T]) -> list[T]:
    """All ranks' items by index 0 … n - 1, as a list, on every rank."""
    whole = {at: item for part in of_all(own) for at, item in part.items()}
    return [whole[at] for at in sorted(whole)]


def in_shares(items: Sequence[Any], costs: Sequence[float], work: Callable[[list[Any]], Sequence[T]]) -> list[T]:
    """`work` done by every rank on its share of the items; the results of all, in the order of the items."""
    own = share(costs)
    done = work([items[at] for at in own]) if own else []
    return gathered(dict(zip(own, done, strict=True)))


# ---------------------------------------------------------------- sums


def total(x: Tensor) -> Tensor:
    """The sum over all ranks of a tensor of the same shape on each."""
    if size() > 1:
        x = x.clone()
        dist.all_reduce(x)
    return x


def highest(x: Tensor) -> Tensor:
    """The largest over all ranks of each number of a tensor of the same shape on each."""
    if size() > 1:
        x = x.clone()
        dist.all_reduce(x, dist.ReduceOp.MAX)
    return x


def sum_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over the ranks; a rank that had no rows counts as zeros. Sharded ones are summed already."""
    if size() == 1:
        return
    bucket: list[nn.Parameter] = []
    for weight in weights:
        if not weight.requires_grad or hasattr(weight, "device_mesh"):
            continue
        bucket.append(weight)
        if sum(one.numel() for one in bucket) >= BUCKET:
            _sum_bucket(bucket)
            bucket = []
    if bucket:
        _sum_bucket(bucket)


def _sum_bucket(weights: Sequence[nn.Parameter]) -> None:
    flat = torch.cat(
        [(torch.zeros_like(one) if one.grad is None else one.grad).flatten().to(torch.float32) for one in weights]
    )
    dist.all_reduce(flat)
    for weight, part in zip(weights, flat.split([one.numel() for one in weights]), strict=True):
        weight.grad = part.view_as(weight).to(weight.dtype)


def same_everywhere(tensors: Iterable[Tensor]) -> None:
    """Give every rank the first one's values."""
    if size() > 1:
        with torch.no_grad():
            for tensor in tensors:
                if not hasattr(tensor, "device_mesh"):
                    dist.broadcast(tensor.data, 0)


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on one rank at least."""
    return bool(_agreed(float(flag))) if size() > 1 else flag


def most(number: int) -> int:
    """The largest of the ranks' numbers."""
    return int(_agreed(float(number))) if size() > 1 else number


def _agreed(number: float) -> float:
    told = torch.tensor(number, dtype=torch.float64)
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return float(told)


@contextmanager
def first_before_others() -> Iterator[None]:
    """The first rank does the block while the others wait; then they do it and find its files."""
    if not is_first():
        wait()
    yield
    if is_first():
        wait()


def wait() -> None:
    """Until every rank is here."""
    if size() > 1:
        any_rank(False)
