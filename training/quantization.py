"""A frozen base in 8 or 4 bits: weights are kept as codes and become numbers of the compute precision when a map computes.

Only weights are rounded, never states: a row's result does not depend on the rows beside it, and gradients of adapters
are those of the base as it is held. int8 has one scale per output row (Dettmers et al. 2022, §2.1); nf4 has 16 levels and
one scale per 64 weights (Dettmers et al. 2023, §3, without double quantisation). The codes are those of bitsandbytes.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from training.adapters import decoder_layers
from training.configs import AS_COMPUTED, Config, ConfigError

BLOCK = 64  # weights that share a scale in nf4


def library() -> Any:
    """bitsandbytes.functional; raises ConfigError where it is missing or does not load."""
    try:
        return importlib.import_module("bitsandbytes.functional")
    except (ImportError, OSError, RuntimeError) as problem:
        raise ConfigError(
            "base_precision",
            f"needs bitsandbytes: install it (pip install 'loop-rlhf[quantized]') or use '{AS_COMPUTED}' ({problem})",
        ) from problem


def check_base_precision(config: Config, device: torch.device) -> str:
    """The base precision the config asks for, "" for that of computing or in stages without one.

    Raises ConfigError where it cannot be had: without the package, or on a device that is not served.
    """
    asked = getattr(config, "base_precision", AS_COMPUTED)
    if asked == AS_COMPUTED:
        return ""
    if device.type not in ("cpu", "cuda"):
        raise ConfigError("base_precision", f"{asked} works on cuda and cpu, not on {device.type}: use '{AS_COMPUTED}'")
    library()
    return str(asked)


class QuantizedLinear(nn.Linear):
    """y = x Wᵀ + b, W as codes; `weight` [out, in] makes it anew each time. Its state dict is that of the plain map."""

    def __init__(self, plain: nn.Linear, base_precision: str, device: torch.device) -> None:
        nn.Module.__init__(self)  # that of Linear would make a weight
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.base_precision, self.dtype = base_precision, plain.weight.dtype
        weight = plain.weight.detach().to(device).contiguous()
        if base_precision == "int8":
            codes, scales, _ = library().int8_vectorwise_quant(weight.half())
        else:
            codes, state = library().quantize_4bit(weight, blocksize=BLOCK, quant_type="nf4")
            scales = state.absmax
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)
        bias = None if plain.bias is None else nn.Parameter(plain.bias.detach().to(device), requires_grad=False)
        self.register_parameter("bias", bias)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]  # a parameter in Linear
        """W [out, in] in the compute precision, a new tensor: writing into it changes nothing."""
        if self.base_precision == "int8":
            exact: Tensor = library().int8_vectorwise_dequant(self.codes, self.scales)
            return exact.to(self.dtype)
        shape = torch.Size((self.out_features, self.in_features))
        state = library().QuantState(self.scales, shape=shape, blocksize=BLOCK, quant_type="nf4", dtype=self.dtype)
        weight: Tensor = library().dequantize_4bit(self.codes, state)
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """[…, in] to […, out]; gradients reach x only, and no full weight is kept for them."""
        y: Tensor = _FrozenLinear.apply(x, self)  # type: ignore[no-untyped-call]
        return y

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.weight
        if self.bias is not None:
            destination[f"{prefix}bias"] = self.bias if keep_vars else self.bias.detach()


class _FrozenLinear(torch.autograd.Function):
    """F.linear that makes the weight once more for the backward pass instead of keeping it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: QuantizedLinear) -> Tensor:
        ctx.layer = layer
        return F.linear(x, layer.weight, layer.bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient @ ctx.layer.weight, None


def quantize(model: PreTrainedModel, base_precision: str, device: torch.device) -> None:
    """Replace every linear map of the transformer layers by its codes on `device`, one after the other.

    Embeddings, norms, the output layer and adapters stay. "as computed" does nothing. Raises ConfigError where linear
    maps are not most of the layers' weights: it would save little.
    """
    if base_precision == AS_COMPUTED:
        return
    _, layers = decoder_layers(model.base_model, model.config.num_hidden_layers)
    found = [name for name, part in layers.named_modules() if type(part) is nn.Linear and ".lora_" not in name]
    inside = sum(layers.get_parameter(f"{name}.weight").numel() for name in found)
    if 2 * inside < sum(weight.numel() for name, weight in layers.named_parameters() if ".lora_" not in name):
        raise ConfigError(
            "base_precision", f"most weights of {type(model).__name__} are not in linear maps: use '{AS_COMPUTED}'"
        )
    for name in found:
        parent, _, own = name.rpartition(".")
        plain: Any = layers.get_submodule(name)
        setattr(layers.get_submodule(parent), own, QuantizedLinear(plain, base_precision, device))
