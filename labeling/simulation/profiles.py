"""What a demonstration of the whole loop is made of: model, amounts, settings of every stage, and the simulated labelers.

`demo` is `make demo`: the default model on two CPU cores. `tiny` is the same flow in seconds, for tests; its model is
random, so it shows that everything joins up and not that anything is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from training.configs import config_for

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class LabelerProfile:
    """How one simulated labeler judges. The demo's labelers differ, so that agreement is something to look at."""

    username: str
    noise: float = 1.0  # times the Gumbel scale at which two labelers agree on about 75 % of the pairs
    tie_margin: float = 0.0  # neighbours whose noisy scores lie closer than this are ranked as a tie
    taste: float = 0.0  # each weight of the preference is this labeler's own: times 1 ± up to this share
    seconds: float = 30.0  # median time spent on a comparison, as recorded with the work


LABELERS = (
    LabelerProfile("labeler-1", noise=0.8, tie_margin=0.05, taste=0.10, seconds=48.0),
    LabelerProfile("labeler-2", noise=0.9, tie_margin=0.10, taste=0.15, seconds=35.0),
    LabelerProfile("labeler-3", noise=1.0, tie_margin=0.05, taste=0.20, seconds=27.0),
    LabelerProfile("labeler-4", noise=1.0, tie_margin=0.15, taste=0.10, seconds=41.0),
    LabelerProfile("labeler-5", noise=1.1, tie_margin=0.00, taste=0.25, seconds=19.0),
    LabelerProfile("labeler-6", noise=1.2, tie_margin=0.10, taste=0.15, seconds=22.0),
)


@dataclass(frozen=True)
class Profile:
    """One setting of the demo. `stages` holds a run's config per stage; `evaluation` samples the held-out prompts."""

    name: str
    model: str  # folder of the base model under the models directory; "tiny" is made on the spot
    demonstrations: int
    ranking_prompts: int  # training prompts whose completions are ranked
    ranking_overlap: int  # labelers per comparison in the rankings that train the reward model
    valid_prompts: int  # of the ranking prompts, held out to measure the reward model
    evaluation_prompts: int  # held-out prompts (split test) of the closing comparison
    evaluation_completions: int  # completions of each policy in one evaluation comparison
    evaluation_overlap: int
    stages: Mapping[str, Settings]
    evaluation: Settings
    labelers: tuple[LabelerProfile, ...] = field(default=LABELERS)
    agreement: float = 0.75  # share of pairs on which two labelers with noise 1 agree

    def __post_init__(self) -> None:
        for kind, settings in (*self.stages.items(), ("sample", self.evaluation)):
            config_for(kind, dict(settings))  # a mistake shows at import, with the field's name

    @property
    def completions(self) -> int:
        """K of the comparisons that train the reward model."""
        return int(self.stages["sample"]["n"])


DEMO = Profile(
    name="demo",
    model="SmolLM2-135M-Instruct",
    demonstrations=72,
    ranking_prompts=100,
    ranking_overlap=3,
    valid_prompts=12,
    evaluation_prompts=60,
    evaluation_completions=2,
    evaluation_overlap=2,
    stages={
        # Enough steps that the policy answers as the demonstrations do: about 25 words, an example or a reason in a third.
        "sft": {
            "epochs": 2,
            "batch_size": 4,
            "learning_rate": 5e-4,
            "schedule": "constant",
            "lora_rank": 8,
            "lora_alpha": 16.0,
            "first_adapted_layer": 15,
            "max_tokens": 128,
        },
        "sample": {"n": 4, "temperature": 0.8, "max_new_tokens": 48},
        # Few rankings: the trunk stays as it is and the head is fitted exactly, which is better than an adapter and cheap.
        # The last token knows how an answer ends, the mean what it says: both are read.
        "reward": {
            "epochs": 0,
            "head_l2": 1.0,
            "readout": "both",
            "trunk_layers": 16,
            "first_adapted_layer": 15,
            "lora_rank": 1,
            "lora_alpha": 1.0,
            "max_tokens": 128,
            "normalise": "completions",
        },
        "ppo": {
            "updates": 9,
            "rollout_prompts": 32,
            "inner_epochs": 2,
            "minibatches": 2,
            "learning_rate": 1e-3,
            "warmup_steps": 4,
            "schedule": "constant",
            "lora_rank": 16,
            "lora_alpha": 32.0,
            "first_adapted_layer": 18,
            "temperature": 0.8,
            "max_new_tokens": 48,
            "kl_coef": 0.06,
            "value_learning_rate": 1e-3,
            "truncated": "override",
            "truncated_value": -1.0,
            "micro_tokens": 1024,
        },
    },
    evaluation={"n": 2, "temperature": 0.8, "max_new_tokens": 48},
)

TINY = Profile(
    name="tiny",
    model="tiny",
    demonstrations=8,
    ranking_prompts=8,
    ranking_overlap=1,
    valid_prompts=2,
    evaluation_prompts=6,
    evaluation_completions=1,
    evaluation_overlap=1,
    stages={
        "sft": {
            "epochs": 1,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "lora_rank": 4,
            "lora_alpha": 8.0,
            "threads": 1,
        },
        "sample": {"n": 4, "temperature": 1.0, "max_new_tokens": 8, "threads": 1},
        "reward": {
            "epochs": 1,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "lora_rank": 4,
            "lora_alpha": 8.0,
            "normalise": "completions",
            "threads": 1,
        },
        "ppo": {
            "updates": 2,
            "rollout_prompts": 4,
            "learning_rate": 1e-3,
            "lora_rank": 4,
            "lora_alpha": 8.0,
            "max_new_tokens": 8,
            "threads": 1,
        },
    },
    evaluation={"n": 1, "temperature": 1.0, "max_new_tokens": 8, "threads": 1},
    # A random model's texts are hardly better or worse than each other: with margins nearly all of them would be ties.
    labelers=tuple(replace(labeler, tie_margin=0.0) for labeler in LABELERS),
)

PROFILES = {profile.name: profile for profile in (DEMO, TINY)}
