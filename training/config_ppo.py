"""The settings of the ppo stage. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from training.config_fields import ConfigError, TrainConfig, opt


@dataclass(frozen=True)
class PpoConfig(TrainConfig):
    """PPO with critic, GAE and per-token KL to the starting policy (Ouyang et al. 2022; Schulman et al. 2017)."""

    updates: int = opt(20, "rollout batches", low=1, high=1_000_000)
    rollout_prompts: int = opt(64, "episodes per update", low=1, high=1_000_000)
    minibatches: int = opt(1, "optimiser steps per inner epoch", low=1, high=1024)
    inner_epochs: int = opt(1, "passes over each rollout batch", low=1, high=64)
    max_new_tokens: int = opt(128, "longest answer", low=1, high=131072, unit="tokens")
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
    gamma: float = opt(1.0, "discount", low=0.0, high=1.0, group="objective")
    gae_lambda: float = opt(0.95, "λ of generalised advantage estimation", low=0.0, high=1.0, group="objective")
    clip: float = opt(0.2, "ε of the policy ratio", low=0.001, high=10.0, group="objective")
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
    truncated: str = opt(
        "override",
        "answers without an end token: replace the score, subtract from it, or keep it",
        choices=("override", "penalty", "keep"),
        group="objective",
    )
    truncated_value: float = opt(
        -1.0, "the score (override) or what is added to it (penalty)", low=-1000.0, high=1000.0, group="objective"
    )
    samples_every: int = opt(
        1, "updates between texts written to samples.jsonl", low=1, high=1_000_000, group="machine"
    )

    def check(self) -> None:
        if self.minibatches > self.rollout_prompts:
            raise ConfigError("minibatches", f"cannot exceed rollout_prompts ({self.rollout_prompts})")
        if self.value_model == "adapter" and self.tuning != "lora":
            raise ConfigError("value_model", "an adapter critic needs tuning 'lora'")
