"""Several reward models on one trunk that score together: heads of a frozen trunk, or adapters with a head each.

Members agree where there is data and differ where there is none, so a cautious combination is harder to over-optimise:
the smallest score, or mean - c·variance (Coste et al. 2023, arXiv 2310.02743). Axes: M members, N completions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training import adapters
from training.configs import RewardConfig
from training.contracts import ContractError
from training.records import RankingRow
from training.reward_scoring import Answer, RewardModel
from training.score_scale import centre_of

FILE = "members.safetensors"


@dataclass(eq=False)
class RewardEnsemble(RewardModel):
    """A reward model whose raw score is made of its members'; its own head and adapter are the member a critic starts from.

    A member's `bias` is how far its scores lie above those of the ensemble's own head: without it, the smallest score
    would be that of the member that happens to score low. `spread` is in units of `score`.
    """

    members: list[RewardModel] = field(default_factory=list)
    combine: str = "mean"
    variance_penalty: float = 0.0

    @torch.no_grad()
    def raw_scores(self, rankings: Sequence[RankingRow], *, pack: str = "auto") -> list[Tensor]:
        """The members' scores as one, [K] for each ranking, fp32."""
        if not rankings:
            return []
        scores_MN = self.member_scores(rankings, pack=pack)
        self.spread = float(scores_MN.std(0, correction=0).mean()) / self.gain
        scores_N = combined(scores_MN, self.combine, self.variance_penalty)
        return list(scores_N.split([len(ranking.completions) for ranking in rankings]))

    @torch.no_grad()
    def member_scores(self, rankings: Sequence[RankingRow], *, pack: str = "auto") -> Tensor:
        """Raw scores [M, N] of all completions in order, each member's shifted by its bias. One pass per adapter."""
        found: list[Tensor] = []
        states_ND: Tensor | None = None
        seen = self.adapter
        for member in self.members:
            if states_ND is None or member.adapter != seen:
                states_ND, seen = torch.cat(member.ranking_states(rankings, pack=pack)), member.adapter
            found.append(member.head(states_ND)[:, 0] - member.bias)
        return torch.stack(found)


def combined(scores_MN: Tensor, how: str, penalty: float) -> Tensor:
    """One score per completion: mean, min, or mean - penalty · variance (over members, biased)."""
    if how == "min":
        return scores_MN.amin(0)
    mean_N = scores_MN.mean(0)
    return mean_N - penalty * scores_MN.var(0, correction=0) if how == "variance" else mean_N


# ---------------------------------------------------------------- made from trials


def build_ensemble(
    model: RewardModel, members: Sequence[Mapping[str, Tensor]], config: RewardConfig, answers: Sequence[Answer]
) -> RewardEnsemble:
    """The ensemble of these weights, best first; `answers` are the texts on which the members are made to agree on average.

    On a frozen trunk (epochs 0) members are heads and the ensemble's own head is their mean. Otherwise the first member
    stands in the adapter "reward", which `model` must hold, and the others in adapters of their own.
    """
    found = []
    for number, weights in enumerate(members):
        name = adapter_name(number) if config.epochs else adapter_name(0)
        if config.epochs and number:
            _new_adapter(model, name, weights, config.lora_rank, config.lora_alpha, config.first_adapted_layer, None)
        found.append(_member(model, name, weights["head.weight"]))
    if not config.epochs:
        mean_1D = torch.stack([member.head.weight.detach() for member in found]).mean(0)
        model.head = _member(model, adapter_name(0), mean_1D).head
    own = centre_of(model, answers)
    for member in found:
        member.bias = centre_of(member, answers) - own
    return _ensemble(model, found, config.combine, config.variance_penalty)


def adapter_name(number: int) -> str:
    """What member `number`'s adapter is called on the trunk."""
    return f"reward_{number}" if number else "reward"


def _member(model: RewardModel, adapter: str | None, weight_1D: Tensor) -> RewardModel:
    head = nn.Linear(weight_1D.shape[1], 1, bias=False)
    head.weight.data = weight_1D.detach().float().to(model.backbone.device, copy=True)
    settings = {item.name: getattr(model, item.name) for item in fields(RewardModel)}
    return RewardModel(**settings | {"head": head.requires_grad_(False), "adapter": adapter, "bias": 0.0, "gain": 1.0})


def _ensemble(model: RewardModel, members: list[RewardModel], combine: str, penalty: float) -> RewardEnsemble:
    settings = {item.name: getattr(model, item.name) for item in fields(RewardModel)}
    return RewardEnsemble(**settings, members=members, combine=combine, variance_penalty=penalty)


def _new_adapter(
    model: RewardModel,
    name: str,
    weights: Mapping[str, Tensor],
    rank: int,
    alpha: float,
    first: int,
    last: int | None,
) -> None:
    parameters = model.backbone.add_adapter(name, rank, alpha, first, last)
    if missing := sorted(set(parameters) - set(weights)):
        raise ContractError(f"{FILE}: {name} does not fit this model ({missing[0]} is missing)")
    with torch.no_grad():
        for path, parameter in parameters.items():
            parameter.copy_(weights[path])
            parameter.requires_grad_(False)


# ---------------------------------------------------------------- files


def write_members(ensemble: RewardEnsemble, folder: Path) -> dict[str, Any]:
    """Write every member's head and the adapters beyond the first; return what reward.json says of them."""
    by_adapter = len({member.adapter for member in ensemble.members}) > 1
    tensors = {}
    for number, member in enumerate(ensemble.members):
        tensors[f"{number}.head"] = member.head.weight.detach().float().cpu().contiguous()
        if by_adapter and number and member.adapter:
            for path, parameter in adapters.lora_parameters(ensemble.backbone.model, member.adapter).items():
                tensors[f"{number}.{path}"] = parameter.detach().float().cpu().contiguous()
    save_file(tensors, folder / FILE)
    return {
        "members": "adapters" if by_adapter else "heads",
        "combine": ensemble.combine,
        "variance_penalty": ensemble.variance_penalty,
        "offsets": [member.bias for member in ensemble.members],
    }


def set_apart(folder: Path, reward: RewardModel) -> None:
    """Take the adapter of a reward loaded from `folder` out of the weights it was merged into and put it beside them."""
    config, weights = adapters.read_adapter(folder / "adapter")
    first, last = min(config.layers_to_transform), max(config.layers_to_transform)
    _new_adapter(reward, adapter_name(0), weights, config.r, config.lora_alpha, first, last)
    adapters.take_out(reward.backbone.model, adapter_name(0))
    reward.adapter, reward.first_layer = adapter_name(0), first


def read_members(folder: Path, row: dict[str, Any], reward: RewardModel) -> RewardEnsemble:
    """The ensemble that `reward`, loaded from the same folder, is the first member or the mean head of.

    Where that one's adapter was merged into the weights, it is taken out again, since the members share the trunk below.
    """
    try:
        tensors = load_file(folder / FILE)
    except OSError as problem:
        raise ContractError(
            f"{folder.name}: the file of the ensemble's members cannot be read ({problem})"
        ) from problem
    by_adapter = row["members"] == "adapters"
    if by_adapter:
        config, _ = adapters.read_adapter(folder / "adapter")
        first, last = min(config.layers_to_transform), max(config.layers_to_transform)
        if reward.adapter is None:
            set_apart(folder, reward)
    members = []
    for number, offset in enumerate(row["offsets"]):
        if by_adapter and number:
            own = {
                key.removeprefix(f"{number}."): tensor
                for key, tensor in tensors.items()
                if key.startswith(f"{number}.")
            }
            _new_adapter(reward, adapter_name(number), own, config.r, config.lora_alpha, first, last)
        name = adapter_name(number) if by_adapter else reward.adapter
        members.append(_member(reward, name, tensors[f"{number}.head"]))
        members[-1].bias = offset
    return _ensemble(reward, members, row["combine"], row["variance_penalty"])
