"""The settings of every stage, as dataclasses: defaults, help, units and bounds in one place. Standard library only.

The run form, the API and the stages all read these. An unknown key is an error; so is a value out of its bounds.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Self, get_type_hints

from training.contracts import Kind


class ConfigError(ValueError):
    """A setting is wrong. `field` names it, `problem` says what to do."""

    def __init__(self, field_name: str, problem: str) -> None:
        super().__init__(f"{field_name}: {problem}")
        self.field = field_name
        self.problem = problem


def opt(
    default: Any,
    help: str,  # noqa: A002 - the field's own word
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    group: str = "main",
) -> Any:
    """A config field: its default, one line of help, bounds or choices, unit, and the part of the form it stands in."""
    return field(
        default=default,
        metadata={"help": help, "low": low, "high": high, "choices": choices, "unit": unit, "group": group},
    )


@dataclass(frozen=True)
class Config:
    """Shared by all stages."""

    device: str = opt("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"), group="machine")
    precision: str = opt("auto", "auto is bf16 on CUDA, else fp32", choices=("auto", "fp32", "bf16"), group="machine")
    threads: int = opt(0, "CPU threads; 0 leaves torch's own choice", low=0, high=1024, group="machine")

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Self:
        """Build and validate; raises ConfigError for unknown keys, wrong types and values out of bounds."""
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for name, value in row.items():
            if name not in cls.__dataclass_fields__:
                raise ConfigError(name, f"unknown setting; {cls.__name__} has {', '.join(cls.__dataclass_fields__)}")
            values[name] = _coerce(name, value, hints[name])
        config = cls(**values)
        config.validate()
        return config

    def validate(self) -> None:
        """Check bounds and choices, then `check()`; raises ConfigError."""
        for item in fields(self):
            value, meta = getattr(self, item.name), item.metadata
            if meta.get("choices") and value not in meta["choices"]:
                raise ConfigError(item.name, f"must be one of {', '.join(meta['choices'])}, not {value!r}")
            low, high = meta.get("low"), meta.get("high")
            if low is not None and value < low or high is not None and value > high:
                raise ConfigError(item.name, f"must be from {low} to {'any' if high is None else high}, not {value}")
        self.check()

    def check(self) -> None:
        """Rules that span fields; raises ConfigError."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-ready values."""
        return asdict(self)


def _coerce(name: str, value: Any, kind: Any) -> Any:
    if kind in (bool, str) and isinstance(value, kind):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ConfigError(name, f"must be {getattr(kind, '__name__', kind)}, not {type(value).__name__}")


def describe(cls: type[Config]) -> list[dict[str, Any]]:
    """One entry per field for forms and documentation: name, type, default, help, bounds, choices, unit, group."""
    hints = get_type_hints(cls)
    return [
        {
            "name": item.name,
            "type": hints[item.name].__name__,
            "default": None if item.default is MISSING else item.default,
            **item.metadata,
        }
        for item in fields(cls)
    ]


@dataclass(frozen=True)
class TrainConfig(Config):
    """Shared by the stages that change weights."""

    tuning: str = opt("lora", "train a low-rank adapter or every weight", choices=("lora", "full"), group="adapter")
    lora_rank: int = opt(8, "rank of the adapter", low=1, high=1024, group="adapter")
    lora_alpha: float = opt(16.0, "scale of the adapter is alpha / rank", low=0.001, high=4096, group="adapter")
    first_adapted_layer: int = opt(
        0, "layers below stay frozen and run once a batch", low=0, high=1024, unit="layer", group="adapter"
    )
    learning_rate: float = opt(1e-4, "peak learning rate", low=0.0, high=1.0)
    warmup_steps: int = opt(0, "steps from a tenth of the peak to the peak", low=0, high=1_000_000, unit="steps")
    schedule: str = opt("cosine", "after warm-up: constant, or cosine to a tenth", choices=("constant", "cosine"))
    weight_decay: float = opt(0.0, "AdamW weight decay", low=0.0, high=10.0)
    max_grad_norm: float = opt(1.0, "gradients are clipped to this norm", low=0.0001, high=1e6)
    micro_tokens: int = opt(
        4096, "padded tokens in one forward pass", low=16, high=100_000_000, unit="tokens", group="machine"
    )
    checkpoint_every: int = opt(
        50,
        "steps between checkpoints for resume; 0 = only when stopped",
        low=0,
        high=1_000_000,
        unit="steps",
        group="machine",
    )


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


@dataclass(frozen=True)
class SampleConfig(Config):
    """Completions of prompts from one or more policies."""

    n: int = opt(4, "completions per prompt and policy", low=1, high=1024)
    temperature: float = opt(1.0, "softmax temperature; 0 is greedy", low=0.0, high=10.0)
    top_p: float = opt(1.0, "nucleus: smallest set of tokens with this probability", low=0.01, high=1.0)
    max_new_tokens: int = opt(128, "longest completion", low=1, high=131072, unit="tokens")
    batch_rows: int = opt(64, "rows decoded together", low=1, high=65536, group="machine")
    system: str = opt("", "system text put before every prompt")


@dataclass(frozen=True)
class RewardConfig(TrainConfig):
    """Reward model from K-way rankings: all pairs of a prompt in one element, ties dropped (Ouyang et al. 2022, eq. 1)."""

    epochs: int = opt(
        1, "passes over the rankings; repeated pairs overfit; 0 leaves the trunk as it is", low=0, high=100
    )
    batch_size: int = opt(16, "rankings per optimiser step", low=1, high=65536, unit="rankings")
    max_tokens: int = opt(1024, "prompt + one completion; longer ones are an error", low=8, high=131072, unit="tokens")
    trunk_layers: int = opt(0, "use only the first n layers; 0 = all", low=0, high=1024, unit="layers", group="adapter")
    head_learning_rate: float = opt(2e-3, "learning rate of the scalar head", low=0.0, high=1.0)
    head_l2: float = opt(0.0, "above 0, fit the head exactly at the end, with this weight on |w|²", low=0.0, high=1e6)
    readout: str = opt(
        "last", "score from the last token, or from the mean over the completion", choices=("last", "mean")
    )
    weighting: str = opt("prompt", "each prompt, or each pair, weighs the same", choices=("prompt", "pair"))
    label_smoothing: float = opt(0.0, "share of labels taken as wrong", low=0.0, high=0.49)
    centre_penalty: float = opt(0.0, "weight of mean(score²)", low=0.0, high=10.0)
    valid_fraction: float = opt(
        0.1, "of the training prompts, held out when the data has no valid split", low=0.0, high=0.9
    )
    normalise: str = opt(
        "demonstrations", "shift scores so that these average 0", choices=("demonstrations", "completions", "none")
    )
    pack: str = opt(
        "auto", "prompt and K completions in one row, or K rows", choices=("auto", "always", "never"), group="machine"
    )

    def check(self) -> None:
        if not self.epochs and not self.head_l2:
            raise ConfigError("head_l2", "must be above 0 when epochs is 0: otherwise nothing is learned")
        if self.head_l2 and self.centre_penalty:
            raise ConfigError("centre_penalty", "does not apply when the head is fitted exactly (head_l2): use 0")


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
