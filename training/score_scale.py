"""The zero and the unit of a reward: demonstrations average 0 (Ouyang et al. 2022, §3.5), completions have deviation 1.

Kept with the reward as bias and gain, with what set them, and applied in `RewardModel.score` alone.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Sequence
from typing import Any

from training.chat import TokenRow
from training.configs import RewardConfig
from training.records import RankingRow
from training.reward_scoring import Answer, RewardModel

MEASURED = 512  # rankings, or demonstrations, that set zero and unit
SMALLEST = 1e-6  # a deviation below this is no unit


def set_scale(
    model: RewardModel, rows: Sequence[RankingRow], shown: Sequence[TokenRow], config: RewardConfig, *, seed: int
) -> dict[str, Any]:
    """Set the model's bias and gain as the config says; return what set them: normalise, n texts and their sha256."""
    model.bias, model.gain = 0.0, 1.0
    if config.normalise == "none" and not config.unit_variance:
        return {"normalise": "none", "n": 0, "zero_sha256": ""}
    answers = completions_of(rows, seed=seed)
    scores = model.score(answers, raw=True)
    if config.unit_variance and (spread := float(scores.std(correction=0))) > SMALLEST:
        model.gain = spread
    by_demonstrations = config.normalise == "demonstrations" and bool(shown)
    if by_demonstrations:
        answers = [last_answer(row.ids, row.response) for row in shown]
        scores = model.score(answers, raw=True)
    if config.normalise != "none":
        model.bias = float(scores.mean())
    on = "demonstrations" if by_demonstrations else "none" if config.normalise == "none" else "completions"
    return {"normalise": on, "n": len(answers), "zero_sha256": answers_sha256(answers)}


def demonstration_scores(model: RewardModel, shown: Sequence[TokenRow]) -> dict[str, Any]:
    """Mean and deviation of the demonstrations' scores, bias and gain applied; None without demonstrations."""
    if not shown:
        return {"mean": None, "std": None, "n": 0}
    scores = model.score([last_answer(row.ids, row.response) for row in shown])
    return {"mean": float(scores.mean()), "std": float(scores.std(correction=0)), "n": len(shown)}


def completions_of(rows: Sequence[RankingRow], *, seed: int) -> list[Answer]:
    """The completions of at most `MEASURED` rankings, drawn with the seed."""
    drawn = random.Random(f"{seed}:zero").sample(list(rows), min(MEASURED, len(rows)))
    return [(row.prompt, answer) for row in drawn for answer in row.completions]


def last_answer(ids: list[int], response: list[bool]) -> Answer:
    """Split a demonstration into what comes before its last answer, and that answer."""
    start = max(at for at in range(1, len(ids)) if response[at] and not response[at - 1])
    return ids[:start], ids[start:]


def answers_sha256(answers: Sequence[Answer]) -> str:
    """Identity of texts as tokens, in order."""
    digest = hashlib.sha256()
    for prompt, answer in answers:
        digest.update(array("q", [len(prompt), len(answer), *prompt, *answer]).tobytes())
    return digest.hexdigest()


def centre_of(model: RewardModel, answers: Sequence[Answer]) -> float:
    """Mean raw score of the answers."""
    return float(model.score(answers, raw=True).mean())
