"""A second device that needs no hardware: tensors on it compute on the CPU, but must not meet tensors of the CPU.

Inside `pretended()` the device `DEVICE` behaves as a GPU does: `.to(DEVICE)` and `device=DEVICE` put tensors there, results
stay there, and an operation on tensors of both places raises (numbers and CPU tensors without axes may go along, as on
CUDA). So a tensor left on the CPU by mistake is found on a machine without a GPU. Kernels of a GPU are not tried.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from transformers import AutoModelForSequenceClassification, PreTrainedModel

import training

DEVICE = torch.device("meta")  # a name that torch knows on every machine
PLAIN = ("aten::_local_scalar_dense", "aten::equal")  # their results are no tensors
OURS = Path(training.__file__).parent


class Elsewhere(Tensor):
    """A tensor on `DEVICE`; `here` holds its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Elsewhere:
        shape = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        made: Elsewhere = Tensor._make_wrapper_subclass(cls, here.size(), device=DEVICE, **shape)
        made.here = here
        return made

    def tolist(self) -> Any:
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The result of an operation; raises RuntimeError when its tensors lie in both places."""
    name, given = func._schema.name, [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = any(isinstance(x, Elsewhere) for x in given)
    asked = kwargs.get("device")
    moves = name in ("aten::_to_copy", "aten::copy_")
    if there and not moves and not name.startswith("aten::index") and any(_stays(x) for x in given):
        raise RuntimeError(f"{name}: tensors of the CPU and of the other device")
    if name.startswith("aten::index") and there:
        values = [args[0], *args[2:3]] if "put" in name else args[:1]  # indices may come from the CPU
        if any(isinstance(x, Tensor) and _stays(x) for x in values) or not isinstance(args[0], Elsewhere):
            raise RuntimeError(f"{name}: tensors of the CPU and of the other device")
    args, kwargs = tree_map(lambda x: x.here if isinstance(x, Elsewhere) else x, (args, kwargs))
    goes = there if asked is None else torch.device(asked) == DEVICE
    found = func(*args, **kwargs | ({"device": "cpu"} if asked is not None else {}))
    if name in PLAIN or not goes:
        return found
    return tree_map(lambda x: Elsewhere(x) if isinstance(x, Tensor) else x, found)


def _stays(x: Tensor) -> bool:
    return not isinstance(x, Elsewhere) and x.dim() > 0


class _Operations(TorchDispatchMode):
    """Every operation, also those that make tensors; `wide` collects the files of ours that make float64 ones there."""

    def __init__(self, wide: set[str]) -> None:
        super().__init__()
        self.wide = wide

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = computed(func, args, kwargs or {})
        if any(isinstance(x, Elsewhere) and x.dtype == torch.float64 for x in tree_leaves(found)):
            self.wide.add(_own_file())
        for at, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write and at < len(args):
                return args[at]  # what is written into stays the same object
        return found


def _own_file() -> str:
    frame: Any = sys._getframe()
    while frame and Path(frame.f_code.co_filename).parent != OURS:
        frame = frame.f_back
    return Path(frame.f_code.co_filename).name if frame else ""


class _Doors(TorchFunctionMode):
    """Where torch makes or replaces tensors without asking the operations: torch.tensor, lists as indices, `.data =`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") is not None:
            return torch.tensor(*args, **kwargs | {"device": "cpu"}).to(kwargs["device"])
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], Elsewhere):
            where = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(torch.tensor(x) if isinstance(x, list) else x for x in where), *args[2:])
        if func == Tensor.data.__set__ and isinstance(args[1], Elsewhere):
            own, new = args
            if isinstance(own, Elsewhere):
                own.here = new.here
            else:
                torch.utils.swap_tensors(own, nn.Parameter(new.detach(), requires_grad=own.requires_grad))
            return None
        return func(*args, **kwargs)


@contextmanager
def pretended() -> Iterator[set[str]]:
    """Inside the block the other device is there; yields the set of our files that have made float64 tensors on it."""
    wide: set[str] = set()
    load, move = PreTrainedModel.from_pretrained.__func__, PreTrainedModel.to  # type: ignore[attr-defined]
    shape = AutoModelForSequenceClassification.from_config.__func__

    def outside(make: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            with _disable_current_modes():  # transformers itself uses the name of the device
                return make(*args, **kwargs)

        return classmethod(call)

    def to(model: PreTrainedModel, *args: Any, **kwargs: Any) -> PreTrainedModel:
        moved = move(model, *args, **kwargs)
        moved.tie_weights()  # each of two tied parameters has become one of its own
        return moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreTrainedModel, "from_pretrained", outside(load))
        patch.setattr(AutoModelForSequenceClassification, "from_config", outside(shape))
        patch.setattr(PreTrainedModel, "to", to)
        with _Doors(), _Operations(wide):
            yield wide
