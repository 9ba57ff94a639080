"""TRL's RewardTrainer on the pairs of rankings: C(K, 2) pairs a ranking, which is how a pair trainer takes them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers import LlamaForSequenceClassification, PreTrainedTokenizerFast, TrainerCallback
from trl import RewardConfig, RewardTrainer

from benchmarks.harness.clock import Clock
from benchmarks.peers import trainer_settings
from training.records import RankingRow

CHECKPOINTING = next(  # the setting has another name; TRL switches it on by default
    name for name in ("activation_checkpointing", "gradient_checkpointing") if name in RewardConfig.__dataclass_fields__
)


class Timed(TrainerCallback):
    """Times every optimiser step and calls `between` after it, outside of the time."""

    def __init__(self, clock: Clock, between: Callable[[int], None]) -> None:
        self.clock, self.between = clock, between
        self.begin = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """The batch has been put together; the forward pass is next."""
        self.begin = self.clock.now()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The optimiser has stepped."""
        self.clock.add("trl", self.clock.now() - self.begin)
        self.between(state.global_step - 1)


class Heard(RewardTrainer):
    """RewardTrainer that keeps the loss of every batch as it computed it."""

    losses: list[float]

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's own loss, noted."""
        found = super().compute_loss(*args, **kwargs)
        self.losses.append(float((found[0] if isinstance(found, tuple) else found).detach()))
        return found


def pairs_of(rows: Sequence[RankingRow]) -> list[dict[str, list[int]]]:
    """Every pair of different rank, winner first, in order of the rankings."""
    return [
        {"chosen_ids": row.prompt + row.completions[i], "rejected_ids": row.prompt + row.completions[j]}
        for row in rows
        for i, j in itertools.permutations(range(len(row.ranks)), 2)
        if row.ranks[i] < row.ranks[j]
    ]


def train(
    model: LlamaForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    rows: Sequence[RankingRow],
    *,
    rankings_per_step: int,
    learning_rate: float,
    clock: Clock,
    between: Callable[[int], None],
) -> list[float]:
    """Train on the rows in order; return the loss of every step. Times go to `clock` as "trl"; `between(step)` runs after each."""
    steps = len(rows) // rankings_per_step
    pairs = pairs_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        settings = RewardConfig(
            per_device_train_batch_size=len(pairs) // steps,
            max_steps=steps,
            train_sampling_strategy="sequential",
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            adam_beta1=0.9,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            max_length=None,
            **{CHECKPOINTING: False},
            **trainer_settings.plain(folder, clock.device),
        )
        trainer = Heard(
            model=model,
            args=settings,
            train_dataset=Dataset.from_list(pairs),
            processing_class=tokenizer,
            callbacks=[Timed(clock, between)],
        )
        trainer.losses = []
        threads = torch.get_num_threads()
        trainer.train()
        if torch.get_num_threads() != threads:
            raise RuntimeError("TRL changed the number of threads: the times cannot be compared")
    return trainer.losses
