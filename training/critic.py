"""The critic: the value of the state before each token of an answer, in fp32.

`head`: a linear head on the policy's own trunk, whose gradient also reaches the trunk (times value_coef).
`adapter`: an adapter of its own that starts as the reward model, bias and gain included (Ouyang et al. 2022, C.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from training import adapters
from training.backbone import Backbone, Hidden
from training.batches import RowBatch
from training.configs import ConfigError, PpoConfig
from training.reward_model import RewardModel


@dataclass(eq=False)
class Critic:
    """`backbone` is None for a head on the policy's trunk; otherwise it carries the adapter named "value"."""

    head: nn.Linear
    backbone: Backbone | None = None
    first_layer: int = 0
    layers: int | None = None
    adapter_weights: dict[str, nn.Parameter] = field(default_factory=dict)

    @property
    def head_weights(self) -> dict[str, nn.Parameter]:
        """The head's parameters, by a name that no adapter uses."""
        return {f"value_head.{name}": weight for name, weight in self.head.named_parameters()}

    def values(self, states_ND: Tensor) -> Tensor:
        """Values [N] of states."""
        values_N: Tensor = self.head(states_ND.float())[:, 0]
        return values_N

    def run_bottom(self, batch: RowBatch) -> Hidden | None:
        """The adapter critic's share that never changes, run once per rollout; None for a head."""
        if self.backbone is None:
            return None
        return self.backbone.run_bottom(batch.ids_BT, layer=self.first_layer)

    def read(self, batch: RowBatch, hidden: Hidden | None, policy_states_ND: Tensor) -> Tensor:
        """Values [N] before each marked token of the batch, with gradients."""
        if self.backbone is None or hidden is None:
            return self.values(policy_states_ND)
        return self.values(self._states(hidden)[:, :-1][batch.response_BT[:, 1:]])

    def read_final(self, batch: RowBatch, hidden: Hidden | None, policy_states_BTD: Tensor) -> Tensor:
        """Values [B] behind the last marked token of each row."""
        states_BTD = policy_states_BTD if self.backbone is None or hidden is None else self._states(hidden)
        places_BT = torch.arange(batch.ids_BT.shape[1], device=states_BTD.device) * batch.response_BT
        rows_B = torch.arange(len(states_BTD), device=states_BTD.device)
        return self.values(states_BTD[rows_B, places_BT.argmax(1)])

    def _states(self, hidden: Hidden) -> Tensor:
        """States [B, T, D] of the adapter critic."""
        assert self.backbone is not None
        with self.backbone.using("value"):
            return self.backbone.run_top(hidden, layers=self.layers)


def build_critic(config: PpoConfig, policy: Backbone, reward: RewardModel | None) -> Critic:
    """The critic the config asks for, at its starting point: an adapter starts as the reward model, a head at 0."""
    if config.value_model == "head":
        head = nn.Linear(policy.hidden_size, 1).to(policy.device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return Critic(head)
    if reward is None:
        raise ConfigError("value_model", "an adapter starts from inputs.reward: use head with a function")
    backbone = reward.backbone
    head = nn.Linear(backbone.hidden_size, 1).to(backbone.device)
    with torch.no_grad():
        head.weight.copy_(reward.token_weight / reward.gain)
        head.bias.fill_(-reward.bias / reward.gain)
    weights = _adapter_like(reward, config)
    first = reward.first_layer if reward.adapter else first_of_own_trunk(config, backbone)
    return Critic(head, backbone, first, reward.layers, weights)


def first_of_own_trunk(config: PpoConfig, backbone: Backbone) -> int:
    """First adapted layer of a critic on the reward model's own trunk, which may have fewer layers than the policy."""
    return config.first_adapted_layer if config.first_adapted_layer < backbone.layer_count else 0


def _adapter_like(reward: RewardModel, config: PpoConfig) -> dict[str, nn.Parameter]:
    """An adapter that makes the trunk compute what the reward model computes: a copy of its adapter, or one that adds 0."""
    backbone = reward.backbone
    if reward.adapter is None:
        return backbone.add_adapter("value", config.lora_rank, config.lora_alpha, first_of_own_trunk(config, backbone))
    facts = backbone.model.peft_config[reward.adapter]
    first, last = min(facts.layers_to_transform), max(facts.layers_to_transform)
    weights = backbone.add_adapter("value", facts.r, facts.lora_alpha, first, last)
    with torch.no_grad():
        for name, source in adapters.lora_parameters(backbone.model, reward.adapter).items():
            weights[name].copy_(source)
    return weights
