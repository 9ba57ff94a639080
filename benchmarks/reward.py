"""Reward model training on K-way rankings: CPU seconds per ranking of TRL's pair trainer over ours, and whether the losses agree.

    make bench NAME=reward ARGS="--k 4 9 --against trl"

Both train every weight of the same Llama on the same rankings in the same order: 96 tokens of prompt, K completions of
96 tokens, no ties. TRL's RewardTrainer gets the C(K, 2) pairs; ours is `training.reward` as the stage runs it: the
prompt and its K completions in one row. A step is forward, backward, clipping and AdamW on both sides; the two take
turns, step by step, in one process. `loss_rel_err` is the largest relative difference between the losses of a step,
over all steps, so it also shows that the weights stay together.
"""

from __future__ import annotations

import argparse
import importlib
import random
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForSequenceClassification

from benchmarks.harness import environment, llama
from benchmarks.harness.clock import Clock
from benchmarks.harness.result import measured, report
from training.backbone import load_backbone
from training.configs import RewardConfig
from training.optimization import build_optimizer, optimizer_step
from training.ranking_steps import accumulate
from training.records import RankingRow
from training.reward_scoring import RewardModel

LEARNING_RATE = 9e-6  # Ouyang et al. 2022, appendix C.2


class Ours:
    """The reward stage's model, optimiser and step, without its files."""

    def __init__(self, folder: Path, head_1D: torch.Tensor, device: torch.device, dtype: torch.dtype) -> None:
        self.config = RewardConfig.from_dict(
            {
                "tuning": "full",
                "schedule": "constant",
                "learning_rate": LEARNING_RATE,
                "head_learning_rate": LEARNING_RATE,
            }
        )
        backbone = load_backbone(folder, device=device, dtype=dtype)
        weights = backbone.tune(self.config, "reward")
        head = torch.nn.Linear(backbone.hidden_size, 1, bias=False).to(device)
        with torch.no_grad():
            head.weight.copy_(head_1D)
        self.model = RewardModel(backbone, head, adapter="reward", micro_tokens=self.config.micro_tokens)
        head_weights = {f"head.{name}": weight for name, weight in head.named_parameters()}
        self.optimizer = build_optimizer(
            weights, self.config, head=head_weights, head_rate=self.config.head_learning_rate
        )

    def step(self, rows: Sequence[RankingRow], step: int, total: int) -> float:
        """One optimiser step on the rankings; return their loss before it."""
        numbers = accumulate(self.model, rows, self.config)
        optimizer_step(self.optimizer, step, total, self.config)
        return float(numbers["reward/loss"] or 0.0)


def rankings(count: int, k: int, size: str, tokens: int, seed: int = 0) -> list[RankingRow]:
    """Rankings of random words, best first: `tokens` of prompt and `tokens` of each completion, the end token included."""
    draw = random.Random(seed)
    return [
        RankingRow(
            id=f"r{at}",
            prompt_id=f"p{at}",
            prompt=llama.words(draw, tokens, size),
            completions=[[*llama.words(draw, tokens - 1, size), llama.EOS] for _ in range(k)],
            ranks=list(range(1, k + 1)),
        )
        for at in range(count)
    ]


def same_models(
    options: argparse.Namespace, device: torch.device, dtype: torch.dtype
) -> tuple[LlamaForSequenceClassification, Ours]:
    """TRL's classifier and our reward model with the same weights."""
    classifier = llama.reward_model(options.size)
    base = llama.language_model(options.size)
    classifier.model.load_state_dict(base.model.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(llama.save(base, options.size, Path(folder)), classifier.score.weight, device, dtype)
    return classifier, ours


def compare(k: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train both sides in turns on rankings of K completions; the first step of each is a warm-up."""
    clock = Clock(warmup=1)
    rows = rankings((options.steps + 1) * options.rankings, k, options.size, options.tokens)
    peer = importlib.import_module("benchmarks.peers.reward_trl") if options.against == "trl" else None
    own, theirs = in_turns(rows, peer, torch.float32, clock, options)
    return summary(k, clock, own, theirs, options)


def in_turns(
    rows: Sequence[RankingRow], peer: Any, dtype: torch.dtype, clock: Clock, options: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """All steps of ours and of the peer's module; ours alone when that is None. Returns the losses of both."""
    batches = [rows[start : start + options.rankings] for start in range(0, len(rows), options.rankings)]
    classifier, ours = same_models(options, clock.device, dtype)
    own: list[float] = []

    def step(at: int) -> None:
        with clock.of("ours"):
            own.append(ours.step(batches[at], at + 1, len(batches)))

    if peer is None:
        for at in range(len(batches)):
            step(at)
        return own, []
    theirs = peer.train(
        classifier,
        llama.tokenizer(options.size),
        rows,
        rankings_per_step=options.rankings,
        learning_rate=LEARNING_RATE,
        clock=clock,
        between=step,
    )
    return own, theirs


def summary(
    k: int, clock: Clock, own: Sequence[float], theirs: Sequence[float], options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of one K: CPU seconds per ranking, their ratio, and how far the losses are apart."""
    seconds = {side: round(clock.median(side) / options.rankings, 4) for side in clock.seconds}
    found: dict[str, Any] = {}
    if theirs:
        apart = [abs(a - b) / abs(b) for a, b in zip(own, theirs, strict=True)]
        found = {
            "ratio": round(clock.median("trl") / clock.median("ours"), 2),
            "loss_rel_err": float(f"{max(apart):.2g}"),
        }
    pairs = k * (k - 1) // 2
    return found | {
        "cpu_seconds_per_ranking": seconds,
        "tokens_per_ranking": {"ours": options.tokens * (k + 1), "trl": options.tokens * 4 * pairs},
        "loss_first": round(own[0], 6),
        "loss_last": round(own[-1], 6),
    }


def options_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="reward", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--k", type=int, nargs="+", default=[4, 9], help="completions per ranking (default: 4 9)")
    parser.add_argument("--against", choices=("trl", "nothing"), default="trl", help="the other side (default: trl)")
    parser.add_argument("--steps", type=int, default=5, help="optimiser steps that count (default: %(default)s)")
    parser.add_argument("--rankings", type=int, default=2, help="rankings per step (default: %(default)s)")
    parser.add_argument(
        "--tokens", type=int, default=96, help="of prompt and of each completion (default: %(default)s)"
    )
    parser.add_argument("--size", choices=tuple(llama.SIZES), default="15m", help="the Llama (default: %(default)s)")
    options = parser.parse_args(argv)
    if min(options.k) < 2:
        parser.error("--k must be at least 2: one completion alone makes no pair")
    if options.steps < 1 or options.rankings < 1 or options.tokens < 2:
        parser.error("--steps and --rankings must be at least 1, --tokens at least 2")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every K and report."""
    options = options_of(argv)
    if options.against == "trl":
        environment.go_to_peers("benchmarks.reward")
    torch.set_num_threads(1)
    found = measured("k", options.k, partial(compare, options=options))
    report({**found, "benchmark": "reward", "steps": options.steps, "size": options.size})


if __name__ == "__main__":
    main()
