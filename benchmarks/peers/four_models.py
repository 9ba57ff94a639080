"""PPO with four separate models (policy, reference, value, reward), every weight of policy and value trained, nothing wasted.

What PPO packages hold in memory, written as sparingly as it can be: log-probabilities are kept from sampling, logits
exist for answer tokens only, scoring makes no graph, gradients are freed after the step. Rows go through in the same
micro-batches as ours.
Axes: B rows, P prompt tokens, T answer tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache

from benchmarks.harness import llama
from training.advantages import gae, whiten
from training.losses import policy_loss, value_loss

TEMPERATURE = 0.7
KL_COEF = 0.05


class FourModels:
    """The models, the optimiser and one update."""

    def __init__(self, size: str, *, answer_tokens: int, epochs: int, micro_tokens: int) -> None:
        self.policy, self.reference = llama.language_model(size, 0), llama.language_model(size, 0)
        self.value, self.reward = llama.reward_model(size, 1), llama.reward_model(size, 1)
        for frozen in (self.reference, self.reward):
            frozen.requires_grad_(False)
        self.weights = [*self.policy.parameters(), *self.value.parameters()]
        self.optimizer = torch.optim.AdamW(self.weights, lr=3e-6, betas=(0.9, 0.95))
        self.answer_tokens, self.epochs, self.micro_tokens = answer_tokens, epochs, micro_tokens

    def update(self, prompts: Sequence[Sequence[int]]) -> None:
        """Sample, score, learn."""
        prompts_BP = torch.tensor(prompts)
        answers_BT, old_BT = self.sample(prompts_BP)
        rows_B = torch.arange(len(prompts)).split(
            max(1, self.micro_tokens // (prompts_BP.shape[1] + self.answer_tokens))
        )
        ids = torch.cat([prompts_BP, answers_BT], 1)
        with torch.no_grad():
            scored = [self.score(ids[rows], answers_BT[rows]) for rows in rows_B]
            reference_BT, values_BT, scores_B = (torch.cat(parts) for parts in zip(*scored, strict=True))
            rewards_BT = -KL_COEF * (old_BT - reference_BT)
            rewards_BT[:, -1] += scores_B
            real_BT = torch.ones_like(rewards_BT, dtype=torch.bool)
            advantages_BT, returns_BT = gae(rewards_BT, values_BT, real_BT)
            advantages_BT = whiten(advantages_BT, real_BT)
        for _ in range(self.epochs):
            for rows in rows_B:
                parts = (x[rows] for x in (ids, answers_BT, old_BT, values_BT, advantages_BT, returns_BT))
                (self.loss(*parts) / answers_BT.numel()).backward()
            torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def sample(self, prompts_BP: Tensor) -> tuple[Tensor, Tensor]:
        """Answers [B, T] and their log-probabilities."""
        cache = DynamicCache(config=self.policy.config)
        tokens, logprobs = [], []
        ids = prompts_BP
        for _ in range(self.answer_tokens):
            states = self.policy.model(input_ids=ids, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]
            logprobs_BV = (self.policy.lm_head(states).float() / TEMPERATURE).log_softmax(-1)
            ids = torch.multinomial(logprobs_BV.exp(), 1)
            tokens.append(ids)
            logprobs.append(logprobs_BV.gather(1, ids))
        return torch.cat(tokens, 1), torch.cat(logprobs, 1)

    def score(self, ids: Tensor, answers_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reference log-probabilities and values [B, T], scores [B]."""
        scores_B = self.reward.score(states_of(self.reward, ids)[:, -1]).squeeze(-1)
        return self.logprobs(self.reference, ids, answers_BT), self.values(ids), scores_B

    def loss(
        self, ids: Tensor, answers: Tensor, old: Tensor, old_values: Tensor, advantages: Tensor, returns: Tensor
    ) -> Tensor:
        """Summed policy and value loss of some rows."""
        policy_BT, _ = policy_loss(self.logprobs(self.policy, ids, answers), old, advantages, clip=0.2)
        return policy_BT.sum() + 0.1 * value_loss(self.values(ids), old_values, returns, clip=0.2).sum()

    def logprobs(self, model: Any, ids: Tensor, answers_BT: Tensor) -> Tensor:
        """log π of the answers, [B, T]."""
        states_BTD = states_of(model, ids)[:, -self.answer_tokens - 1 : -1]
        logits_NV = (model.lm_head(states_BTD).float() / TEMPERATURE).flatten(0, 1)
        return -F.cross_entropy(logits_NV, answers_BT.flatten(), reduction="none").view(answers_BT.shape)

    def values(self, ids: Tensor) -> Tensor:
        """The critic's values before each answer token, [B, T]."""
        states_BTD = states_of(self.value, ids)[:, -self.answer_tokens - 1 : -1]
        values_BT: Tensor = self.value.score(states_BTD).squeeze(-1)
        return values_BT


def states_of(model: Any, ids: Tensor) -> Tensor:
    """Last hidden states [B, P + T, D]."""
    states: Tensor = model.model(input_ids=ids, use_cache=False).last_hidden_state
    return states
