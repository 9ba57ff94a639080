"""TRL 1.12's PPOTrainer: policy, reference, value and reward model as four models. Later versions have none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import trl.experimental.ppo.ppo_trainer as trainer_module
from datasets import Dataset
from transformers import TrainerCallback
from trl.experimental.ppo import PPOConfig, PPOTrainer

from benchmarks.harness import llama
from benchmarks.harness.clock import Clock
from benchmarks.peers import trainer_settings


class Phases(TrainerCallback):
    """Times each update and its phases: sample, train, and score, which is the rest."""

    def __init__(self, clock: Clock, between: Callable[[int], None]) -> None:
        self.clock, self.between = clock, between
        self.begin = self.train_begin = self.sampling = 0.0
        self.generate = trainer_module.batch_generation

    def timed_generation(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's batch_generation, timed."""
        begin = self.clock.now()
        found = self.generate(*args, **kwargs)
        self.sampling = self.clock.now() - begin
        self.train_begin = 0.0
        return found

    def before_forward(self, *_: Any) -> None:
        """Policy and value model are called together in the inner epochs only: the first such call begins them."""
        self.train_begin = self.train_begin or self.clock.now()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The first update begins."""
        self.begin = self.clock.now()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One update is done; the next begins when the other side has had its turn."""
        end = self.clock.now()
        self.clock.add("trl", end - self.begin)
        self.clock.add("trl_sample", self.sampling)
        self.clock.add("trl_score", self.train_begin - self.begin - self.sampling)
        self.clock.add("trl_train", end - self.train_begin)
        self.between(state.global_step - 1)
        self.begin = self.clock.now()


def train(
    size: str,
    prompts: Sequence[Sequence[int]],
    *,
    batch: int,
    micro_rows: int,
    answer_tokens: int,
    epochs: int,
    clock: Clock,
    between: Callable[[int], None],
) -> dict[str, int]:
    """PPO updates over the prompts, `batch` at a time; return the parameters held and trained. Times go to `clock` as trl…"""
    models = {
        "model": llama.language_model(size, 0),
        "ref_model": llama.language_model(size, 0),
        "reward_model": llama.reward_model(size, 1),
        "value_model": llama.reward_model(size, 1),
    }
    phases = Phases(clock, between)
    data = Dataset.from_list([{"input_ids": list(prompt)} for prompt in prompts])
    trainer_module.batch_generation = phases.timed_generation
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = PPOConfig(
                per_device_train_batch_size=micro_rows,
                gradient_accumulation_steps=batch // micro_rows,
                num_mini_batches=1,
                num_ppo_epochs=epochs,
                total_episodes=len(prompts),
                response_length=answer_tokens,
                local_rollout_forward_batch_size=micro_rows,
                temperature=0.7,
                learning_rate=3e-6,
                num_sample_generations=0,
                gradient_checkpointing=False,
                **trainer_settings.plain(folder, clock.device),
            )
            trainer = PPOTrainer(
                args=settings,
                processing_class=llama.tokenizer(size),
                train_dataset=data,
                eval_dataset=data.select(range(batch)),
                callbacks=[phases],
                **models,
            )
            trainer.model.register_forward_pre_hook(phases.before_forward)
            trainer.train()
    finally:
        trainer_module.batch_generation = phases.generate
    trained = ("model", "value_model")
    return {
        "held": sum(llama.parameters(model) for model in models.values()),
        "trained": sum(llama.parameters(models[name]) for name in trained),
    }
