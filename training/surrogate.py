"""One PPO step: the gradient of a minibatch (policy, critic, pretraining text), both norms clipped, one optimiser step.

Losses are divided by the learned tokens of the whole minibatch, so micro-batches do not change the gradient. Axes: R
answers of a rollout, b answers of a micro-batch, T answer tokens, N the micro-batch's answer tokens in order.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training import distributed
from training.configs import PpoConfig
from training.losses import kl_k2, kl_k3, policy_loss, value_loss
from training.optimization import clip, learning_rate_factor
from training.rollouts import Learner, Micro, Rollout, said, take

Sums = dict[str, float]
SUMMED = ("policy_loss", "value_loss", "entropy", "ratio", "clipped", "value_clipped", "approx_kl", "approx_kl_k3")
TOPPED = ("ratio_max", "drift")


def accumulate(
    learner: Learner,
    rollout: Rollout,
    micros: Sequence[Micro],
    advantages_RT: Tensor,
    returns_RT: Tensor,
    config: PpoConfig,
    *,
    critic_only: bool = False,
) -> Sums:
    """Add the gradient of one minibatch; return sums over its learned tokens, their number, and the largest ratio and drift.

    `micros` are this rank's; gradient and numbers are those of all ranks.
    """
    zero = torch.zeros((), device=learner.policy.device)
    own = sum(int(rollout.learned_RT[micro.rows_b].sum()) for micro in micros if micro.counts)
    tokens = int(distributed.total(zero + own))
    sums = dict.fromkeys(SUMMED, zero)
    tops = dict.fromkeys(TOPPED, zero)
    for micro in micros:
        learned_N = take(rollout.learned_RT, rollout, micro) & micro.counts
        old_N, old_values_N, advantages_N, returns_N = (
            take(x_RT, rollout, micro) for x_RT in (rollout.logprobs_RT, rollout.values_RT, advantages_RT, returns_RT)
        )
        with torch.set_grad_enabled(not critic_only):
            new = said(learner.policy, micro, config)
        values_N = learner.critic.read(micro.batch, micro.value_hidden, new.states_ND)
        policy_N, ratio_N = policy_loss(
            new.logprobs_N, old_N, advantages_N, config.clip, clip_high=config.clip_high, dual_clip=config.dual_clip
        )
        value_N = value_loss(values_N, old_values_N, returns_N, config.value_clip)
        loss_N = config.value_coef * value_N if critic_only else policy_N + config.value_coef * value_N
        torch.autograd.backward(torch.where(learned_N, loss_N, 0.0).sum() / max(1, tokens))
        per_token = {
            "policy_loss": policy_N,
            "value_loss": value_N,
            "entropy": new.entropy_N,
            "ratio": ratio_N,
            "clipped": (ratio_N < 1.0 - config.clip) | (ratio_N > 1.0 + (config.clip_high or config.clip)),
            "value_clipped": (values_N - old_values_N).abs() > (config.value_clip or float("inf")),
            "approx_kl": kl_k2(new.logprobs_N, old_N),
            "approx_kl_k3": kl_k3(old_N, new.logprobs_N),
        }
        for name, token_N in per_token.items():
            sums[name] = sums[name] + torch.where(learned_N, token_N.detach().float(), 0.0).sum()
        for name, token_N in (("ratio_max", ratio_N), ("drift", (new.logprobs_N - old_N).abs())):
            tops[name] = torch.maximum(tops[name], torch.where(learned_N, token_N.detach(), 0.0).max())
    policy_weights = [] if critic_only else list(learner.policy_weights.values())
    distributed.sum_gradients([*policy_weights, *learner.critic_weights.values()])
    summed, topped = torch.stack(list(sums.values())), torch.stack(list(tops.values()))
    values = torch.cat(
        [distributed.total(summed), distributed.highest(topped)]
    ).tolist()  # one transfer from the device
    return dict(zip([*sums, *tops], values, strict=True)) | {"tokens": float(tokens)}


def optimizer_step(learner: Learner, step: int, config: PpoConfig) -> Sums:
    """Clip policy and critic each by itself, step, clear; return the learning rate and both gradient norms."""
    factor = learning_rate_factor(step, config.updates * config.inner_epochs * config.minibatches, config)
    for group in learner.optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    policy_norm, critic_norm = (
        clip(list(weights.values()), config.max_grad_norm)
        for weights in (learner.policy_weights, learner.critic_weights)
    )
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    rate = float(learner.optimizer.param_groups[0]["lr"])
    return {"learning_rate": rate, "policy_norm": policy_norm, "critic_norm": critic_norm}
