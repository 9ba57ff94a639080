"""Reward model from K-way rankings (Ouyang et al. 2022, step 2, eq. 1): all pairs of a prompt from K scores, ties dropped.

    python -m training.reward RUN_DIR

Reads data.rankings (`train`, `valid`), data.demonstrations (to set the zero) and inputs.policy; leaves a reward in output/.
"""

from __future__ import annotations

import hashlib
import math
import random
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from training.agreement import accuracy, agreement
from training.backbone import load_backbone
from training.chat import TokenRow
from training.configs import RewardConfig
from training.contracts import ContractError, RankingRecord, canonical_json
from training.head_fit import fit_head
from training.losses import ranking_loss
from training.optimization import batch_at, build_optimizer, optimizer_step
from training.records import RankingRow, demonstration_rows, ranking_rows
from training.reward_model import check_classifiable, save_reward
from training.reward_scoring import RewardModel, new_head, ranking_batches
from training.session import Metrics, Session, main

MEASURED = 512  # rankings, or demonstrations, that set bias and gain


def train(session: Session) -> Metrics:
    """Fit the reward model to the rankings; return the run's metrics."""
    config: RewardConfig = session.config
    train_records, valid_records = split_records(session.records("rankings"), config.valid_fraction, session.spec.seed)
    backbone = load_backbone(
        session.input("policy"), device=session.device, dtype=session.dtype, layers=config.trunk_layers
    )
    check_classifiable(backbone)
    limit = min(config.max_tokens, backbone.context_length)
    every_row = ranking_rows(train_records, backbone.tokenizer, limit)
    rows = [row for row in every_row if row.pairs]
    valid_rows = ranking_rows(valid_records, backbone.tokenizer, limit)
    demonstrations = [record for record in session.records("demonstrations") if record.split == "train"]
    shown = demonstration_rows(demonstrations[:MEASURED], backbone.tokenizer, limit)
    if not rows:
        raise ContractError("data.rankings has no train row with two different ranks: there is no pair to learn from")

    weights = backbone.tune(config, "reward")
    head = new_head(backbone.hidden_size, session.device)
    first = config.first_adapted_layer
    model = RewardModel(backbone, head, config.readout, "reward", first)
    model.micro_tokens, model.attention = config.micro_tokens, config.packed_attention
    head_weights = {f"head.{name}": weight for name, weight in head.named_parameters()}
    optimizer = build_optimizer(weights, config, head=head_weights, head_rate=config.head_learning_rate)
    weights = {**weights, **head_weights}
    kept = session.restore(weights, optimizer)
    per_epoch = math.ceil(len(rows) / config.batch_size)
    total = per_epoch * config.epochs
    if not kept:
        kept = {"valid_before": evaluate(session, model, valid_rows, step=0)["accuracy"]}

    for step in session.steps(total):
        chosen = [rows[at] for at in batch_at(step, len(rows), config.batch_size, seed=session.spec.seed)]
        numbers = accumulate(model, chosen, config)
        rate, norm = optimizer_step(optimizer, step, total, config)
        kept.setdefault("loss_first", numbers["reward/loss"])
        kept["loss_last"] = numbers["reward/loss"]
        session.count(sum(len(row.prompt) + sum(map(len, row.completions)) for row in chosen))
        extra = {"reward/grad_norm": norm, "reward/learning_rate": rate, "reward/epoch": step / per_epoch}
        session.log(step, **numbers, **extra)
        if step % per_epoch == 0 and step < total:
            evaluate(session, model, valid_rows, step=step)
        session.end_step(step, weights=weights, optimizer=optimizer, extra=kept)

    if config.head_l2:
        total += fit_exactly(session, model, rows, kept, step=total)
    report = evaluate(session, model, valid_rows, step=total)
    facts = set_zero(session, model, rows, shown)
    facts |= {"data_sha256": data_sha256(train_records), "agreement": report}
    save_reward(model, session.staging, adapter="reward", facts=facts)
    return {
        **{
            name: value for name, value in report.items() if name not in ("rows", "pairs", "calibration", "by_distance")
        },
        **{f"accuracy_distance_{number}": part["accuracy"] for number, part in report["by_distance"].items()},
        "accuracy_before": kept["valid_before"],
        "loss_first": kept["loss_first"],
        "loss_last": kept["loss_last"],
        "pairs": sum(row.pairs for row in rows),
        "rows": len(rows),
        "tied_rows": len(every_row) - len(rows),
        "valid_rows": len(valid_rows),
        "valid_pairs": report["pairs"],
        "bias": model.bias,
        "gain": model.gain,
        "steps": total,
    }


def fit_exactly(
    session: Session, model: RewardModel, rows: Sequence[RankingRow], kept: dict[str, Any], *, step: int
) -> int:
    """Fit the head on the trunk as it now is, logging each iteration as a step; return how many it took."""

    def log(iteration: int, loss: float) -> None:
        session.check_stop()
        kept.setdefault("loss_first", loss)
        kept["loss_last"] = loss
        session.log(step + iteration, **{"reward/loss": loss})

    return fit_head(model, rows, session.config, log)


def split_records(
    records: Sequence[RankingRecord], fraction: float, seed: int
) -> tuple[list[RankingRecord], list[RankingRecord]]:
    """Train and valid records. Without a valid split, `fraction` of the train prompts is held out, whole prompts at a time."""
    train = [record for record in records if record.split == "train"]
    valid = [record for record in records if record.split == "valid"]
    prompts = sorted({record.prompt_id for record in train})
    count = min(math.ceil(len(prompts) * fraction), len(prompts) - 1)
    if valid or count < 1:
        return train, valid
    held = set(random.Random(f"{seed}:valid").sample(prompts, count))
    return (
        [record for record in train if record.prompt_id not in held],
        [record for record in train if record.prompt_id in held],
    )


def accumulate(model: RewardModel, rows: Sequence[RankingRow], config: RewardConfig) -> dict[str, float | None]:
    """Add the gradient of the batch's loss, whatever the micro-batches; return the numbers to log."""
    total = {"prompt": len(rows), "pair": sum(row.pairs for row in rows)}[config.weighting]
    device = model.backbone.device
    loss = torch.zeros((), device=device)
    scores: dict[int, list[float]] = {}
    for group, batch in ranking_batches(
        rows, model.backbone, config.micro_tokens, config.pack, config.packed_attention
    ):
        parts = model.read(batch).split([len(rows[at].completions) for at in group])
        part = (
            torch.stack([ranking_term(s, rows[at], config) for s, at in zip(parts, group, strict=True)]).sum() / total
        )
        part.backward()
        loss += part.detach()
        scores.update(zip(group, (s.tolist() for s in parts), strict=True))
    ordered = [scores[at] for at in range(len(rows))]
    flat = torch.tensor([score for own in ordered for score in own])
    return {
        "reward/loss": float(loss),
        "reward/accuracy": accuracy(ordered, rows),
        "reward/score_mean": float(flat.mean()),
        "reward/score_std": float(flat.std(correction=0)),
    }


def ranking_term(scores_K: Tensor, row: RankingRow, config: RewardConfig) -> Tensor:
    """One ranking's share of the loss, before division by the number of prompts (or pairs) in the batch."""
    ranks_K = torch.tensor(row.ranks, device=scores_K.device)
    loss = ranking_loss(scores_K, ranks_K, margin=row.margin, label_smoothing=config.label_smoothing)
    if config.centre_penalty:
        loss = loss + config.centre_penalty * scores_K.square().mean()
    return loss * (row.pairs if config.weighting == "pair" else 1)


def evaluate(session: Session, model: RewardModel, rows: Sequence[RankingRow], *, step: int) -> dict[str, Any]:
    """Agreement with the held-out rankings, logged as split valid."""
    report = agreement(model.score_rankings(rows, pack=session.config.pack), rows, seed=session.spec.seed)
    if report["pairs"]:
        names = {"log_loss": "loss", "accuracy": "accuracy", "ece": "ece", "corr_length": "corr_length"}
        session.log(step, "valid", **{f"reward/{shown}": report[name] for name, shown in names.items()})
    return report


def set_zero(
    session: Session, model: RewardModel, rows: Sequence[RankingRow], demonstrations: Sequence[TokenRow]
) -> dict[str, Any]:
    """Set bias (so that demonstrations, or completions, average 0) and gain (so that completions have deviation 1)."""
    config: RewardConfig = session.config
    if config.normalise == "none":
        return {"normalise": "none", "n": 0}
    measured = random.Random(f"{session.spec.seed}:zero").sample(list(rows), min(MEASURED, len(rows)))
    scores = torch.tensor([score for own in model.score_rankings(measured, pack=config.pack) for score in own])
    spread = float(scores.std(correction=0))
    model.gain = spread if spread > 1e-6 else 1.0
    if config.normalise == "demonstrations" and demonstrations:
        shown = [last_answer(row.ids, row.response) for row in demonstrations]
        model.bias = float(model.score(shown, raw=True).mean())
        return {"normalise": "demonstrations", "n": len(shown)}
    if config.normalise == "demonstrations":
        session.note("normalise: the run has no demonstrations, so the completions are made to average 0")
    model.bias = float(scores.mean())
    return {"normalise": "completions", "n": len(scores)}


def last_answer(ids: list[int], response: list[bool]) -> tuple[list[int], list[int]]:
    """Split a demonstration into what comes before its last answer, and that answer."""
    start = max(at for at in range(1, len(ids)) if response[at] and not response[at - 1])
    return ids[:start], ids[start:]


def data_sha256(records: Sequence[RankingRecord]) -> str:
    """Identity of the rankings learned from."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(canonical_json(vars(record)).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main(train))
