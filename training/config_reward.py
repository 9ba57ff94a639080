"""The settings of the reward stage. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from training.config_fields import ConfigError, TrainConfig, opt


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
