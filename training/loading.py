"""Where to compute, and loading a model and its tokenizer from a directory or the hub."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from training.adapters import decoder_layers
from training.configs import AS_COMPUTED, Config, ConfigError
from training.contracts import ContractError
from training.quantization import quantize


def choose_device(config: Config) -> tuple[torch.device, torch.dtype]:
    """Where and in which precision to compute: cuda, then mps, then cpu; bf16 on CUDA, else fp32. ConfigError if absent."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = config.device
    if name == "auto":
        name = next(candidate for candidate, there in present.items() if there)
    if not present[name]:
        raise ConfigError("device", f"this machine has no {name}; use auto or cpu")
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if name == "cuda" else "fp32"
    return torch.device(name), {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def load_model(
    path: str | Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    layers: int = 0,
    head: str = "language",
    base_precision: str = AS_COMPUTED,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model, frozen and without dropout; keep its first `layers` (0 = all).

    `base_precision` int8 or nf4 rounds the maps of its layers before they reach the device (see quantization.py).
    `head` "score" loads a sequence-classification checkpoint instead. Only safetensors are read and no code of the
    checkpoint runs. Raises ContractError with the reason when it cannot be loaded.
    """
    loader = AutoModelForCausalLM if head == "language" else AutoModelForSequenceClassification
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path), trust_remote_code=False)
        model = loader.from_pretrained(
            str(path), dtype=dtype, trust_remote_code=False, use_safetensors=True, attn_implementation="sdpa"
        )
    except (OSError, ValueError, KeyError, ImportError) as problem:
        raise ContractError(f"cannot load a model from {Path(path).name}: {problem}") from problem
    model = model.eval().requires_grad_(False)
    if layers:
        _truncate(model, layers)
    quantize(model, base_precision, device)
    return model.to(device), tokenizer


def _truncate(model: PreTrainedModel, count: int) -> None:
    config = model.config
    if count > config.num_hidden_layers:
        raise ConfigError("trunk_layers", f"the model has {config.num_hidden_layers} layers, not {count}")
    name, layers = decoder_layers(model.base_model, config.num_hidden_layers)
    setattr(model.base_model, name, layers[:count])
    config.num_hidden_layers = count
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:count]
