"""PPO against a reward model (Ouyang et al. 2022, step 3; Schulman et al. 2017), with a critic and a KL penalty per token.

    python -m training.ppo RUN_DIR

Reads data.prompts (`train`), inputs.policy (where it starts, and the reference) and inputs.reward; leaves the policy in
output/. One update: sample answers, score them, shape rewards (score - β log π/π_ref), GAE, clipped steps. The frozen
lower layers run once per update for reference, policy and every inner epoch; log-probabilities are those of sampling.

Axes: R answers of a rollout, b answers of a micro-batch, T answer tokens, N the micro-batch's answer tokens in order.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from training.advantages import adapted_kl_coef, explained_variance, gae, shaped_rewards, truncated_scores, whiten
from training.answers import answer_statistics
from training.backbone import Backbone, load_backbone
from training.configs import PpoConfig
from training.contracts import ContractError, PromptRecord
from training.critic import build_critic
from training.losses import kl_k2, kl_k3, policy_loss, value_loss
from training.optimization import build_optimizer, learning_rate_factor
from training.records import PromptRow, prompt_rows
from training.reward_model import load_reward
from training.rollouts import Learner, Micro, Rollout, collect, deal, mean_entropy, take
from training.sampling import answer_text, check_room
from training.session import Interrupted, Metrics, Session, main

SHOWN = 4  # answers of a rollout written to samples.jsonl


def train(session: Session) -> Metrics:
    """Improve the policy for `updates` rollouts; return numbers before and after, on the same prompts and seeds."""
    config: PpoConfig = session.config
    records: list[PromptRecord] = [record for record in session.records("prompts") if record.split == "train"]
    if not records:
        raise ContractError("data.prompts has no row of split 'train'")
    learner = build_learner(session)
    prompts = prompt_rows(records, learner.policy.tokenizer, max_tokens=learner.policy.context_length)
    names = [prompt.id for prompt in prompts]
    check_room(learner.policy, [prompt.ids for prompt in prompts], config.max_new_tokens, names)
    texts = {record.id: record.messages[-1]["content"] for record in records}
    kept = session.restore(learner.weights, learner.optimizer) or {"kl_coef": config.kl_coef}

    for update in session.steps(config.updates):
        rollout = roll(session, learner, prompts, update, kept, behind=update - 1)
        facts = describe(rollout, config, kept["kl_coef"])
        if config.kl_stop and facts["objective/kl"] > config.kl_stop:
            session.note(f"stopped before update {update}: KL {facts['objective/kl']:.2f} exceeds {config.kl_stop}")
            kept["stopped_at"] = update
            break
        facts |= learn(learner, rollout, update, kept["kl_coef"], config, seed=session.spec.seed)
        kept.setdefault("before", result_numbers(facts))
        if config.kl_target:
            kl, target = facts["objective/kl"], config.kl_target
            kept["kl_coef"] = adapted_kl_coef(kept["kl_coef"], kl, target, len(rollout.answers), config.kl_horizon)
        session.count(int(rollout.mask_RT.sum()))
        session.log(update, **facts)
        if update % config.samples_every == 0:
            show(session, learner, rollout, texts, update)
        session.end_step(update, weights=learner.weights, optimizer=learner.optimizer, extra=kept)

    done = kept.get("stopped_at", config.updates + 1) - 1
    last = roll(session, learner, prompts, 1, kept, behind=done)
    facts = describe(last, config, kept["kl_coef"])
    facts["objective/entropy"] = mean_entropy(learner, last, config.temperature)
    session.log(done, "valid", **facts)
    learner.policy.save_policy(session.staging)
    return {
        **{f"{name}_before": value for name, value in kept["before"].items()},
        **{f"{name}_after": value for name, value in result_numbers(facts).items()},
        "updates": done,
        "episodes": done * config.rollout_prompts,
        "kl_coef": kept["kl_coef"],
        "stopped_by_kl": "stopped_at" in kept,
        "reward_on_shared_trunk": learner.reward.backbone is learner.policy,
    }


def roll(
    session: Session, learner: Learner, prompts: Sequence[PromptRow], update: int, kept: dict[str, Any], *, behind: int
) -> Rollout:
    """The rollout of an update. Stopped in the middle, it keeps a checkpoint of the `behind` updates that are done."""
    config: PpoConfig = session.config
    dealt = deal(prompts, update, size=config.rollout_prompts, seed=session.spec.seed)
    try:
        return collect(learner, dealt, config, session.check_stop)
    except Interrupted:
        session.end_step(behind, weights=learner.weights, optimizer=learner.optimizer, extra=kept)
        raise


# ---------------------------------------------------------------- set-up


def build_learner(session: Session) -> Learner:
    """Load policy and reward (on one trunk when they have the same base), add critic and optimiser."""
    config: PpoConfig = session.config
    policy = load_backbone(session.input("policy"), device=session.device, dtype=session.dtype)
    reward = load_reward(
        session.input("reward"),
        device=session.device,
        dtype=session.dtype,
        backbone=policy if config.tuning == "lora" else None,
        micro_tokens=config.micro_tokens,
    )
    check_same_tokens(policy, reward.backbone)
    policy_weights = policy.tune(config, keep_reference=True)
    torch.manual_seed(session.spec.seed)
    critic = build_critic(config, policy, reward)
    adapter_weights = {f"value.{name}": weight for name, weight in critic.adapter_weights.items()}
    optimizer = build_optimizer(
        {**policy_weights, **adapter_weights}, config, head=critic.head_weights, head_rate=config.value_learning_rate
    )
    return Learner(policy, reward, critic, optimizer, policy_weights, {**adapter_weights, **critic.head_weights})


def check_same_tokens(policy: Backbone, reward: Backbone) -> None:
    """Answers go to the reward model as token ids, never as text again: both must have the same vocabulary."""
    if policy.tokenizer.get_vocab() != reward.tokenizer.get_vocab():
        raise ContractError(
            "inputs.reward has another tokenizer than inputs.policy; train it from this policy's family"
        )


# ---------------------------------------------------------------- learning


def used_scores(rollout: Rollout, config: PpoConfig) -> Tensor:
    """Scores [R] that enter the reward: after the rule for answers that were cut off, and whitening if asked for."""
    truncated_R = torch.tensor([not answer.finished for answer in rollout.answers], device=rollout.scores_R.device)
    scores_R = truncated_scores(rollout.scores_R, truncated_R, config.truncated, config.truncated_value)
    return whiten(scores_R, torch.ones_like(truncated_R)) if config.whiten_scores else scores_R


def advantages_and_returns(rollout: Rollout, config: PpoConfig, kl_coef: float) -> tuple[Tensor, Tensor]:
    """Advantages (whitened over the rollout) and returns (of the advantages before whitening), [R, T]."""
    rewards_RT = shaped_rewards(used_scores(rollout, config), rollout.kl_RT, rollout.mask_RT, kl_coef)
    advantages_RT, returns_RT = gae(rewards_RT, rollout.values_RT, rollout.mask_RT, config.gamma, config.gae_lambda)
    if config.whiten_advantages:
        advantages_RT = whiten(advantages_RT, rollout.mask_RT)
    return advantages_RT, returns_RT


def learn(
    learner: Learner, rollout: Rollout, update: int, kl_coef: float, config: PpoConfig, *, seed: int
) -> dict[str, float]:
    """The optimiser steps of one update; return what to log of them."""
    targets = advantages_and_returns(rollout, config, kl_coef)
    step = (update - 1) * config.inner_epochs * config.minibatches
    seen: list[dict[str, float]] = []
    for epoch in range(config.inner_epochs):
        order = list(range(config.minibatches))
        random.Random(f"{seed}:{update}:{epoch}").shuffle(order)
        for at in order:
            step += 1
            parts = accumulate(
                learner, rollout, rollout.minibatches[at], *targets, config, critic_only=update <= config.value_warmup
            )
            seen.append(parts | optimizer_step(learner, step, config))
    first_pass = seen[: config.minibatches]

    def per_token(name: str, rows: Sequence[dict[str, float]] = seen) -> float:
        return sum(row[name] for row in rows) / sum(row["tokens"] for row in rows)

    mask = rollout.mask_RT
    return {
        "objective/entropy": per_token("entropy", first_pass),
        "policy/loss": per_token("policy_loss"),
        "policy/clip_fraction": per_token("clipped"),
        "policy/approx_kl": per_token("approx_kl"),
        "policy/ratio_mean": per_token("ratio"),
        "policy/grad_norm": sum(row["policy_norm"] for row in seen) / len(seen),
        "policy/learning_rate": seen[-1]["learning_rate"],
        "value/loss": per_token("value_loss"),
        "value/grad_norm": sum(row["critic_norm"] for row in seen) / len(seen),
        "value/explained_variance": explained_variance(rollout.values_RT[mask], targets[1][mask]),
        "rollout/logp_drift": seen[0]["drift"],
    }


def accumulate(
    learner: Learner,
    rollout: Rollout,
    micros: Sequence[Micro],
    advantages_RT: Tensor,
    returns_RT: Tensor,
    config: PpoConfig,
    *,
    critic_only: bool = False,
) -> dict[str, float]:
    """Add the gradient of one minibatch, per token of the whole minibatch whatever the micro-batches; return sums over tokens."""
    tokens = sum(int(rollout.mask_RT[micro.rows_b].sum()) for micro in micros)
    sums: dict[str, Tensor] = {}
    drift = torch.zeros((), device=rollout.logprobs_RT.device)
    for micro in micros:
        old_N, old_values_N, advantages_N, returns_N = (
            take(x_RT, rollout, micro) for x_RT in (rollout.logprobs_RT, rollout.values_RT, advantages_RT, returns_RT)
        )
        with torch.set_grad_enabled(not critic_only):
            states_bTD = learner.policy.run_top(micro.hidden)
            new = learner.policy.token_logprobs(
                states_bTD, micro.batch.ids_BT, micro.batch.response_BT, temperature=config.temperature
            )
        values_N = learner.critic.read(micro.batch, micro.value_hidden, new.states_ND)
        policy_N, ratio_N = policy_loss(new.logprobs_N, old_N, advantages_N, config.clip)
        value_N = value_loss(values_N, old_values_N, returns_N, config.value_clip)
        loss = config.value_coef * value_N.sum()
        if not critic_only:
            loss = loss + policy_N.sum()
        torch.autograd.backward(loss / tokens)
        per_token = {
            "policy_loss": policy_N,
            "value_loss": value_N,
            "entropy": new.entropy_N,
            "ratio": ratio_N,
            "clipped": ((ratio_N - 1.0).abs() > config.clip).float(),
            "approx_kl": kl_k2(new.logprobs_N, old_N),
        }
        for name, token_N in per_token.items():
            sums[name] = sums.get(name, 0.0) + token_N.detach().sum()
        drift = torch.maximum(drift, (new.logprobs_N.detach() - old_N).abs().max())
    values = torch.stack([*sums.values(), drift]).tolist()  # one transfer from the device
    return dict(zip([*sums, "drift"], values, strict=True)) | {"tokens": float(tokens)}


def optimizer_step(learner: Learner, step: int, config: PpoConfig) -> dict[str, float]:
    """Clip policy and critic each by itself, step, clear; return the learning rate and both gradient norms."""
    factor = learning_rate_factor(step, config.updates * config.inner_epochs * config.minibatches, config)
    for group in learner.optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    policy_norm, critic_norm = (
        float(nn.utils.clip_grad_norm_(list(weights.values()), config.max_grad_norm))
        for weights in (learner.policy_weights, learner.critic_weights)
    )
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    rate = float(learner.optimizer.param_groups[0]["lr"])
    return {"learning_rate": rate, "policy_norm": policy_norm, "critic_norm": critic_norm}


# ---------------------------------------------------------------- numbers and texts


def describe(rollout: Rollout, config: PpoConfig, kl_coef: float) -> dict[str, float]:
    """What the rollout itself says, before any step. KL is in nats; per answer unless named otherwise."""
    mask = rollout.mask_RT
    kl_R = rollout.kl_RT.sum(1)
    scores_R = used_scores(rollout, config)
    return {
        "objective/score": float(rollout.scores_R.mean()),
        "objective/score_std": float(rollout.scores_R.std(correction=0)),
        "objective/score_used": float(scores_R.mean()),
        "objective/rlhf_reward": float((scores_R - kl_coef * kl_R).mean()),
        "objective/kl": float(kl_R.mean()),
        "objective/kl_per_token": float(rollout.kl_RT[mask].mean()),
        "objective/kl_k3_per_token": float(kl_k3(rollout.logprobs_RT[mask], rollout.reference_RT[mask]).mean()),
        "objective/kl_coef": kl_coef,
        **{f"rollout/{name}": value for name, value in answer_statistics(rollout.answers).items()},
    }


RESULT_NAMES = {
    "score": "objective/score",
    "kl": "objective/kl",
    "kl_per_token": "objective/kl_per_token",
    "entropy": "objective/entropy",
    "length": "rollout/length",
    "eos_fraction": "rollout/eos_fraction",
    "repeat_4gram": "rollout/repeat_4gram",
}


def result_numbers(facts: dict[str, float]) -> dict[str, float]:
    """The numbers of a rollout that the run's page shows before and after."""
    return {name: facts[source] for name, source in RESULT_NAMES.items()}


def show(session: Session, learner: Learner, rollout: Rollout, texts: dict[str, str], update: int) -> None:
    """Write the first answers of the rollout to samples.jsonl."""
    kl_R = rollout.kl_RT.sum(1).tolist()
    for at in range(min(SHOWN, len(rollout.answers))):
        answer = rollout.answers[at]
        facts: dict[str, Any] = {
            "score": float(rollout.scores_R[at]),
            "kl": kl_R[at],
            "tokens": len(answer.ids),
            "finished": answer.finished,
        }
        prompt, text = texts[rollout.prompts[at].id], answer_text(learner.policy, answer)
        session.sample(update, prompt=prompt, text=text, **facts)


if __name__ == "__main__":
    sys.exit(main(train))
