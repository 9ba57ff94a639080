"""Which charts a run's page shows, by kind of run: title, unit, scale, target line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from labeling.runs.models import Run


@dataclass(frozen=True)
class Chart:
    """One small multiple. `target` names the config field whose value is drawn as a line (0 draws none).

    A `late` one has its numbers at the end, and not in every run: it is shown when they are there.
    """

    metric: str
    title: Promise
    note: Promise | str = ""
    log: bool = False
    target: str = ""
    goal: float | None = None
    late: bool = False


PPO = [
    Chart("objective/score", _("Reward"), _("mean score of the batch")),
    Chart("objective/kl", _("KL from the start"), _("nats per answer"), target="kl_target"),
    Chart("rollout/length", _("Answer length"), _("tokens")),
    Chart("objective/entropy", _("Entropy"), _("nats per token")),
    Chart("policy/loss", _("Policy loss")),
    Chart("value/loss", _("Value loss"), log=True),
    Chart("value/explained_variance", _("Explained variance"), _("of the critic")),
    Chart("policy/clip_fraction", _("Clipped ratios"), _("share of tokens")),
    Chart("rollout/eos_fraction", _("Finished answers"), _("share")),
]
CHARTS: dict[str, list[Chart]] = {
    "pretrain": [
        Chart("pretrain/loss", _("Loss"), _("nats per token")),
        Chart("pretrain/learning_rate", _("Learning rate")),
        Chart("pretrain/grad_norm", _("Gradient norm")),
    ],
    "sft": [
        Chart("sft/loss", _("Loss"), _("nats per answer token")),
        Chart("sft/learning_rate", _("Learning rate")),
        Chart("sft/grad_norm", _("Gradient norm")),
    ],
    "reward": [
        Chart("reward/loss", _("Ranking loss")),
        Chart("reward/accuracy", _("Accuracy"), _("of pairs")),
        Chart("reward/score_mean", _("Mean score")),
        Chart("reward/score_std", _("Spread of scores")),
        Chart("reward/learning_rate", _("Learning rate")),
        Chart("reward/grad_norm", _("Gradient norm")),
    ],
    "ppo": PPO,
    "sample": [
        Chart("sample/completions", _("Completions"), _("done so far")),
        Chart("best_of/sample/score", _("Reward of the best of n"), _("by n candidates"), late=True),
        Chart("best_of/sample/gold_score", _("Gold reward of the best of n"), _("by n candidates"), late=True),
    ],
    "evaluate": [],
}


def charts_of(run: Run) -> list[dict[str, Any]]:
    """The charts of this kind for which there are, or will be, numbers; when the run is over only those that have some."""
    shown = []
    for chart in CHARTS[run.kind]:
        value = run.latest.get(chart.metric)
        if (
            value is None
            and (chart.late or run.is_over or run.metrics_rows)
            and f"valid/{chart.metric}" not in run.latest
        ):
            continue
        target = float(run.config.get(chart.target) or 0.0) if chart.target else 0.0
        shown.append({"chart": chart, "latest": value, "target": target or None})
    return shown


def others_of(run: Run) -> list[tuple[str, float]]:
    """Every other newest number, for the table below the charts."""
    charted = {chart.metric for chart in CHARTS[run.kind]}
    return sorted((name, value) for name, value in run.latest.items() if name not in charted)
