"""A reward model on disk: an ordinary sequence-classification directory of `transformers` with one label.

Beside it stand `reward.json` (bias, gain, readout, …), `head.safetensors` (the head in fp32) and, when it was a LoRA,
`adapter/`: on a backbone of the same base only the adapter and the head are loaded. An ensemble is written as its first
member (or the mean of its heads) with `members.safetensors` for the rest.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForSequenceClassification

from training import adapters, distributed
from training.backbone import Backbone, load_backbone
from training.configs import AS_COMPUTED
from training.contracts import ContractError, canonical_json, write_atomic
from training.quantization import quantize
from training.reward_ensemble import RewardEnsemble, read_members, set_apart, write_members
from training.reward_scoring import RewardModel as RewardModel
from training.reward_scoring import head_width


def save_reward(reward: RewardModel, folder: Path, *, adapter: str, facts: dict[str, Any]) -> None:
    """Write the directory described above; `facts` go into reward.json. The adapter's weights are merged into the model."""
    backbone = reward.backbone
    config = copy.deepcopy(backbone.model.config)
    config.num_labels = 1
    config.dtype = backbone.dtype
    config.pad_token_id = _pad_for_classification(backbone)
    state = backbone.export_state(adapter)
    if not distributed.is_first():
        return
    prefix = backbone.model.base_model_prefix + "."
    state = {key: value for key, value in state.items() if key.startswith(prefix)}
    of_last = slice(backbone.hidden_size)  # of a wider head, the last token's part
    state["score.weight"] = reward.head.weight.detach()[:, of_last]
    plain = AutoModelForSequenceClassification.from_config(config)
    plain.load_state_dict(state, strict=True)
    plain.to(backbone.dtype).save_pretrained(folder)
    backbone.tokenizer.save_pretrained(folder)
    save_file({"weight": reward.head.weight.detach().float().cpu()}, folder / "head.safetensors")
    if not backbone.full:
        adapters.save_adapter(backbone.model, adapter, folder / "adapter", base=backbone.path)
    if isinstance(reward, RewardEnsemble):
        facts = {**facts, "ensemble": write_members(reward, folder)}
    row = {
        "bias": reward.bias,
        "gain": reward.gain,
        "readout": reward.readout,
        "trunk_layers": backbone.layer_count,
        "base": backbone.fingerprint(),
        "base_precision": backbone.base_precision,
        **facts,
    }
    write_atomic(folder / "reward.json", canonical_json(row) + "\n")


def _pad_for_classification(backbone: Backbone) -> int | None:
    """`transformers` finds the end of a row by looking for padding, so padding must not be a token that ends answers."""
    pad = backbone.tokenizer.pad_token_id
    return None if pad is None or pad == backbone.tokenizer.eos_token_id else int(pad)


def check_classifiable(backbone: Backbone) -> None:
    """Raise ContractError when `transformers` has no sequence-classification form of this architecture to save into."""
    try:
        with torch.device("meta"):
            AutoModelForSequenceClassification.from_config(copy.deepcopy(backbone.model.config))
    except ValueError as problem:
        raise ContractError(f"{type(backbone.model).__name__} cannot become a reward model: {problem}") from problem


def load_reward(
    path: str | Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    backbone: Backbone | None = None,
    micro_tokens: int = 4096,
    base_precision: str = AS_COMPUTED,
) -> RewardModel:
    """Load a reward checkpoint, frozen. On a `backbone` of the same base only its adapter (named "reward") is added.

    `base_precision` is that of a trunk of its own.
    A one-label sequence-classification checkpoint made elsewhere loads too: last token, bias 0, gain 1.
    """
    folder = Path(path)
    facts = _read_facts(folder)
    if backbone is not None and _same_base(folder, facts, backbone):
        reward = _attach(folder, facts, backbone)
    else:
        own = load_backbone(path, device=device, dtype=dtype, head="score")
        reward = RewardModel(own, _read_head(folder, own, facts["readout"]), readout=facts["readout"])
        if base_precision != AS_COMPUTED and (folder / "adapter").is_dir():
            set_apart(folder, reward)  # only the base is rounded
    reward.bias, reward.gain, reward.micro_tokens = facts["bias"], facts["gain"], micro_tokens
    if facts.get("ensemble"):
        reward = read_members(folder, facts["ensemble"], reward)
    if reward.backbone is not backbone:
        quantize(reward.backbone.model, base_precision, device)
        reward.backbone.base_precision = base_precision
    return reward


def _read_facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"bias": 0.0, "gain": 1.0, "readout": "last", "base": ""}
    if (folder / "reward.json").is_file():
        try:
            facts |= json.loads((folder / "reward.json").read_text(encoding="utf-8"))
        except ValueError as problem:
            raise ContractError(f"{folder.name}/reward.json is not JSON: {problem}") from problem
    if not facts["gain"]:
        raise ContractError(f"{folder.name}/reward.json: gain must not be 0")
    return facts


def _read_head(folder: Path, backbone: Backbone, readout: str) -> nn.Linear:
    head = nn.Linear(head_width(backbone.hidden_size, readout), 1, bias=False)
    if (folder / "head.safetensors").is_file():
        weight = load_file(folder / "head.safetensors")["weight"]
    else:
        score = getattr(backbone.model, "score", None)
        if score is None or score.weight.shape[0] != 1:
            raise ContractError(f"{folder.name} is not a reward model: it has no head with one label")
        weight = score.weight.detach()
    if weight.shape != head.weight.shape:
        raise ContractError(
            f"{folder.name}: readout {readout!r} needs a head of {head.in_features} numbers, not {weight.shape[-1]}"
        )
    head.weight.data = weight.float().to(backbone.device)
    return head.requires_grad_(False)


def _same_base(folder: Path, facts: dict[str, Any], backbone: Backbone) -> bool:
    there = backbone.splits and not backbone.full and bool(facts["base"]) and (folder / "adapter").is_dir()
    held = facts.get("base_precision", AS_COMPUTED)  # an adapter made beside a rounded base needs just that base
    return there and facts["base"] == backbone.fingerprint() and held in (AS_COMPUTED, backbone.base_precision)


def _attach(folder: Path, facts: dict[str, Any], backbone: Backbone) -> RewardModel:
    config, weights = adapters.read_adapter(folder / "adapter")
    first, last = min(config.layers_to_transform), max(config.layers_to_transform)
    parameters = backbone.add_adapter("reward", config.r, config.lora_alpha, first, last)
    if set(parameters) != set(weights):
        raise ContractError(f"{folder.name}/adapter does not fit this model")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
            parameter.requires_grad_(False)
    head = _read_head(folder, backbone, facts["readout"])
    return RewardModel(backbone, head, facts["readout"], "reward", first_layer=first, layers=facts["trunk_layers"])
