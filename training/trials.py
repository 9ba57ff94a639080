"""The trainings of one reward run: candidates, each from a seed of its own, and the points of a learning curve.

They run one after the other on the same weights, which go back to their start in between; what the best ones learned
is kept on a shelf. With one candidate and no curve there is one trial and no shelf.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.configs import RewardConfig
from training.records import RankingRow


@dataclass(frozen=True)
class Trial:
    """One training from the start. `first` … `last` are its steps in the run; none when the trunk stays as it is."""

    number: int
    seed: int
    rows: list[RankingRow]
    first: int
    last: int
    candidate: bool  # else a point of the learning curve
    resampled: bool = False  # prompts drawn with replacement

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.last - self.first + 1


def plan_trials(rows: Sequence[RankingRow], config: RewardConfig, *, seed: int) -> list[Trial]:
    """Candidates first, then the points of the curve; the first candidate is its last point, unless it was resampled."""
    resampled = not config.epochs and config.members > 1
    wanted: list[tuple[int, list[RankingRow], bool]] = []
    for number in range(config.seeds):
        own = seed_of(seed, number)
        wanted.append((own, resample(rows, seed=own) if resampled else list(rows), True))
    for halvings in range(config.curve_points - 1, -1 if resampled else 0, -1):
        wanted.append((seed, subset(rows, 0.5**halvings, seed=seed), False))
    trials: list[Trial] = []
    done = 0
    for own, chosen, candidate in wanted:
        steps = math.ceil(len(chosen) / config.batch_size) * config.epochs
        trials.append(Trial(len(trials), own, chosen, done + 1, done + steps, candidate, resampled and candidate))
        done += steps
    return trials


def seed_of(seed: int, number: int) -> int:
    """The seed of candidate `number`; the first has the run's own."""
    return seed if number == 0 else random.Random(f"{seed}:candidate:{number}").randrange(2**32)


def subset(rows: Sequence[RankingRow], share: float, *, seed: int) -> list[RankingRow]:
    """The rankings of a share of the prompts, at least one; a smaller share is a part of a larger one."""
    prompts = sorted({row.prompt_id for row in rows})
    random.Random(f"{seed}:curve").shuffle(prompts)
    kept = set(prompts[: max(1, round(len(prompts) * share))])
    return [row for row in rows if row.prompt_id in kept]


def resample(rows: Sequence[RankingRow], *, seed: int) -> list[RankingRow]:
    """The rankings of as many prompts, drawn with replacement (the bootstrap, Efron 1979)."""
    by_prompt: dict[str, list[RankingRow]] = {}
    for row in rows:
        by_prompt.setdefault(row.prompt_id, []).append(row)
    drawn = random.Random(f"{seed}:bootstrap").choices(sorted(by_prompt), k=len(by_prompt))
    return [row for prompt in drawn for row in by_prompt[prompt]]


class Start:
    """The weights before the first step, to begin every trial from: with a fresh draw wherever the start was one."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = weights
        self._kept = {name: weight.detach().to("cpu", copy=True) for name, weight in weights.items()}

    @torch.no_grad()
    def again(self, trial: Trial) -> None:
        """Put the weights back; LoRA's A (Kaiming uniform, as peft draws it) and the head are drawn anew with the trial's seed."""
        generator = torch.Generator().manual_seed(trial.seed)
        for name, weight in self._weights.items():
            drawn = self._kept[name].clone()
            if name.endswith("lora_A.weight"):
                nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
            elif name == "head.weight":
                nn.init.normal_(drawn, std=1.0 / math.sqrt(drawn.shape[1] + 1), generator=generator)
            weight.copy_(drawn)


class Shelf:
    """The weights of the best `places` candidates so far, on the CPU: a part of every resume checkpoint."""

    def __init__(self, weights: Mapping[str, Tensor], places: int) -> None:
        self._weights = weights
        self._slots = [
            {name: torch.zeros_like(weight, device="cpu") for name, weight in weights.items()} for _ in range(places)
        ]

    @property
    def weights(self) -> dict[str, Tensor]:
        """Everything on the shelf, by name."""
        return {f"shelf.{at}.{name}": weight for at, slot in enumerate(self._slots) for name, weight in slot.items()}

    @torch.no_grad()
    def offer(self, number: int, reports: Sequence[Mapping[str, Any]], held: list[int]) -> None:
        """Keep the present weights as those of trial `number` if a place is free or holds a worse one; `held` says who is where."""
        if len(held) < len(self._slots):
            held.append(number)
            at = len(held) - 1
        else:
            at = min(range(len(held)), key=lambda place: quality(reports[held[place]], held[place]))
            if quality(reports[number], number) <= quality(reports[held[at]], held[at]):
                return
            held[at] = number
        for name, weight in self._weights.items():
            self._slots[at][name].copy_(weight)

    def ordered(self, reports: Sequence[Mapping[str, Any]], held: Sequence[int]) -> list[tuple[int, dict[str, Tensor]]]:
        """(number, weights) of the candidates kept, the best first."""
        places = sorted(range(len(held)), key=lambda place: quality(reports[held[place]], held[place]), reverse=True)
        return [(held[place], self._slots[place]) for place in places]

    @torch.no_grad()
    def put_back(self, weights: Mapping[str, Tensor]) -> None:
        """Make these the present weights."""
        for name, weight in self._weights.items():
            weight.copy_(weights[name])


def quality(report: Mapping[str, Any], number: int) -> tuple[float, float, int]:
    """What candidates are ordered by: accuracy on held-out pairs, then log-loss, then who came first."""
    accuracy, loss = report.get("accuracy"), report.get("log_loss")
    return (-1.0 if accuracy is None else accuracy, -math.inf if loss is None else -loss, -number)
