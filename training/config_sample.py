"""The settings of the sample stage. Standard library only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from training.config_fields import Config, ConfigError, opt

CURVE_LEAST = 4  # candidates: a curve is fitted to two points beyond the first, those of 2 and of 4


@dataclass(frozen=True)
class SampleConfig(Config):
    """Completions of prompts from one or more policies."""

    n: int = opt(4, "completions per prompt and policy", low=1, high=1024)
    best_of: int = opt(1, "candidates per completion; the one inputs.reward scores highest is kept", low=1, high=1024)
    temperature: float = opt(1.0, "softmax temperature; 0 is greedy", low=0.0, high=10.0)
    top_p: float = opt(1.0, "nucleus: smallest set of tokens with this probability", low=0.01, high=1.0)
    max_new_tokens: int = opt(128, "longest completion", low=1, high=131072, unit="tokens")
    min_new_tokens: int = opt(0, "tokens before a completion may end", low=0, high=131072, unit="tokens")
    batch_rows: int = opt(64, "rows decoded together", low=1, high=65536, group="machine")
    compile: bool = opt(
        False, "replay decoding steps as CUDA graphs; pays for many short steps, CUDA only", group="machine"
    )
    system: str = opt("", "system text put before every prompt")
    shots: int = opt(0, "demonstrations put before every prompt as earlier turns, from data.demonstrations", low=0)

    def check(self) -> None:
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError("min_new_tokens", f"cannot exceed max_new_tokens ({self.max_new_tokens})")
        if self.best_of > 1 and self.temperature == 0.0:
            raise ConfigError("best_of", "must be 1 at temperature 0: all candidates would be the same")
        if self.n > 1 and self.temperature == 0.0:
            raise ConfigError("n", "must be 1 at temperature 0: all completions would be the same")
        if self.temperature == 0.0:
            self.check_idle(["top_p"], when="temperature")

    def check_reads(self, inputs: Collection[str], data: Collection[str]) -> None:
        if self.best_of > 1 and "reward" not in inputs:
            raise ConfigError("best_of", "needs inputs.reward to tell which candidate is best; name one, or use 1")
        if "gold" in inputs and self.best_of < CURVE_LEAST:
            raise ConfigError(
                "best_of", f"must be at least {CURVE_LEAST} when inputs.gold is given, for a curve; or leave that out"
            )
        if self.shots and "demonstrations" not in data:
            raise ConfigError("shots", "needs data.demonstrations to take them from; or use 0")
        if "demonstrations" in data and not self.shots:
            raise ConfigError("shots", "must be at least 1 when data.demonstrations is given; or leave that out")
