"""Scoring completions: the first layers of a language model, an adapter, and a scalar head in fp32.

`score` is the one place where bias and gain are applied. Completions of one prompt share its tokens where that is cheaper.
Axes: B rows, T positions, N completions in order, K completions of one prompt, D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.backbone import Backbone, Hidden
from training.batches import ScoreBatch, completion_rows, micro_batches, packed_length, packed_rows, packing_pays
from training.configs import ConfigError
from training.feature_cache import FeatureCache
from training.flex import has_kernel
from training.records import RankingRow

Answer = tuple[list[int], list[int]]  # prompt ids, answer ids


def new_head(width: int, device: torch.device) -> nn.Linear:
    """A scalar head with weights from N(0, variance 1 / (D + 1)) (Stiennon et al. 2020, appendix B.1), fp32."""
    head = nn.Linear(width, 1, bias=False)
    nn.init.normal_(head.weight, std=1.0 / math.sqrt(width + 1))
    return head.to(device)


def head_width(hidden_size: int, readout: str) -> int:
    """D: how many numbers the head reads of a completion."""
    return hidden_size * (2 if readout == "both" else 1)


@dataclass(eq=False)
class RewardModel:
    """Scores completions. `adapter` None: the backbone's own weights are the reward model's. Head: [1, D], see `head_width`."""

    backbone: Backbone
    head: nn.Linear
    readout: str = "last"  # the last real token, the mean over the completion, or both: last, then mean
    adapter: str | None = None
    first_layer: int = 0  # first adapted layer
    layers: int | None = None  # layers used; None = all the backbone has
    bias: float = 0.0
    gain: float = 1.0
    micro_tokens: int = 4096
    attention: str = "auto"  # mask of packed rows: dense, flex, or auto
    spread: float | None = None  # of an ensemble: deviation between members, mean over what was scored last
    features: FeatureCache | None = None  # states already known; only while no weight of the trunk or adapter changes

    @property
    def token_weight(self) -> Tensor:
        """The head [1, width of the model] for one token's state, as if it were the whole completion: then last and mean are one."""
        width = self.backbone.hidden_size
        return self.head.weight.detach().view(1, -1, width).sum(1)

    def read(self, batch: ScoreBatch, hidden: Hidden | None = None) -> Tensor:
        """Raw fp32 scores [N] of a batch, with gradients. `hidden`: the same ids already run to `first_layer` or below."""
        scores_N1: Tensor = self.head(self.states(batch, hidden))
        return scores_N1[:, 0]

    def states(self, batch: ScoreBatch, hidden: Hidden | None = None) -> Tensor:
        """What the head sees, fp32 [N, D]: the state of each completion's last token, the mean over its tokens, or both."""
        with self.backbone.using(self.adapter):
            if hidden is None:
                hidden = self.backbone.run_bottom(batch.ids_BT, batch.mask, batch.positions_BT, layer=self.first_layer)
            states_BTD = self.backbone.run_top(hidden, layers=self.layers)
        last_ND = states_BTD[batch.row_N, batch.stop_N - 1].float()
        if self.readout == "last":
            return last_ND
        mean_ND = self.mean(batch, states_BTD)
        return mean_ND if self.readout == "mean" else torch.cat([last_ND, mean_ND], 1)

    @staticmethod
    def mean(batch: ScoreBatch, states_BTD: Tensor) -> Tensor:
        """Mean [N, D] over each completion's tokens, fp32."""
        length_N = batch.stop_N - batch.start_N
        owner_M = torch.arange(len(length_N), device=length_N.device).repeat_interleave(length_N)
        within_M = torch.arange(len(owner_M), device=length_N.device) - (length_N.cumsum(0) - length_N)[owner_M]
        tokens_MD = states_BTD[batch.row_N[owner_M], batch.start_N[owner_M] + within_M].float()
        sums_ND = torch.zeros(len(length_N), tokens_MD.shape[1], device=tokens_MD.device)
        return sums_ND.index_add(0, owner_M, tokens_MD) / length_N[:, None]

    @torch.no_grad()
    def score(self, rows: Sequence[Answer], *, raw: bool = False) -> Tensor:
        """Scores [len(rows)] of (prompt ids, answer ids): (r - bias) / gain; `raw` gives r. fp32 on the CPU, in order."""
        scores = torch.empty(len(rows))
        groups = [part for group in answers_by_prompt(rows, self.micro_tokens) for part in self.packable(rows, group)]
        for own, part in zip(groups, self.raw_scores([unranked(rows, own) for own in groups]), strict=True):
            scores[own] = part.cpu()
        return scores if raw else (scores - self.bias) / self.gain

    def packable(self, rows: Sequence[Answer], group: list[int]) -> list[list[int]]:
        """The group as it is where one packed row is cheaper than a row for each, else its members one by one."""
        flex = uses_flex(self.attention, self.backbone)
        shared = self.backbone.splits and packing_pays(unranked(rows, group), self.backbone.hidden_size, flex=flex)
        return [group] if shared else [[at] for at in group]

    @torch.no_grad()
    def score_rankings(self, rankings: Sequence[RankingRow], *, pack: str = "auto") -> list[list[float]]:
        """Raw scores of the K completions of each ranking, in order."""
        return [scores_K.tolist() for scores_K in self.raw_scores(rankings, pack=pack)]

    @torch.no_grad()
    def raw_scores(self, rankings: Sequence[RankingRow], *, pack: str = "auto") -> list[Tensor]:
        """Raw scores [K] of each ranking's completions, fp32."""
        return [self.head(states_KD)[:, 0] for states_KD in self.ranking_states(rankings, pack=pack)]

    @torch.no_grad()
    def ranking_states(self, rankings: Sequence[RankingRow], *, pack: str = "auto") -> list[Tensor]:
        """What the head sees of the K completions of each ranking, fp32 [K, D] each, in order."""
        known = [self.features.recall(row) for row in rankings] if self.features else [None] * len(rankings)
        found = {at: states.to(self.backbone.device) for at, states in enumerate(known) if states is not None}
        missing = [at for at in range(len(rankings)) if at not in found]
        left = [rankings[at] for at in missing]
        for group, batch in ranking_batches(left, self.backbone, self.micro_tokens, pack, self.attention):
            parts = self.states(batch).split([len(left[at].completions) for at in group])
            for at, states_KD in zip(group, parts, strict=True):
                found[missing[at]] = states_KD
                if self.features:
                    self.features.keep(left[at], states_KD)
        return [found[at] for at in range(len(rankings))]


def answers_by_prompt(rows: Sequence[Answer], most: int) -> list[list[int]]:
    """The places in `rows` of the answers to each prompt; those of one group, packed, are at most `most` tokens (or one answer)."""
    groups: list[list[int]] = []
    last: dict[tuple[int, ...], tuple[list[int], int]] = {}
    for at, (prompt, answer) in enumerate(rows):
        key = tuple(prompt)
        group, tokens = last.get(key, ([], 0))
        if not group or tokens + len(answer) > most:
            group, tokens = [], len(prompt)
            groups.append(group)
        group.append(at)
        last[key] = group, tokens + len(answer)
    return groups


def unranked(rows: Sequence[Answer], group: Sequence[int]) -> RankingRow:
    """These answers to one prompt as a ranking in which nobody has said anything yet."""
    return RankingRow("", "", rows[group[0]][0], [rows[at][1] for at in group], [1] * len(group))


def ranking_batches(
    rankings: Sequence[RankingRow], backbone: Backbone, micro_tokens: int, pack: str = "auto", attention: str = "auto"
) -> Iterator[tuple[list[int], ScoreBatch]]:
    """Micro-batches of whole rankings (their indices, and the batch): packed in one row each where that is cheaper.

    `pack` always / never overrides the choice; `attention` dense / flex that of the mask. Raises ConfigError for a choice
    that this model or device cannot follow.
    """
    if pack == "always" and not backbone.splits:
        raise ConfigError("pack", f"{type(backbone.model).__name__} cannot take a block mask; use auto or never")
    flex = uses_flex(attention, backbone)
    packed = [
        at
        for at, row in enumerate(rankings)
        if pack == "always"
        or (pack == "auto" and backbone.splits and packing_pays(row, backbone.hidden_size, flex=flex))
    ]
    apart = sorted(set(range(len(rankings))) - set(packed))
    for group in micro_batches([packed_length(rankings[at]) for at in packed], micro_tokens):
        chosen = [packed[at] for at in group]
        yield chosen, packed_rows([rankings[at] for at in chosen], backbone.pad_id, backbone.device, flex=flex)
    most = max((len(rankings[at].completions) for at in apart), default=1)
    for group in micro_batches([rankings[at].longest for at in apart], micro_tokens // most):
        chosen = [apart[at] for at in group]
        pairs = [(rankings[at].prompt, answer) for at in chosen for answer in rankings[at].completions]
        yield chosen, completion_rows(pairs, backbone.pad_id, backbone.device)


def uses_flex(attention: str, backbone: Backbone) -> bool:
    """Whether packed rows go through FlexAttention: where it has a kernel, unless `attention` is dense. ConfigError for flex elsewhere."""
    there = has_kernel(backbone.model.config, backbone.device)
    if attention == "flex" and not there:
        raise ConfigError(
            "packed_attention", f"FlexAttention does not train this model on {backbone.device.type}; use auto or dense"
        )
    return there and attention != "dense"
