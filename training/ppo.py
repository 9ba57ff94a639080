"""PPO against a reward model (Ouyang et al. 2022, step 3; Schulman et al. 2017), with a critic and a KL penalty per token.

    python -m training.ppo RUN_DIR

Reads data.prompts (`train`), inputs.policy (where it starts, and the reference) and inputs.reward or a function of one's
own; leaves the policy in output/. One update: sample answers, score them, shape rewards (score - β log π/π_ref), GAE,
clipped steps. data.documents or data.demonstrations are mixed in as text (PPO-ptx); inputs.gold only watches. The frozen
lower layers run once per update for reference, policy and every inner epoch; log-probabilities are those of sampling.

Axes: R answers of a rollout, T answer tokens.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training import sharding
from training.advantages import (
    Moments,
    adapted_kl_coef,
    explained_variance,
    gae,
    overlong_penalties,
    shaped_rewards,
    truncated_scores,
    whiten,
)
from training.backbone import Backbone, load_backbone
from training.chat import Messages
from training.configs import PpoConfig
from training.contracts import ContractError, PromptRecord
from training.critic import build_critic
from training.judges import FunctionJudge, Judge, ModelJudge, load_function
from training.optimization import build_optimizer
from training.overoptimisation import Point, fit_gold, rises_while_gold_falls
from training.ppo_report import describe, result_numbers, show
from training.pretraining_mix import build_mix, held_out_loss, mix_gradient
from training.records import PromptRow, prompt_rows
from training.reward_model import load_reward
from training.rollouts import Learner, Rollout, collect, deal, mean_entropy
from training.sampling import check_compile, check_room
from training.session import Interrupted, Metrics, Session, main
from training.surrogate import Sums, accumulate, optimizer_step

EARLY_STOP = 1.5  # times inner_kl_target


def train(session: Session) -> Metrics:
    """Improve the policy for `updates` rollouts; return numbers before and after, on the same prompts and seeds."""
    config: PpoConfig = session.config
    records: list[PromptRecord] = [record for record in session.records("prompts") if record.split == "train"]
    if not records:
        raise ContractError("data.prompts has no row of split 'train'")
    learner = build_learner(session, {record.id: record.messages for record in records})
    prompts = prompt_rows(records, learner.policy.tokenizer, max_tokens=learner.policy.context_length)
    check_room(
        learner.policy, [prompt.ids for prompt in prompts], config.max_new_tokens, [prompt.id for prompt in prompts]
    )
    texts = {record.id: record.messages[-1]["content"] for record in records}
    kept = session.restore(learner.weights, learner.optimizer) or start(learner, config)

    for update in session.steps(config.updates if "stopped_at" not in kept else 0):
        rollout = roll(session, learner, prompts, update, kept, behind=update - 1)
        if config.scale_scores:
            kept["scores"] = list(Moments(*kept.get("scores", ())).with_more(ruled_scores(rollout, config)))
            rollout.score_scale = Moments(*kept["scores"]).deviation
        facts = describe(rollout, used_scores(rollout, config), kept["kl_coef"])
        if reason := stop_reason(config, facts, kept.get("entropy")):
            session.note(f"stopped before update {update}: {reason}")
            kept |= {"stopped_at": update, "stopped_by": reason}
            break
        facts |= watch_gold(session, kept, facts, update)
        facts |= learn(learner, rollout, update, kept["kl_coef"], config, seed=session.spec.seed)
        average_weights(learner, config.ema_decay)
        kept.setdefault("before", result_numbers(facts))
        kept["entropy"] = facts.get("objective/entropy", kept.get("entropy"))
        if config.kl_target:
            kl, target = facts["objective/kl"], config.kl_target
            kept["kl_coef"] = adapted_kl_coef(kept["kl_coef"], kl, target, len(rollout.answers), config.kl_horizon)
        session.count(int(rollout.mask_RT.sum()))
        session.log(update, **facts)
        if update % config.samples_every == 0:
            show(session, learner, rollout, texts, update)
        session.end_step(update, weights=learner.weights, optimizer=learner.optimizer, extra=kept)

    return finish(session, learner, prompts, kept)


def start(learner: Learner, config: PpoConfig) -> dict[str, Any]:
    """What is kept from update to update, at the beginning of a fresh run."""
    kept: dict[str, Any] = {"kl_coef": config.kl_coef}
    if learner.mix:
        kept["ptx_before"] = held_out_loss(learner.policy, learner.mix, config.micro_tokens)
    return kept


def finish(session: Session, learner: Learner, prompts: Sequence[PromptRow], kept: dict[str, Any]) -> Metrics:
    """Measure the policy as it is exported, on the first update's prompts and seeds, save it and return the metrics."""
    config: PpoConfig = session.config
    done = kept.get("stopped_at", config.updates + 1) - 1
    with torch.no_grad():
        for name, average in learner.average.items():
            learner.policy_weights[name].copy_(average)
    last = roll(session, learner, prompts, 1, kept, behind=done)
    if config.scale_scores:
        last.score_scale = Moments(*kept["scores"]).deviation
    facts = describe(last, used_scores(last, config), kept["kl_coef"])
    facts["objective/entropy"] = mean_entropy(learner, last, config)
    if learner.mix and kept["ptx_before"] is not None:
        kept["ptx_after"] = held_out_loss(learner.policy, learner.mix, config.micro_tokens)
        facts["ptx/loss"] = kept["ptx_after"]
    session.log(done, "valid", **facts)
    learner.policy.save_policy(session.staging)
    after = result_numbers(facts)
    found: Metrics = {f"{name}_before": value for name, value in kept.get("before", after).items()}
    found |= {f"{name}_after": value for name, value in after.items()}
    found |= {f"ptx_loss_{when}": kept[f"ptx_{when}"] for when in ("before", "after") if kept.get(f"ptx_{when}")}
    if fit := fit_gold([Point(*row) for row in kept.get("curve", [])]):
        found |= {"gold_a": fit.a, "gold_b": fit.b, "gold_peak_kl": fit.peak_kl}
    return found | {
        "updates": done,
        "episodes": done * config.rollout_prompts,
        "kl_coef": kept["kl_coef"],
        "stopped_by": kept.get("stopped_by", ""),
        "stopped_by_kl": kept.get("stopped_by", "").startswith("KL"),
        "reward_on_shared_trunk": isinstance(learner.judge, ModelJudge)
        and learner.judge.reward.backbone is learner.policy,
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


def stop_reason(config: PpoConfig, facts: dict[str, float], entropy: float | None) -> str:
    """Why to stop before learning from this rollout; "" to go on. `entropy` is that of the update before."""
    kl, truncated = facts["objective/kl"], facts["rollout/truncated_fraction"]
    if config.kl_stop and kl > config.kl_stop:
        return f"KL {kl:.2f} exceeds {config.kl_stop}"
    if config.truncated_stop and truncated > config.truncated_stop:
        return f"a share of {truncated:.2f} of the answers is cut off, more than {config.truncated_stop}"
    if config.entropy_stop and entropy is not None and entropy < config.entropy_stop:
        return f"entropy {entropy:.3f} is below {config.entropy_stop}"
    return ""


def watch_gold(session: Session, kept: dict[str, Any], facts: dict[str, float], update: int) -> dict[str, float]:
    """Add a point to the curve of gold score against KL; say when the score rises while the gold score falls."""
    if "objective/gold_score" not in facts:
        return {}
    curve = kept.setdefault("curve", [])
    curve.append([max(0.0, facts["objective/kl"]), facts["objective/score"], facts["objective/gold_score"]])
    window = session.config.gold_window
    diverging = rises_while_gold_falls([Point(*row) for row in curve], window)
    if diverging:
        session.note(f"update {update}: over {window} updates the score rose while the gold score fell")
    return {"objective/sqrt_kl": curve[-1][0] ** 0.5, "objective/overoptimised": float(diverging)}


@torch.no_grad()
def average_weights(learner: Learner, decay: float) -> None:
    """Move the exported average towards the weights by 1 - decay. Ouyang et al. 2022, C.4, has 0.992."""
    for name, average in learner.average.items():
        average.lerp_(learner.policy_weights[name], 1.0 - decay)


# ---------------------------------------------------------------- set-up


def build_learner(session: Session, messages: dict[str, Messages] | None = None) -> Learner:
    """Load policy and reward (on one trunk when they have the same base), add critic, optimiser and what else is asked for.

    `messages` by prompt id are for a reward function.
    """
    config: PpoConfig = session.config
    policy = load_backbone(
        session.input("policy"), device=session.device, dtype=session.dtype, base_precision=config.base_precision
    )
    check_compile(policy, config.compile)
    judge = load_judge(session, policy, messages or {})
    gold = load_gold(session, policy)
    mix = build_mix(session.records("documents"), session.records("demonstrations"), policy, config)
    if config.ptx_coef and not mix:
        raise ContractError("neither data.documents nor data.demonstrations has a row of split 'train'")
    policy_weights = policy.tune(config, keep_reference=True)
    torch.manual_seed(session.spec.seed)
    critic = build_critic(config, policy, judge.reward if isinstance(judge, ModelJudge) else None)
    adapter_weights = {f"value.{name}": weight for name, weight in critic.adapter_weights.items()}
    optimizer = build_optimizer(
        {**policy_weights, **adapter_weights}, config, head=critic.head_weights, head_rate=config.value_learning_rate
    )
    average = {name: weight.detach().clone() for name, weight in policy_weights.items()} if config.ema_decay else {}
    critic_weights = {**adapter_weights, **critic.head_weights}
    return Learner(policy, judge, critic, optimizer, policy_weights, critic_weights, gold, mix, average)


def load_judge(session: Session, policy: Backbone, messages: dict[str, Messages]) -> Judge:
    """The reward model, on the policy's trunk where it can be, or the function the config names, tried once."""
    config: PpoConfig = session.config
    if config.reward:
        return FunctionJudge(config.reward, load_function(config.reward), policy, messages)
    reward = load_reward(
        session.input("reward"),
        device=session.device,
        dtype=session.dtype,
        backbone=policy if config.tuning == "lora" else None,
        micro_tokens=config.micro_tokens,
        base_precision=config.base_precision,
    )
    check_same_tokens(policy, reward.backbone, "reward")
    if config.shard and reward.backbone is not policy:
        sharding.shard(reward.backbone)
    return ModelJudge(reward)


def load_gold(session: Session, policy: Backbone) -> Judge | None:
    """The reward model that only watches, on a trunk of its own; None when none is named."""
    if not session.inputs("gold"):
        return None
    config: PpoConfig = session.config
    gold = load_reward(
        session.input("gold"),
        device=session.device,
        dtype=session.dtype,
        micro_tokens=config.micro_tokens,
        base_precision=config.base_precision,
    )
    check_same_tokens(policy, gold.backbone, "gold")
    if config.shard:
        sharding.shard(gold.backbone)
    return ModelJudge(gold)


def check_same_tokens(policy: Backbone, reward: Backbone, role: str) -> None:
    """Answers go to reward models as token ids, never as text again: both must have the same vocabulary."""
    if policy.tokenizer.get_vocab() != reward.tokenizer.get_vocab():
        raise ContractError(
            f"inputs.{role} has another tokenizer than inputs.policy; train it from this policy's family"
        )


# ---------------------------------------------------------------- learning


def used_scores(rollout: Rollout, config: PpoConfig) -> Tensor:
    """Scores [R] that enter the reward: `ruled_scores`, whitened or divided by their scale."""
    scores_R = ruled_scores(rollout, config)
    if config.whiten_scores:
        return whiten(scores_R, torch.ones_like(rollout.truncated_R))
    return scores_R / (rollout.score_scale or 1.0)


def ruled_scores(rollout: Rollout, config: PpoConfig) -> Tensor:
    """Scores [R] after the rule for cut-off answers, the length penalty and clipping."""
    scores_R = truncated_scores(rollout.scores_R, rollout.truncated_R, config.truncated, config.truncated_value)
    if config.overlong_tokens:
        lengths_R, limit = rollout.mask_RT.sum(1), config.max_new_tokens
        scores_R = scores_R - overlong_penalties(lengths_R, limit, config.overlong_tokens, config.overlong_penalty)
    if config.score_clip:
        scores_R = scores_R.clamp(-config.score_clip, config.score_clip)
    return scores_R


def advantages_and_returns(rollout: Rollout, config: PpoConfig, kl_coef: float) -> tuple[Tensor, Tensor]:
    """Advantages (whitened over the rollout) and returns (of the advantages before whitening), [R, T]."""
    rewards_RT = shaped_rewards(used_scores(rollout, config), rollout.kl_RT, rollout.mask_RT, kl_coef)
    if config.whiten_rewards:
        rewards_RT = whiten(rewards_RT, rollout.learned_RT, shift_mean=False)
    advantages_RT, returns_RT = gae(
        rewards_RT, rollout.values_RT, rollout.mask_RT, config.gamma, config.gae_lambda, rollout.final_values_R
    )
    if config.whiten_advantages:
        advantages_RT = whiten(advantages_RT, rollout.learned_RT)
    return advantages_RT, returns_RT


def learn(
    learner: Learner, rollout: Rollout, update: int, kl_coef: float, config: PpoConfig, *, seed: int
) -> dict[str, float]:
    """The optimiser steps of one update; return what to log of them."""
    targets = advantages_and_returns(rollout, config, kl_coef)
    critic_only = update <= config.value_warmup
    seen: list[Sums] = []
    for step, at in steps_of(update, config, seed):
        sums = accumulate(learner, rollout, rollout.minibatches[at], *targets, config, critic_only=critic_only)
        limit = EARLY_STOP * config.inner_kl_target * sums["tokens"]
        if limit and sums["approx_kl"] > limit:
            learner.optimizer.zero_grad(set_to_none=True)
            break
        if learner.mix and not critic_only:
            sums |= mix_gradient(learner.policy, learner.policy_weights, learner.mix, config, step=step, seed=seed)
        elif not sums["tokens"]:
            learner.optimizer.zero_grad(set_to_none=True)
            continue  # every answer of the minibatch is masked: there is nothing to learn from
        seen.append(sums | optimizer_step(learner, step, config))
    return step_facts(seen, rollout, targets[1], config)


def steps_of(update: int, config: PpoConfig, seed: int) -> list[tuple[int, int]]:
    """The steps of an update, counted from the beginning of the run, each with its minibatch: every epoch has its own order."""
    step = (update - 1) * config.inner_epochs * config.minibatches
    order: list[int] = []
    for epoch in range(config.inner_epochs):
        one = list(range(config.minibatches))
        random.Random(f"{seed}:{update}:{epoch}").shuffle(one)
        order += one
    return list(enumerate(order, start=step + 1))


def step_facts(seen: Sequence[Sums], rollout: Rollout, returns_RT: Tensor, config: PpoConfig) -> dict[str, float]:
    """What the steps of one update say. Without a token to learn from nothing is said of tokens."""

    def per_step(name: str) -> float:
        return sum(row[name] for row in seen) / max(1, len(seen))

    facts = {
        "policy/grad_norm": per_step("policy_norm"),
        "policy/steps": float(len(seen)),
        "value/grad_norm": per_step("critic_norm"),
    }
    if any(row["tokens"] for row in seen):
        facts |= token_facts(seen, rollout, returns_RT, config)
    if seen:
        facts |= {"policy/learning_rate": seen[-1]["learning_rate"], "rollout/logp_drift": seen[0]["drift"]}
    if seen and "ptx_loss" in seen[0]:
        for name in ("loss", "norm", "cosine"):
            facts[f"ptx/{name.replace('norm', 'grad_norm')}"] = per_step(f"ptx_{name}")
    return facts


def token_facts(seen: Sequence[Sums], rollout: Rollout, returns_RT: Tensor, config: PpoConfig) -> dict[str, float]:
    """Sums over the learned tokens of the steps become means per token; the entropy is that of the first pass."""

    def per_token(name: str, rows: Sequence[Sums] = seen) -> float:
        return sum(row[name] for row in rows) / max(1.0, sum(row["tokens"] for row in rows))

    mask, entropy = rollout.learned_RT, per_token("entropy", seen[: config.minibatches])
    return {
        "objective/entropy": entropy,
        "objective/entropy_per_answer": entropy * float(rollout.mask_RT.sum()) / len(rollout.answers),
        "policy/loss": per_token("policy_loss"),
        "policy/clip_fraction": per_token("clipped"),
        "policy/approx_kl": per_token("approx_kl"),
        "policy/approx_kl_k3": per_token("approx_kl_k3"),
        "policy/ratio_mean": per_token("ratio"),
        "policy/ratio_max": max(row["ratio_max"] for row in seen),
        "value/loss": per_token("value_loss"),
        "value/clip_fraction": per_token("value_clipped"),
        "value/explained_variance": explained_variance(rollout.values_RT[mask], returns_RT[mask]),
    }


if __name__ == "__main__":
    sys.exit(main(train))
