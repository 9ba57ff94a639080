"""The settings of every stage, as dataclasses: defaults, help, units and bounds in one place. Standard library only.

The run form, the API and the stages all read these. An unknown key is an error; so is a value out of its bounds. What
a field is stands in `config_fields.py`; the larger stages have files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.config_fields import AS_COMPUTED as AS_COMPUTED
from training.config_fields import Config as Config
from training.config_fields import ConfigError as ConfigError
from training.config_fields import TrainConfig as TrainConfig
from training.config_fields import describe as describe
from training.config_fields import opt
from training.config_ppo import PpoConfig as PpoConfig
from training.config_reward import RewardConfig as RewardConfig
from training.config_sample import SampleConfig as SampleConfig
from training.contracts import Kind


@dataclass(frozen=True)
class PretrainConfig(TrainConfig):
    """A small Llama-architecture base from plain text."""

    tuning: str = opt("full", "a new model has no adapter: every weight is trained", choices=("full",), group="adapter")
    steps: int = opt(200, "optimiser steps", low=1, high=10_000_000, unit="steps")
    batch_rows: int = opt(8, "packed rows in a batch", low=1, high=65536)
    context: int = opt(256, "tokens in a row", low=16, high=131072, unit="tokens")
    vocab_size: int = opt(2048, "size of the BPE vocabulary trained on the text", low=300, high=262144)
    layers: int = opt(4, "transformer layers", low=1, high=256)
    hidden: int = opt(128, "width", low=16, high=65536)
    heads: int = opt(4, "attention heads", low=1, high=1024)
    weights: str = opt("", "mixture weights as source=weight pairs, comma separated; empty = by size")

    def check(self) -> None:
        if self.hidden % self.heads:
            raise ConfigError("heads", f"must divide hidden ({self.hidden})")


@dataclass(frozen=True)
class SftConfig(TrainConfig):
    """Supervised fine-tuning on demonstrations; loss on the answer's tokens only."""

    epochs: int = opt(1, "passes over the demonstrations", low=1, high=1000)
    batch_size: int = opt(8, "demonstrations per optimiser step", low=1, high=65536)
    max_tokens: int = opt(512, "longer demonstrations are an error", low=8, high=131072, unit="tokens")
    pack: str = opt(
        "auto",
        "short demonstrations share rows, none seeing another; auto where that is cheaper",
        choices=("auto", "always", "never"),
        group="machine",
    )


@dataclass(frozen=True)
class EvaluateConfig(Config):
    """Held-out numbers: reward accuracy and calibration, KL, entropy, length, repetition, win rate under a reward."""

    split: str = opt("test", "which split to evaluate", choices=("train", "valid", "test"))
    n: int = opt(2, "answers per prompt", low=1, high=64)
    temperature: float = opt(1.0, "sampling temperature", low=0.05, high=10.0)
    max_new_tokens: int = opt(128, "longest answer", low=1, high=131072, unit="tokens")
    batch_rows: int = opt(64, "rows decoded together", low=1, high=65536, group="machine")
    max_tokens: int = opt(1024, "prompt + one completion", low=8, high=131072, unit="tokens")


CONFIGS: dict[Kind, type[Config]] = {
    Kind.PRETRAIN: PretrainConfig,
    Kind.SFT: SftConfig,
    Kind.SAMPLE: SampleConfig,
    Kind.REWARD: RewardConfig,
    Kind.PPO: PpoConfig,
    Kind.EVALUATE: EvaluateConfig,
}


def config_for(kind: str | Kind, row: dict[str, Any]) -> Config:
    """The validated config of a stage; raises ConfigError."""
    try:
        return CONFIGS[Kind(kind)].from_dict(row)
    except ConfigError:
        raise
    except ValueError as problem:
        raise ConfigError("kind", f"must be one of {', '.join(Kind)}") from problem
