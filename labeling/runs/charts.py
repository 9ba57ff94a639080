"""Which charts a run's page shows, by kind of run: title, unit, scale, target line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labeling.runs.models import Run


@dataclass(frozen=True)
class Chart:
    """One small multiple. `target` names the config field whose value is drawn as a line (0 draws none)."""

    metric: str
    title: str
    note: str = ""
    log: bool = False
    target: str = ""
    goal: float | None = None


PPO = [
    Chart("objective/score", "Reward", "mean score of the batch"),
    Chart("objective/kl", "KL from the start", "nats per answer", target="kl_target"),
    Chart("rollout/length", "Answer length", "tokens"),
    Chart("objective/entropy", "Entropy", "nats per token"),
    Chart("policy/loss", "Policy loss"),
    Chart("value/loss", "Value loss", log=True),
    Chart("value/explained_variance", "Explained variance", "of the critic"),
    Chart("policy/clip_fraction", "Clipped ratios", "share of tokens"),
    Chart("rollout/eos_fraction", "Finished answers", "share"),
]
CHARTS: dict[str, list[Chart]] = {
    "pretrain": [
        Chart("pretrain/loss", "Loss", "nats per token"),
        Chart("pretrain/learning_rate", "Learning rate"),
        Chart("pretrain/grad_norm", "Gradient norm"),
    ],
    "sft": [
        Chart("sft/loss", "Loss", "nats per answer token"),
        Chart("sft/learning_rate", "Learning rate"),
        Chart("sft/grad_norm", "Gradient norm"),
    ],
    "reward": [
        Chart("reward/loss", "Ranking loss"),
        Chart("reward/accuracy", "Accuracy", "of pairs"),
        Chart("reward/score_mean", "Mean score"),
        Chart("reward/score_std", "Spread of scores"),
        Chart("reward/learning_rate", "Learning rate"),
        Chart("reward/grad_norm", "Gradient norm"),
    ],
    "ppo": PPO,
    "sample": [Chart("sample/completions", "Completions", "done so far")],
    "evaluate": [],
}


def charts_of(run: Run) -> list[dict[str, Any]]:
    """The charts of this kind for which there are, or will be, numbers; when the run is over only those that have some."""
    shown = []
    for chart in CHARTS[run.kind]:
        value = run.latest.get(chart.metric)
        if value is None and (run.is_over or run.metrics_rows) and f"valid/{chart.metric}" not in run.latest:
            continue
        target = float(run.config.get(chart.target) or 0.0) if chart.target else 0.0
        shown.append({"chart": chart, "latest": value, "target": target or None})
    return shown


def others_of(run: Run) -> list[tuple[str, float]]:
    """Every other newest number, for the table below the charts."""
    charted = {chart.metric for chart in CHARTS[run.kind]}
    return sorted((name, value) for name, value in run.latest.items() if name not in charted)
