"""The end of a reward run: choose, combine, set zero and unit, measure, write.

`agreement.json` holds the whole table: how the scores agree with held-out rankings, with the bins of the calibration, the
accuracies by rank distance, margin and length, the demonstrations' scores, every trial and the learning curve.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from training import distributed, sharding
from training.agreement import agreement, flat_numbers
from training.batches import packed_length
from training.configs import RewardConfig
from training.contracts import write_atomic
from training.held_out import write_scores
from training.records import RankingRow
from training.reward_data import RewardData
from training.reward_ensemble import RewardEnsemble, build_ensemble
from training.reward_model import save_reward
from training.reward_scoring import RewardModel
from training.score_scale import completions_of, demonstration_scores, set_scale
from training.trials import Shelf, Trial

if TYPE_CHECKING:
    from training.session import Metrics, Session


def evaluate(
    session: Session,
    model: RewardModel,
    rows: Sequence[RankingRow],
    *,
    step: int,
    split: str = "valid",
    keep: bool = False,
) -> dict[str, Any]:
    """Agreement with held-out rankings, logged under `split`; with `keep` the scores go into the staging folder."""

    def score(chosen: Sequence[RankingRow]) -> list[list[float]]:
        return model.score_rankings(chosen, pack=session.config.pack)

    with sharding.gathered(model.backbone.model):
        alone = model.features is not None  # kept states are wanted on every rank
        scores = score(rows) if alone else distributed.in_shares(rows, [packed_length(row) for row in rows], score)
    report = agreement(scores, rows, seed=session.spec.seed)
    if keep and session.writes:
        write_scores(session.staging, rows, scores)
    if report["pairs"]:
        names = {"log_loss": "loss", "accuracy": "accuracy", "ece": "ece", "corr_length": "corr_length"}
        session.log(step, split, **{f"reward/{shown}": report[name] for name, shown in names.items()})
    return report


def publish(
    session: Session,
    model: RewardModel,
    data: RewardData,
    trials: Sequence[Trial],
    kept: dict[str, Any],
    shelf: Shelf | None,
) -> Metrics:
    """Write the reward, agreement.json and scores.jsonl into the session's staging folder; return the run's metrics."""
    config: RewardConfig = session.config
    seed, step = session.spec.seed, trials[-1].last + kept.get("iterations", 0)
    chosen = shelf.ordered(kept["trials"], kept["shelf"]) if shelf else [(0, {})]
    answers = completions_of(data.rows, seed=seed)
    if shelf:
        shelf.put_back(chosen[0][1])
    if config.members > 1:
        model = build_ensemble(model, [weights for _, weights in chosen], config, answers)
    report = evaluate(session, model, data.valid, step=step, keep=True)
    scale = set_scale(model, data.rows, data.shown, config, seed=seed)
    numbers = [number for number, _ in chosen]
    table = {
        **report,
        "split": "valid",
        "demonstrations": demonstration_scores(model, data.shown),
        "trials": kept["trials"],
        "chosen": numbers,
        "curve": curve_of(trials, kept["trials"]),
    }
    if isinstance(model, RewardEnsemble):
        model.score(answers)
        table["members_spread"] = model.spread
        session.log(step, "valid", **{"reward/members_spread": model.spread})
    if model.features and session.writes:
        model.features.save()
    if session.writes:
        write_atomic(session.staging / "agreement.json", json.dumps(table, indent=1, sort_keys=True) + "\n")
    facts = {**scale, "data_sha256": data.sha256, "seeds": [trials[number].seed for number in numbers]}
    save_reward(model, session.staging, adapter="reward", facts=facts)
    return {
        **flat_numbers(report),
        **numbers_of(table, model),
        "accuracy_before": kept["valid_before"],
        "pairs": sum(row.pairs for row in data.rows),
        "rows": len(data.rows),
        "tied_rows": data.tied,
        "single_rows": data.single,
        "valid_rows": len(data.valid),
        "valid_pairs": report["pairs"],
        "steps": step,
    }


def numbers_of(table: dict[str, Any], model: RewardModel) -> Metrics:
    """What else of the table and the model belongs on the run's page, by flat names; what is undefined is left out."""
    best = table["trials"][table["chosen"][0]]
    found = {
        "loss_first": best["loss_first"],
        "loss_last": best["loss_last"],
        "bias": model.bias,
        "gain": model.gain,
        "demonstration_mean": table["demonstrations"]["mean"],
        "demonstration_std": table["demonstrations"]["std"],
        "members_spread": table.get("members_spread"),
    }
    found |= {f"curve_accuracy_{point['pairs']}": point["accuracy"] for point in table["curve"]}
    if len(table["trials"]) > 1:
        found["seed"] = best["seed"]
    return {name: value for name, value in found.items() if value is not None}


def curve_of(trials: Sequence[Trial], reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy against the number of labels, the fewest first; empty when no curve was asked for."""
    points = [report for trial, report in zip(trials, reports, strict=True) if not trial.candidate]
    if points and not trials[0].resampled:
        points.append(reports[0])
    wanted = ("rankings", "pairs", "accuracy", "accuracy_ci95", "log_loss")
    return [{name: point[name] for name in wanted} for point in sorted(points, key=lambda point: point["pairs"])]
