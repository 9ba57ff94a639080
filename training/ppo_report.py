"""What a PPO rollout itself says, as numbers and as texts."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from training.answers import answer_statistics
from training.losses import kl_k3
from training.rollouts import Learner, Rollout
from training.sampling import answer_text
from training.session import Session

SHOWN = 4  # answers of a rollout written to samples.jsonl


def describe(rollout: Rollout, scores_R: Tensor, kl_coef: float) -> dict[str, float]:
    """What the rollout itself says, before any step; `scores_R` enter the reward. KL is in nats; per answer unless named otherwise."""
    mask = rollout.mask_RT
    kl_R = rollout.kl_RT.sum(1)
    found = {} if rollout.gold_R is None else {"objective/gold_score": float(rollout.gold_R.mean())}
    if rollout.score_spread is not None:
        found["objective/score_spread"] = rollout.score_spread
    if rollout.score_scale is not None:
        found["objective/score_scale"] = rollout.score_scale
    return found | {
        "objective/score": float(rollout.scores_R.mean()),
        "objective/score_std": float(rollout.scores_R.std(correction=0)),
        "objective/score_used": float(scores_R.mean()),
        "objective/rlhf_reward": float((scores_R - kl_coef * kl_R).mean()),
        "objective/kl": float(kl_R.mean()),
        "objective/kl_per_token": float(rollout.kl_RT[mask].mean()),
        "objective/kl_k3_per_token": float(kl_k3(rollout.logprobs_RT[mask], rollout.reference_RT[mask]).mean()),
        "objective/kl_coef": kl_coef,
        **{f"rollout/{name}": value for name, value in answer_statistics(rollout.answers).items()},
    }


RESULT_NAMES = {
    "score": "objective/score",
    "gold_score": "objective/gold_score",
    "kl": "objective/kl",
    "kl_per_token": "objective/kl_per_token",
    "entropy": "objective/entropy",
    "length": "rollout/length",
    "eos_fraction": "rollout/eos_fraction",
    "repeat_4gram": "rollout/repeat_4gram",
}


def result_numbers(facts: dict[str, float]) -> dict[str, float]:
    """The numbers of a rollout that the run's page shows before and after."""
    return {name: facts[source] for name, source in RESULT_NAMES.items() if source in facts}


def show(session: Session, learner: Learner, rollout: Rollout, texts: dict[str, str], update: int) -> None:
    """Write the first answers of the rollout to samples.jsonl."""
    kl_R = rollout.kl_RT.sum(1).tolist()
    for at in range(min(SHOWN, len(rollout.answers))):
        answer = rollout.answers[at]
        facts: dict[str, Any] = {
            "score": float(rollout.scores_R[at]),
            "kl": kl_R[at],
            "tokens": len(answer.ids),
            "finished": answer.finished,
        }
        prompt, text = texts[rollout.prompts[at].id], answer_text(learner.policy, answer)
        session.sample(update, prompt=prompt, text=text, **facts)
