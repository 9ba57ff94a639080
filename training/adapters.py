"""Named LoRA adapters on one model (Hu et al. 2021), through peft: put in, switch, merge, save, read back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from training.contracts import ContractError

_PEFT_PREFIX = "base_model.model."  # what PeftModel puts before every name, so that it can read our files


def decoder_layers(trunk: nn.Module, count: int) -> tuple[str, nn.ModuleList]:
    """The name and the list of the trunk's `count` transformer layers; raises ContractError when there is none."""
    for name, child in trunk.named_children():
        if isinstance(child, nn.ModuleList) and len(child) == count:
            return name, child
    raise ContractError(f"{type(trunk).__name__} has no list of {count} layers; use a decoder-only transformer")


def add_lora(
    model: PreTrainedModel, name: str, *, layers: nn.ModuleList, pattern: str, rank: int, alpha: float, span: range
) -> dict[str, nn.Parameter]:
    """Put adapter `name` on every linear map of layers `span`; return its parameters by file name. B starts at 0."""
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # peft takes fractions too
        lora_dropout=0.0,
        bias="none",
        target_modules=sorted(_linear_names(layers)),
        layers_to_transform=list(span),
        layers_pattern=pattern,
        fan_in_fan_out=any(type(part).__name__ == "Conv1D" for part in layers.modules()),
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # a second adapter is what we mean
        inject_adapter_in_model(config, model, adapter_name=name)
    return lora_parameters(model, name)


def _linear_names(layers: nn.ModuleList) -> set[str]:
    paths = (
        path.removesuffix(".base_layer")
        for path, part in layers.named_modules()
        if ".lora_" not in path and (isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D")
    )
    return {path.rpartition(".")[2] for path in paths}


def lora_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """Every adapted linear map by its name in the model."""
    return {name: part for name, part in model.named_modules() if isinstance(part, LoraLayer)}


def lora_parameters(model: nn.Module, name: str) -> dict[str, nn.Parameter]:
    """The parameters of one adapter, named as in a peft file."""
    found: dict[str, nn.Parameter] = {}
    for path, layer in lora_layers(model).items():
        if name in layer.lora_A:
            found[f"{path}.lora_A.weight"] = layer.lora_A[name].weight
            found[f"{path}.lora_B.weight"] = layer.lora_B[name].weight
    return found


def activate(model: nn.Module, name: str | None) -> None:
    """Compute with adapter `name`, or with none; which parameters need gradients stays as it was."""
    layers = lora_layers(model).values()
    wanted = {parameter: parameter.requires_grad for layer in layers for parameter in layer.parameters()}
    for layer in layers:
        if name is not None:
            layer.set_adapter(name)
        layer.enable_adapters(name is not None)
    for parameter, needs in wanted.items():
        parameter.requires_grad_(needs)


def merged_weights(model: nn.Module, name: str, bases: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The full weight W + (alpha / rank) B A of every map that adapter `name` sits on, by parameter name; W is untouched.

    `bases` holds W by these names, wherever it is; without it, it is read from the maps.
    """
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for path, layer in lora_layers(model).items():
            if name in layer.lora_A:
                base = layer.get_base_layer().weight if bases is None else bases[f"{path}.weight"]
                found[f"{path}.weight"] = base + layer.get_delta_weight(name).to(base)
    return found


@contextmanager
def merged(model: nn.Module, name: str) -> Iterator[None]:
    """Inside the block the weights carry adapter `name` and no adapter runs (fast sampling); W comes back bit for bit."""
    layers = lora_layers(model)
    changed = {layers[path.removesuffix(".weight")]: weight for path, weight in merged_weights(model, name).items()}
    kept = {layer: layer.get_base_layer().weight.data for layer in changed}
    for layer, weight in changed.items():
        layer.get_base_layer().weight.data = weight
    try:
        yield
    finally:
        for layer, weight in kept.items():
            layer.get_base_layer().weight.data = weight


def take_out(model: nn.Module, name: str) -> None:
    """Subtract (alpha / rank) B A of adapter `name` from the weights it was merged into; exact up to their rounding."""
    with torch.no_grad():
        for layer in lora_layers(model).values():
            if name in layer.lora_A:
                weight = layer.get_base_layer().weight
                weight -= layer.get_delta_weight(name).to(weight.dtype)


def base_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's state without adapters, under the names it had before any was put in."""
    return {key.replace(".base_layer.", "."): value for key, value in model.state_dict().items() if ".lora_" not in key}


def save_adapter(model: nn.Module, name: str, folder: Path, *, base: str = "") -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors` as peft reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    configs: Any = model.peft_config  # set by inject_adapter_in_model
    config = configs[name]
    shown = LoraConfig(**{**config.to_dict(), "base_model_name_or_path": base or None, "inference_mode": True})
    shown.save_pretrained(str(folder))
    weights = {
        _PEFT_PREFIX + key: value.detach().float().cpu().contiguous()
        for key, value in lora_parameters(model, name).items()
    }
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def read_adapter(folder: Path) -> tuple[LoraConfig, dict[str, Tensor]]:
    """The config and weights (named as by `lora_parameters`) of a saved adapter; raises ContractError when unreadable."""
    try:
        config = PeftConfig.from_pretrained(str(folder))
        weights = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError) as problem:
        raise ContractError(f"{folder.name}: not a LoRA adapter ({problem})") from problem
    return config, {key.removeprefix(_PEFT_PREFIX): value for key, value in weights.items()}
