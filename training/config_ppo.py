"""The settings of the ppo stage. Standard library only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from training.config_fields import AS_COMPUTED, ConfigError, TrainConfig, opt

FEWEST_TO_WHITEN = (
    8  # answers: with fewer, the variance says little (Huang et al. 2024, “The N implementation details”)
)


@dataclass(frozen=True)
class PpoConfig(TrainConfig):
    """PPO with critic, GAE and per-token KL to the starting policy (Ouyang et al. 2022; Schulman et al. 2017)."""

    reward: str = opt(
        "",
        "module:function of your own on the training machine, in place of inputs.reward; for self-hosting engineers",
    )
    updates: int = opt(20, "rollout batches", low=1, high=1_000_000)
    rollout_prompts: int = opt(64, "episodes per update", low=1, high=1_000_000)
    minibatches: int = opt(1, "optimiser steps per inner epoch", low=1, high=1024)
    inner_epochs: int = opt(1, "passes over each rollout batch", low=1, high=64)
    max_new_tokens: int = opt(128, "longest answer", low=1, high=131072, unit="tokens")
    min_new_tokens: int = opt(
        0,
        "tokens before an answer may end; logprobs of policy and reference leave out end tokens alike",
        low=0,
        high=131072,
        unit="tokens",
    )
    temperature: float = opt(1.0, "sampling temperature; all logprobs are divided by it alike", low=0.05, high=10.0)
    kl_coef: float = opt(
        0.05, "β: reward per token is minus β times log π/π_ref", low=0.0, high=10.0, group="objective"
    )
    kl_target: float = opt(
        0.0,
        "adapt β towards this many nats per answer; 0 keeps β fixed",
        low=0.0,
        high=1000.0,
        unit="nats",
        group="objective",
    )
    kl_horizon: int = opt(10_000, "episodes over which β adapts", low=1, high=10_000_000, group="objective")
    kl_stop: float = opt(
        0.0, "stop when KL per answer exceeds this; 0 = never", low=0.0, high=10_000.0, unit="nats", group="objective"
    )
    inner_kl_target: float = opt(
        0.0,
        "end an update early when k2 of new against old policy exceeds 1.5 times this per token; 0 = never",
        low=0.0,
        high=100.0,
        unit="nats",
        group="objective",
    )
    truncated_stop: float = opt(
        0.0, "stop when more than this share of answers is cut off; 0 = never", low=0.0, high=1.0, group="objective"
    )
    entropy_stop: float = opt(
        0.0,
        "stop when the policy's entropy per token falls below this; 0 = never",
        low=0.0,
        high=20.0,
        unit="nats",
        group="objective",
    )
    gamma: float = opt(1.0, "discount", low=0.0, high=1.0, group="objective")
    gae_lambda: float = opt(0.95, "λ of generalised advantage estimation", low=0.0, high=1.0, group="objective")
    clip: float = opt(0.2, "ε of the policy ratio", low=0.001, high=10.0, group="objective")
    clip_high: float = opt(0.0, "ε above 1, if another than below; 0 = the same", low=0.0, high=10.0, group="objective")
    dual_clip: float = opt(
        0.0, "bound of the loss at this many times |A| where A < 0; 0 = none", low=0.0, high=100.0, group="objective"
    )
    value_clip: float = opt(0.2, "ε of the value; 0 = off", low=0.0, high=1000.0, group="objective")
    value_coef: float = opt(0.1, "weight of the value loss", low=0.0, high=100.0, group="objective")
    value_model: str = opt(
        "head",
        "critic: a head on the policy's trunk, or its own adapter started from the reward model",
        choices=("head", "adapter"),
        group="critic",
    )
    value_learning_rate: float = opt(3e-3, "learning rate of the critic's head", low=0.0, high=1.0, group="critic")
    value_warmup: int = opt(0, "updates that train the critic only", low=0, high=1_000_000, group="critic")
    whiten_advantages: bool = opt(True, "advantages to mean 0, variance 1 over the rollout batch", group="objective")
    whiten_scores: bool = opt(False, "scores to mean 0, variance 1 over the rollout batch", group="objective")
    scale_scores: bool = opt(
        False, "scores divided by their deviation over all updates so far, their mean kept", group="objective"
    )
    whiten_rewards: bool = opt(False, "rewards per token to variance 1, their mean kept", group="objective")
    score_clip: float = opt(0.0, "scores are clipped to ± this; 0 = never", low=0.0, high=1000.0, group="objective")
    truncated: str = opt(
        "override",
        "answers without an end token: replace the score, add to it, keep it, learn nothing, or go on from the value",
        choices=("override", "penalty", "keep", "mask", "bootstrap"),
        group="objective",
    )
    truncated_value: float = opt(
        -1.0,
        "the score (override) or what is added to it (penalty); demonstrations average 0",
        low=-1000.0,
        high=1000.0,
        group="objective",
    )
    overlong_tokens: int = opt(
        0, "the last tokens before the limit are penalised; 0 = none", low=0, high=131072, group="objective"
    )
    overlong_penalty: float = opt(
        1.0, "subtracted from the score of an answer at the limit", low=0.0, high=1000.0, group="objective"
    )
    ptx_coef: float = opt(
        0.0,
        "γ of PPO-ptx: weight of the language-model loss on data.documents or data.demonstrations",
        low=0.0,
        high=1000.0,
        group="pretraining mix",
    )
    ptx_rows: int = opt(8, "rows of that text per optimiser step", low=1, high=65536, group="pretraining mix")
    ptx_tokens: int = opt(
        256, "tokens in a row; longer documents are cut", low=8, high=131072, unit="tokens", group="pretraining mix"
    )
    ema_decay: float = opt(
        0.0,
        "export an average of the weights that keeps this share per update; 0 = the last weights",
        low=0.0,
        high=0.9999,
        group="adapter",
    )
    gold_window: int = opt(
        5, "updates over which a rising score and a falling gold score are warned of", low=2, high=1000
    )
    samples_every: int = opt(
        1, "updates between texts written to samples.jsonl", low=1, high=1_000_000, group="machine"
    )
    compile: bool = opt(
        False, "replay decoding steps as CUDA graphs; pays for many short steps, CUDA only", group="machine"
    )

    def check(self) -> None:
        self._check_steps()
        self._check_scores()
        self._check_machine()

    def _check_steps(self) -> None:
        if self.minibatches > self.rollout_prompts:
            raise ConfigError("minibatches", f"cannot exceed rollout_prompts ({self.rollout_prompts})")
        if self.value_model == "adapter" and self.tuning != "lora":
            raise ConfigError("value_model", "an adapter critic needs tuning 'lora'")
        if self.value_warmup >= self.updates:
            raise ConfigError("value_warmup", f"must be below updates ({self.updates}): the policy would never learn")
        if self.inner_kl_target and self.inner_epochs * self.minibatches == 1:
            raise ConfigError("inner_kl_target", "needs inner_epochs or minibatches above 1: one step cannot end early")
        if 0.0 < self.clip_high < self.clip:
            raise ConfigError("clip_high", f"must be at least clip ({self.clip}), or 0 for the same")
        if 0.0 < self.dual_clip <= 1.0 + max(self.clip, self.clip_high):
            raise ConfigError("dual_clip", "must exceed 1 + clip, or it would undo it; 3 is usual")
        if self.kl_target and not self.kl_coef:
            raise ConfigError("kl_target", "multiplies kl_coef, and 0 stays 0: start from a kl_coef above 0")
        if not self.kl_target:
            self.check_idle(["kl_horizon"], without="kl_target")
        if not self.ptx_coef:
            self.check_idle(["ptx_rows", "ptx_tokens"], without="ptx_coef")

    def _check_scores(self) -> None:
        if self.scale_scores and self.whiten_scores:
            raise ConfigError("scale_scores", "has no effect with whiten_scores, which sets the scale anew: use one")
        if self.whiten_rewards and self.rollout_prompts < FEWEST_TO_WHITEN:
            raise ConfigError("whiten_rewards", f"needs rollout_prompts of at least {FEWEST_TO_WHITEN}")
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError("min_new_tokens", f"cannot exceed max_new_tokens ({self.max_new_tokens})")
        if self.overlong_tokens > self.max_new_tokens:
            raise ConfigError("overlong_tokens", f"cannot exceed max_new_tokens ({self.max_new_tokens})")
        if not self.overlong_tokens:
            self.check_idle(["overlong_penalty"], without="overlong_tokens")
        if self.truncated not in ("override", "penalty"):
            self.check_idle(["truncated_value"], when="truncated")

    def _check_machine(self) -> None:
        if self.compile and self.shard:
            raise ConfigError("compile", "does not apply with shard, whose weights come and go: leave it off")
        if self.compile and self.base_precision != AS_COMPUTED:
            raise ConfigError("compile", f"does not apply when base_precision is '{self.base_precision}': leave it off")

    def check_reads(self, inputs: Collection[str], data: Collection[str]) -> None:
        if self.reward and "reward" in inputs:
            raise ConfigError("reward", "replaces inputs.reward: give one of the two")
        if not self.reward and "reward" not in inputs:
            raise ConfigError("inputs.reward", "a ppo run needs a checkpoint as reward, or the setting 'reward'")
        if self.reward and self.value_model == "adapter":
            raise ConfigError("value_model", "an adapter starts from inputs.reward: use head with a function")
        mixed = sorted({"data.documents", "data.demonstrations"} & {f"data.{kind}" for kind in data})
        if self.ptx_coef and not mixed:
            raise ConfigError("ptx_coef", "needs data.documents or data.demonstrations to learn from; or use 0")
        if mixed and not self.ptx_coef:
            raise ConfigError("ptx_coef", f"must be above 0 when {mixed[0]} is given (27.8 in InstructGPT)")
        if "gold" not in inputs:
            self.check_idle(["gold_window"], without="inputs.gold")
