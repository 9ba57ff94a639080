"""Who scores answers during PPO: a reward model, or a Python function of one's own.

A function is named `module:function` and found on the Python path. It is given B prompts, as lists of messages, and B texts:

    def score(prompts: list[list[dict[str, str]]], texts: list[str]) -> list[float]
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from training import sharding
from training.backbone import Backbone
from training.chat import Messages
from training.configs import ConfigError
from training.records import PromptRow
from training.reward_scoring import RewardModel
from training.sampling import Sampled, answer_text

RewardFunction = Callable[[list[list[dict[str, str]]], list[str]], Sequence[float]]


class Judge(Protocol):
    """Scores [R] of answers to prompts, fp32, in order."""

    @property
    def spread(self) -> float | None:
        """Standard deviation between the members of an ensemble, mean over what was scored last; None without members."""
        ...

    def at_hand(self) -> AbstractContextManager[None]:
        """All ranks go in together; inside the block each may ask for scores on its own."""
        ...

    def scores(self, prompts: Sequence[PromptRow], answers: Sequence[Sampled]) -> Tensor:
        """One score per answer; higher is better."""
        ...


@dataclass(frozen=True)
class ModelJudge:
    """A reward model; it reads the answers as token ids."""

    reward: RewardModel

    @property
    def spread(self) -> float | None:
        """In units of the score."""
        return self.reward.spread

    def at_hand(self) -> AbstractContextManager[None]:
        """With the whole weights on every rank."""
        return sharding.gathered(self.reward.backbone.model)

    def scores(self, prompts: Sequence[PromptRow], answers: Sequence[Sampled]) -> Tensor:
        """(r - bias) / gain."""
        pairs = [(prompt.ids, answer.ids) for prompt, answer in zip(prompts, answers, strict=True)]
        return self.reward.score(pairs)


@dataclass(frozen=True)
class FunctionJudge:
    """A Python function; it is given messages and texts. Whatever it raises ends the run with its own message."""

    name: str
    function: RewardFunction
    backbone: Backbone
    messages: Mapping[str, Messages]  # by prompt id
    spread = None

    def at_hand(self) -> AbstractContextManager[None]:
        """It always is."""
        return nullcontext()

    def scores(self, prompts: Sequence[PromptRow], answers: Sequence[Sampled]) -> Tensor:
        """What the function returns, checked."""
        messages = [[dict(turn) for turn in self.messages[prompt.id]] for prompt in prompts]
        return call(self.name, self.function, messages, [answer_text(self.backbone, answer) for answer in answers])


def call(name: str, function: RewardFunction, prompts: list[list[dict[str, str]]], texts: list[str]) -> Tensor:
    """Scores [R]; raises ConfigError when the function does not return one finite number per text."""
    found = list(function(prompts, texts))
    if len(found) != len(texts):
        raise ConfigError("reward", f"{name} returned {len(found)} scores for {len(texts)} texts")
    for score in found:
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
            raise ConfigError("reward", f"{name} must return finite numbers, not {score!r}")
    return torch.tensor([float(score) for score in found])


def load_function(name: str) -> RewardFunction:
    """The function named `module:function`, tried on two texts; raises ConfigError saying what is wrong with it."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigError("reward", f"must be module:function, not {name!r}")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as problem:
        raise ConfigError("reward", f"{name} cannot be imported: {problem}") from problem
    if not callable(function):
        raise ConfigError("reward", f"{name} is not a function")
    trial = [[{"role": "user", "content": "Say yes."}]] * 2
    try:
        call(name, function, trial, ["Yes.", ""])
    except ConfigError:
        raise
    except Exception as problem:
        raise ConfigError("reward", f"{name} failed on a trial of two texts: {problem!r}") from problem
    found: RewardFunction = function
    return found
