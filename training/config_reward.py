"""The settings of the reward stage. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from training.config_fields import ConfigError, TrainConfig, opt

VARIANCE_PENALTY = 0.5
OF_STEPS = (  # what only an optimiser's steps know
    "batch_size",
    "learning_rate",
    "head_learning_rate",
    "warmup_steps",
    "schedule",
    "weight_decay",
    "max_grad_norm",
)


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
    feature_cache: str = opt(
        "",
        "folder beside the run that keeps what the head reads, so that a frozen trunk runs once per text; empty = none",
        group="machine",
    )
    readout: str = opt(
        "last",
        "score from the last token, from the mean over the completion, or from both side by side",
        choices=("last", "mean", "both"),
    )
    weighting: str = opt(
        "prompt", "each prompt, or each pair, weighs the same", choices=("prompt", "pair"), group="objective"
    )
    margin_scale: float = opt(
        1.0, "times the margin of each record; 0 = no margins", low=0.0, high=100.0, group="objective"
    )
    label_smoothing: float = opt(0.0, "share of labels taken as wrong", low=0.0, high=0.49, group="objective")
    centre_penalty: float = opt(0.0, "weight of mean(score²)", low=0.0, high=10.0, group="objective")
    valid_fraction: float = opt(
        0.1, "of the training prompts, held out when the data has no valid split", low=0.0, high=0.9
    )
    normalise: str = opt(
        "demonstrations", "shift scores so that these average 0", choices=("demonstrations", "completions", "none")
    )
    unit_variance: bool = opt(True, "divide scores by their deviation over the rankings' completions")
    seeds: int = opt(
        1,
        "models trained, each from its own head, adapter and order; the best on valid rankings are kept",
        low=1,
        high=64,
        group="ensemble",
    )
    members: int = opt(
        1, "how many of them are kept and score together; 1 = only the best", low=1, high=32, group="ensemble"
    )
    combine: str = opt(
        "mean",
        "score of several members: mean, smallest, or mean less a penalty on their variance",
        choices=("mean", "min", "variance"),
        group="ensemble",
    )
    variance_penalty: float = opt(VARIANCE_PENALTY, "c in mean - c·variance", low=0.0, high=1000.0, group="ensemble")
    curve_points: int = opt(
        0,
        "points of the learning curve, each on twice the rankings of the one before; 0 = none",
        low=0,
        high=10,
        group="ensemble",
    )
    pack: str = opt(
        "auto", "prompt and K completions in one row, or K rows", choices=("auto", "always", "never"), group="machine"
    )
    packed_attention: str = opt(
        "auto",
        "mask of packed rows: dense, or FlexAttention, which skips what nobody sees; auto is flex on CUDA",
        choices=("auto", "dense", "flex"),
        group="machine",
    )

    def check(self) -> None:
        if not self.epochs and not self.head_l2:
            raise ConfigError("head_l2", "must be above 0 when epochs is 0: otherwise nothing is learned")
        if self.packed_attention != "auto" and self.pack == "never":
            raise ConfigError("packed_attention", "does not apply when pack is 'never': use auto")
        if self.head_l2 and self.centre_penalty:
            raise ConfigError("centre_penalty", "does not apply when the head is fitted exactly (head_l2): use 0")
        if self.shard and not self.epochs:
            raise ConfigError(
                "shard", "saves nothing when epochs is 0: a trunk that only scores is gathered whole; use false"
            )
        if self.shard and self.tuning == "full" and (self.seeds > 1 or self.curve_points):
            raise ConfigError(
                "shard", "is for one training when tuning is 'full': use 1 for seeds and 0 for curve_points"
            )
        if not self.epochs:
            self.check_idle(OF_STEPS, when="epochs")
        if self.curve_points == 1:
            raise ConfigError("curve_points", "one point is no curve: use 0, or 2 and more")
        self._check_members()
        self._check_cache()

    def _check_members(self) -> None:
        if self.members > self.seeds:
            raise ConfigError("members", f"cannot exceed seeds ({self.seeds}): set seeds to {self.members} or more")
        if not self.epochs and self.seeds != self.members:
            raise ConfigError(
                "seeds",
                "a head fitted exactly on a frozen trunk (epochs 0) is the same for every seed: "
                "use 1, or as many as members for heads of resampled rankings",
            )
        if self.members > 1 and self.tuning != "lora":
            raise ConfigError(
                "members", "an ensemble is made of adapters or heads on one trunk: it needs tuning 'lora'"
            )
        if self.members == 1 and self.combine != "mean":
            raise ConfigError("combine", "needs members above 1: use mean")
        if self.combine != "variance" and self.variance_penalty != VARIANCE_PENALTY:
            raise ConfigError("variance_penalty", f"applies to combine 'variance' only: leave it at {VARIANCE_PENALTY}")

    def _check_cache(self) -> None:
        if not self.feature_cache:
            return
        if self.epochs:
            raise ConfigError("feature_cache", "applies to a frozen trunk only: set epochs to 0, or leave it empty")
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", self.feature_cache):
            raise ConfigError("feature_cache", "must be a plain folder name of letters, digits, '.', '_' and '-'")
