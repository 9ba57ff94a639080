"""Reward model from K-way rankings (Ouyang et al. 2022, step 2, eq. 1): all pairs of a prompt from K scores, ties dropped.

    python -m training.reward RUN_DIR

Reads data.rankings (`train`, `valid`), data.demonstrations (to set the zero) and inputs.policy; leaves a reward in output/,
with agreement.json: how well it agrees with the held-out rankings.
"""

from __future__ import annotations

import math
import sys
from itertools import islice
from typing import Any

import torch
from torch import nn

from training import sharding
from training.backbone import Backbone, load_backbone
from training.configs import AS_COMPUTED, ConfigError, RewardConfig
from training.feature_cache import FeatureCache
from training.head_fit import fit_head
from training.optimization import batch_at, build_optimizer, optimizer_step
from training.ranking_steps import accumulate
from training.reward_data import RewardData, load_data
from training.reward_model import check_classifiable
from training.reward_report import evaluate, publish
from training.reward_scoring import RewardModel, head_width, new_head
from training.session import Metrics, Session, main
from training.trials import Shelf, Start, Trial, plan_trials

Weights = dict[str, nn.Parameter]


def train(session: Session) -> Metrics:
    """Fit the reward model to the rankings; return the run's metrics."""
    config: RewardConfig = session.config
    backbone = load_backbone(
        session.input("policy"),
        device=session.device,
        dtype=session.dtype,
        layers=config.trunk_layers,
        base_precision=config.base_precision,
        longest=config.max_tokens,
    )
    check_classifiable(backbone)
    data = load_data(session, backbone)
    model, weights = build(session, backbone)
    trials = plan_trials(data.rows, config, seed=session.spec.seed)
    start = Start(weights) if len(trials) > 1 else None
    shelf = Shelf(weights, config.members) if len(trials) > 1 else None
    saved = {**weights, **(shelf.weights if shelf else {})}
    optimizer = new_optimizer(weights, config)
    kept = session.restore(saved, optimizer)
    if not kept:
        before = evaluate(session, model, data.valid, step=0)
        kept = {"valid_before": before["accuracy"], "trials": [], "shelf": []}

    steps = session.steps(trials[-1].last)
    for trial in trials:
        left = min(trial.steps, trial.last - session.first_step + 1)
        if trial.steps and left <= 0:
            continue  # an earlier process did it
        if start and trial.number and left == trial.steps:
            start.again(trial)
            optimizer = new_optimizer(weights, config)
        if len(kept["trials"]) == trial.number:
            kept["trials"].append({"seed": trial.seed, "candidate": trial.candidate, "rankings": len(trial.rows)})
        for step in islice(steps, left):
            learn(session, model, trial, optimizer, step, kept["trials"][trial.number])
            if step == trial.last:
                finish(session, model, data, trial, kept, shelf)
            elif trial.candidate and (step - trial.first + 1) % per_epoch(trial, config) == 0:
                evaluate(session, model, data.valid, step=step)
            session.end_step(step, weights=saved, optimizer=optimizer, extra=kept)
        if not trial.steps:
            finish(session, model, data, trial, kept, shelf)
    with sharding.gathered(backbone.model):
        return publish(session, model, data, trials, kept, shelf)


def build(session: Session, backbone: Backbone) -> tuple[RewardModel, Weights]:
    """The model at its start and every weight that is trained, by name."""
    config: RewardConfig = session.config
    weights = backbone.tune(config, "reward")
    head = new_head(head_width(backbone.hidden_size, config.readout), session.device)
    model = RewardModel(backbone, head, config.readout, "reward", config.first_adapted_layer)
    model.micro_tokens, model.attention = config.micro_tokens, config.packed_attention
    if not config.epochs:
        model.features = open_cache(session, backbone)
    return model, {**weights, **{f"head.{name}": weight for name, weight in head.named_parameters()}}


def open_cache(session: Session, backbone: Backbone) -> FeatureCache:
    """What is known of the frozen trunk's states: in memory, and in the folder that the config names beside the run."""
    config: RewardConfig = session.config
    model = backbone.fingerprint()
    if config.feature_cache and not model:
        raise ConfigError(
            "feature_cache", "inputs.policy must be a directory: a hub name may mean other weights tomorrow"
        )
    precision = str(backbone.dtype)
    if config.base_precision != AS_COMPUTED:
        precision += f", base {config.base_precision}"
    depth = {"layers": backbone.layer_count, "readout": config.readout, "precision": precision}
    folder = session.run_dir.parent / config.feature_cache if config.feature_cache else None
    cache = FeatureCache({"model": model, "device": backbone.device.type, **depth}, folder)
    if cache.problem:
        session.note(f"feature_cache: {cache.problem}; it is built anew")
    return cache


def new_optimizer(weights: Weights, config: RewardConfig) -> torch.optim.AdamW:
    """AdamW at its first step; the head has its own learning rate."""
    head = {name: weight for name, weight in weights.items() if name == "head.weight"}
    rest = {name: weight for name, weight in weights.items() if name not in head}
    return build_optimizer(rest, config, head=head, head_rate=config.head_learning_rate)


def per_epoch(trial: Trial, config: RewardConfig) -> int:
    """Optimiser steps of one pass over the trial's rankings."""
    return math.ceil(len(trial.rows) / config.batch_size)


def learn(
    session: Session,
    model: RewardModel,
    trial: Trial,
    optimizer: torch.optim.Optimizer,
    step: int,
    row: dict[str, Any],
) -> None:
    """One optimiser step of a trial, logged; `row` keeps the trial's first and last loss."""
    config: RewardConfig = session.config
    local = step - trial.first + 1
    chosen = [trial.rows[at] for at in batch_at(local, len(trial.rows), config.batch_size, seed=trial.seed)]
    numbers = accumulate(model, chosen, config)
    rate, norm = optimizer_step(optimizer, local, trial.steps, config)
    row.setdefault("loss_first", numbers["reward/loss"])
    row["loss_last"] = numbers["reward/loss"]
    session.count(sum(len(ranking.prompt) + sum(map(len, ranking.completions)) for ranking in chosen))
    extra = {"reward/grad_norm": norm, "reward/learning_rate": rate, "reward/epoch": local / per_epoch(trial, config)}
    session.log(step, **numbers, **extra, **({"reward/trial": trial.number} if trial.number else {}))


def finish(
    session: Session, model: RewardModel, data: RewardData, trial: Trial, kept: dict[str, Any], shelf: Shelf | None
) -> None:
    """The end of a trial: fit the head exactly if asked, measure on held-out rankings, keep the weights if they are good."""
    row = kept["trials"][trial.number]
    if session.config.head_l2:
        with sharding.gathered(model.backbone.model):
            fit_exactly(session, model, trial, kept, row)
    report = evaluate(session, model, data.valid, step=trial.last, split="valid" if trial.candidate else "curve")
    row |= {name: report[name] for name in ("accuracy", "accuracy_ci95", "log_loss")}
    row["pairs"] = sum(ranking.pairs for ranking in trial.rows)
    if shelf and trial.candidate:
        shelf.offer(trial.number, kept["trials"], kept["shelf"])
    if model.features and session.writes:
        model.features.save()


def fit_exactly(session: Session, model: RewardModel, trial: Trial, kept: dict[str, Any], row: dict[str, Any]) -> None:
    """Fit the head on the trunk as it now is. Without optimiser steps every iteration is logged as one."""
    before = kept.get("iterations", 0)

    def log(iteration: int, loss: float) -> None:
        session.check_stop()
        row.setdefault("loss_first", loss)
        row["loss_last"] = loss
        if not trial.steps:
            session.log(before + iteration, **{"reward/loss": loss})

    kept["iterations"] = before + fit_head(model, trial.rows, session.config, log)


if __name__ == "__main__":
    sys.exit(main(train))
