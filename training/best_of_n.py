"""Best of n: reward models score the candidates of a completion, one is kept, and its curve of over-optimisation is drawn.

inputs.reward chooses; inputs.gold only watches. What the curve needs stands in the `sampling` of every record, so that it
survives a stop with the completions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from training.advantages import best_of_n_kl
from training.backbone import Backbone
from training.contracts import CompletionRecord, ContractError
from training.overoptimisation import Point, curve_sizes, expected_best, fit_best_of_n
from training.reward_model import RewardModel, load_reward
from training.sampling import Sampled
from training.session import Session

MICRO_TOKENS = 8192  # padded tokens in one forward pass of a reward model


@dataclass(frozen=True)
class Judges:
    """The reward model that chooses and the one that only watches; each may be missing."""

    reward: RewardModel | None
    gold: RewardModel | None

    def check_tokenizer(self, backbone: Backbone, policy: str) -> None:
        """Answers go to reward models as token ids: all must have the policy's vocabulary. Raises ContractError."""
        for role, model in (("reward", self.reward), ("gold", self.gold)):
            if model is not None and model.backbone.tokenizer.get_vocab() != backbone.tokenizer.get_vocab():
                raise ContractError(
                    f"inputs.{role} has another tokenizer than the policy '{policy}': it cannot read its tokens"
                )


def load_judges(session: Session) -> Judges:
    """The reward models that the spec names, each on a trunk of its own."""
    settings: dict[str, Any] = {"device": session.device, "dtype": session.dtype, "micro_tokens": MICRO_TOKENS}
    named = [load_reward(session.input(r), **settings) if session.inputs(r) else None for r in ("reward", "gold")]
    return Judges(*named)


def best_answers(
    judges: Judges, prompts: Sequence[list[int]], candidates: Sequence[Sequence[Sampled]]
) -> list[tuple[Sampled, dict[str, float]]]:
    """Per prompt the candidate with the highest score (the first of equals), and what the judges say of it and the others.

    `score` and `gold_score` are of the one kept, `score_mean` of all; `score_best_of_N` and `gold_score_best_of_N` are
    points of its curve. The reward models read `prompts` alone, as labelers did, not the system text and turns put before.
    """
    if judges.reward is None:
        return [(answers[0], {}) for answers in candidates]
    pairs = [(prompt, answer.ids) for prompt, answers in zip(prompts, candidates, strict=True) for answer in answers]
    scores = iter(judges.reward.score(pairs).tolist())
    golds = iter(judges.gold.score(pairs).tolist() if judges.gold else ())
    found = []
    for answers in candidates:
        own = [next(scores) for _ in answers]
        best = max(range(len(own)), key=lambda at: (own[at], -at))
        said = {"score": own[best], "score_mean": sum(own) / len(own)}
        if judges.gold:
            watched = [next(golds) for _ in answers]
            said |= {"gold_score": watched[best]} | curve_part(own, watched)
        found.append((answers[best], said))
    return found


def curve_part(scores: Sequence[float], golds: Sequence[float]) -> dict[str, float]:
    """What one completion's candidates add to the curve: the expected score and gold score of the best of 1, 2, 4, …"""
    found = {}
    for n in curve_sizes(len(scores)):
        found[f"score_best_of_{n}"], found[f"gold_score_best_of_{n}"] = expected_best(scores, golds, n)
    return found


def curve_of(records: Sequence[CompletionRecord], best_of: int) -> Iterator[tuple[int, Point]]:
    """(n, its point) for n = 1, 2, 4, … up to `best_of`: means over the records, at the KL of best-of-n."""
    for n in curve_sizes(best_of):
        score, gold = (
            fmean(row.sampling[f"{name}_best_of_{n}"] for row in records) for name in ("score", "gold_score")
        )
        yield n, Point(best_of_n_kl(n), score, gold)


def report_curve(session: Session, records: Sequence[CompletionRecord], best_of: int) -> dict[str, Any]:
    """Log a line for every n (its `step`, split best_of); return the fitted curve as the run's metrics."""
    points = []
    for n, point in curve_of(records, best_of):
        points.append(point)
        numbers = {"kl": point.kl, "sqrt_kl": point.kl**0.5, "score": point.score, "gold_score": point.gold}
        session.log(n, "best_of", **{f"sample/{name}": value for name, value in numbers.items()})
    fit = fit_best_of_n(points)
    return {"gold_a": fit.a, "gold_b": fit.b, "gold_peak_kl": fit.peak_kl} if fit else {}
