"""A reward model: the first layers of a language model, an adapter, and a scalar head in fp32.

`score` is the one place where the bias and gain are applied. Saved, it is an ordinary sequence-classification directory
of `transformers` (one label) with `reward.json` (bias, gain, readout, …), `head.safetensors` (the head in fp32) and,
when it was a LoRA, `adapter/`: on a backbone of the same base only the adapter and the head are loaded.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from training import adapters
from training.backbone import Backbone, Hidden, load_backbone
from training.batches import ScoreBatch, completion_rows, micro_batches, packed_length, packed_rows, packing_pays
from training.configs import ConfigError
from training.contracts import ContractError, canonical_json, write_atomic
from training.records import RankingRow


def new_head(hidden_size: int, device: torch.device) -> nn.Linear:
    """A scalar head with weights from N(0, variance 1 / (D + 1)) (Stiennon et al. 2020, appendix B.1), fp32."""
    head = nn.Linear(hidden_size, 1, bias=False)
    nn.init.normal_(head.weight, std=1.0 / math.sqrt(hidden_size + 1))
    return head.to(device)


@dataclass(eq=False)
class RewardModel:
    """Scores completions. `adapter` None: the backbone's own weights are the reward model's."""

    backbone: Backbone
    head: nn.Linear
    readout: str = "last"  # the last real token, or the mean over the completion
    adapter: str | None = None
    first_layer: int = 0  # first adapted layer
    layers: int | None = None  # layers used; None = all the backbone has
    bias: float = 0.0
    gain: float = 1.0
    micro_tokens: int = 4096

    def read(self, batch: ScoreBatch, hidden: Hidden | None = None) -> Tensor:
        """Raw fp32 scores [N] of a batch, with gradients. `hidden`: the same ids already run to `first_layer` or below."""
        scores_N1: Tensor = self.head(self.states(batch, hidden))
        return scores_N1[:, 0]

    def states(self, batch: ScoreBatch, hidden: Hidden | None = None) -> Tensor:
        """What the head sees, fp32 [N, D]: the state of each completion's last token, or the mean over its tokens."""
        with self.backbone.using(self.adapter):
            if hidden is None:
                hidden = self.backbone.run_bottom(batch.ids_BT, batch.mask, batch.positions_BT, layer=self.first_layer)
            states_BTD = self.backbone.run_top(hidden, layers=self.layers)
        if self.readout == "last":
            return states_BTD[batch.row_N, batch.stop_N - 1].float()
        length_N = batch.stop_N - batch.start_N
        owner_M = torch.arange(len(length_N), device=length_N.device).repeat_interleave(length_N)
        within_M = torch.arange(len(owner_M), device=length_N.device) - (length_N.cumsum(0) - length_N)[owner_M]
        tokens_MD = states_BTD[batch.row_N[owner_M], batch.start_N[owner_M] + within_M].float()
        sums_ND = torch.zeros(len(length_N), tokens_MD.shape[1], device=tokens_MD.device)
        return sums_ND.index_add(0, owner_M, tokens_MD) / length_N[:, None]

    @torch.no_grad()
    def score(self, rows: Sequence[tuple[list[int], list[int]]], *, raw: bool = False) -> Tensor:
        """Scores [len(rows)] of (prompt ids, answer ids): (r - bias) / gain; `raw` gives r. fp32 on the CPU, in order."""
        scores = torch.empty(len(rows))
        for group in micro_batches([len(prompt) + len(answer) for prompt, answer in rows], self.micro_tokens):
            batch = completion_rows([rows[at] for at in group], self.backbone.pad_id, self.backbone.device)
            scores[group] = self.read(batch).cpu()
        return scores if raw else (scores - self.bias) / self.gain

    @torch.no_grad()
    def score_rankings(self, rankings: Sequence[RankingRow], *, pack: str = "auto") -> list[list[float]]:
        """Raw scores of the K completions of each ranking, in order."""
        return [self.head(states_KD)[:, 0].tolist() for states_KD in self.ranking_states(rankings, pack=pack)]

    @torch.no_grad()
    def ranking_states(self, rankings: Sequence[RankingRow], *, pack: str = "auto") -> list[Tensor]:
        """What the head sees of the K completions of each ranking, fp32 [K, D] each, in order."""
        found: dict[int, Tensor] = {}
        for group, batch in ranking_batches(rankings, self.backbone, self.micro_tokens, pack):
            sizes = [len(rankings[at].completions) for at in group]
            found.update(zip(group, self.states(batch).split(sizes), strict=True))
        return [found[at] for at in range(len(rankings))]


def ranking_batches(
    rankings: Sequence[RankingRow], backbone: Backbone, micro_tokens: int, pack: str = "auto"
) -> Iterator[tuple[list[int], ScoreBatch]]:
    """Micro-batches of whole rankings (their indices, and the batch): packed in one row each where that is cheaper.

    `pack` always / never overrides the choice. Raises ConfigError for "always" on a model whose layers take no masks.
    """
    if pack == "always" and not backbone.splits:
        raise ConfigError("pack", f"{type(backbone.model).__name__} cannot take a block mask; use auto or never")
    packed = [
        at
        for at, row in enumerate(rankings)
        if pack == "always" or (pack == "auto" and backbone.splits and packing_pays(row, backbone.hidden_size))
    ]
    apart = sorted(set(range(len(rankings))) - set(packed))
    for group in micro_batches([packed_length(rankings[at]) for at in packed], micro_tokens):
        chosen = [packed[at] for at in group]
        yield chosen, packed_rows([rankings[at] for at in chosen], backbone.pad_id, backbone.device)
    most = max((len(rankings[at].completions) for at in apart), default=1)
    for group in micro_batches([rankings[at].longest for at in apart], micro_tokens // most):
        chosen = [apart[at] for at in group]
        pairs = [(rankings[at].prompt, answer) for at in chosen for answer in rankings[at].completions]
        yield chosen, completion_rows(pairs, backbone.pad_id, backbone.device)


# ---------------------------------------------------------------- files


def save_reward(reward: RewardModel, folder: Path, *, adapter: str, facts: dict[str, Any]) -> None:
    """Write the directory described above; `facts` go into reward.json. The adapter's weights are merged into the model."""
    backbone = reward.backbone
    config = copy.deepcopy(backbone.model.config)
    config.num_labels = 1
    config.dtype = backbone.dtype
    config.pad_token_id = _pad_for_classification(backbone)
    state = backbone.export_state(adapter)
    prefix = backbone.model.base_model_prefix + "."
    state = {key: value for key, value in state.items() if key.startswith(prefix)}
    state["score.weight"] = reward.head.weight.detach()
    plain = AutoModelForSequenceClassification.from_config(config)
    plain.load_state_dict(state, strict=True)
    plain.to(backbone.dtype).save_pretrained(folder)
    backbone.tokenizer.save_pretrained(folder)
    save_file({"weight": reward.head.weight.detach().float().cpu()}, folder / "head.safetensors")
    if not backbone.full:
        adapters.save_adapter(backbone.model, adapter, folder / "adapter", base=backbone.path)
    row = {
        "bias": reward.bias,
        "gain": reward.gain,
        "readout": reward.readout,
        "trunk_layers": backbone.layer_count,
        "base": backbone.fingerprint(),
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
) -> RewardModel:
    """Load a reward checkpoint, frozen. On a `backbone` of the same base only its adapter (named "reward") is added.

    A one-label sequence-classification checkpoint made elsewhere loads too: last token, bias 0, gain 1.
    """
    folder = Path(path)
    facts = _read_facts(folder)
    if backbone is not None and _same_base(folder, facts, backbone):
        reward = _attach(folder, facts, backbone)
    else:
        own = load_backbone(path, device=device, dtype=dtype, head="score")
        reward = RewardModel(own, _read_head(folder, own), readout=facts["readout"])
    reward.bias, reward.gain, reward.micro_tokens = facts["bias"], facts["gain"], micro_tokens
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


def _read_head(folder: Path, backbone: Backbone) -> nn.Linear:
    head = nn.Linear(backbone.hidden_size, 1, bias=False)
    if (folder / "head.safetensors").is_file():
        weight = load_file(folder / "head.safetensors")["weight"]
    else:
        score = getattr(backbone.model, "score", None)
        if score is None or score.weight.shape[0] != 1:
            raise ContractError(f"{folder.name} is not a reward model: it has no head with one label")
        weight = score.weight.detach()
    head.weight.data = weight.float().to(backbone.device)
    return head.requires_grad_(False)


def _same_base(folder: Path, facts: dict[str, Any], backbone: Backbone) -> bool:
    there = backbone.splits and not backbone.full and bool(facts["base"]) and (folder / "adapter").is_dir()
    return there and facts["base"] == backbone.fingerprint()


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
    head = _read_head(folder, backbone)
    return RewardModel(backbone, head, facts["readout"], "reward", first_layer=first, layers=facts["trunk_layers"])
