"""What our reward stage learns from people's rankings: held-out pair accuracy beside cheap baselines.

    make bench NAME=human_rankings ARGS="--file F"

`F` holds rankings in our format, or judged pairs (see `benchmarks/harness/human_rankings.py`). A third of the prompts is
held out. The reward model is made by the stage itself, `training.reward`, in a run directory; by default on the first 12 layers of
the default model as they are, the head fitted exactly (`epochs` 0, `head_l2`), which takes minutes on two cores. More:
`--epochs 1 --trunk-layers 0` trains an adapter on the whole model. Accuracy is over the pairs people decided, ties left
out; the interval is a bootstrap over prompts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import environment, human_rankings, pair_accuracy
from benchmarks.harness.human_rankings import Judged
from benchmarks.harness.result import report
from benchmarks.harness.run_directory import write_run
from training.configs import RewardConfig
from training.contracts import EXIT_OK, ContractError, Kind, RankingRecord, Result
from training.loading import choose_device
from training.records import ranking_rows
from training.reward import train as train_reward
from training.reward_model import load_reward
from training.session import main as main_of_stage

WORD_PENALTY = 0.01


def trained(rows: Sequence[Judged], run: Path, config: dict[str, Any], model: Path) -> dict[str, Any]:
    """Run the reward stage on the rankings; return its metrics. Raises RuntimeError with the stage's own words."""
    records = [row.record for row in rows]
    write_run(run, Kind.REWARD, config=config, inputs={"policy": model}, data={"rankings": records})
    if main_of_stage(train_reward, [str(run)]) != EXIT_OK:
        raise RuntimeError(f"the reward stage failed: {Result.read(run).error}")
    return Result.read(run).metrics


def scores_of(rows: Sequence[Judged], folder: Path, config: RewardConfig) -> list[list[float]]:
    """The reward model's scores of every completion, ranking by ranking."""
    device, dtype = choose_device(config)
    reward = load_reward(folder, device=device, dtype=dtype)
    records = [RankingRecord.parse(row.record, "ranking") for row in rows]
    tokens = ranking_rows(records, reward.backbone.tokenizer, config.max_tokens)
    scores = reward.score([(row.prompt, answer) for row in tokens for answer in row.completions])
    return [part.tolist() for part in scores.split([len(row.completions) for row in tokens])]


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Train, score the held-out rankings by every way, and return the accuracies."""
    rows = human_rankings.read(options.file, context_characters=options.context_characters)
    rows = [row for row in rows if row.pairs][: options.limit or None]
    learned, held = human_rankings.split(rows, options.held_out, options.seed)
    settings = stage_config(options)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        metrics = trained(learned, run, settings, options.model)
        own = scores_of(held, run / "output", RewardConfig.from_dict(settings))
    seconds = time.perf_counter() - begin
    words = pair_accuracy.BagOfWords(learned, penalty=WORD_PENALTY)
    scored = {
        "reward": own,
        "longer": [[float(len(text)) for text in row.texts] for row in held],
        "shorter": [[-float(len(text)) for text in row.texts] for row in held],
        "bag_of_words": [words.score(row) for row in held],
    }
    samples = pair_accuracy.resampled([human_rankings.prompt_of(row) for row in held], options.seed)
    right = {name: pair_accuracy.right_of(held, scores) for name, scores in scored.items()}
    best = max(("longer", "shorter", "bag_of_words"), key=lambda name: right[name][:, 0].sum())
    return {
        **{name: pair_accuracy.accuracy(counts, samples) for name, counts in right.items()},
        "over_best_baseline": {"baseline": best, **pair_accuracy.gain(right["reward"], right[best], samples)},
        "train": {"rankings": len(learned), "pairs": sum(len(row.pairs) for row in learned)},
        "held_out": {"rankings": len(held), "pairs": sum(len(row.pairs) for row in held)},
        "loss": [round(metrics["loss_first"], 4), round(metrics["loss_last"], 4)],
        "seconds": round(seconds, 1),
        "config": settings,
    }


def stage_config(options: argparse.Namespace) -> dict[str, Any]:
    """The reward stage's settings; raises ConfigError for a combination it refuses."""
    settings: dict[str, Any] = {
        "epochs": options.epochs,
        "trunk_layers": options.trunk_layers,
        "head_l2": options.head_l2,
        "readout": options.readout,
        "valid_fraction": 0.0,
        "normalise": "none",
        "threads": options.threads,
    }
    if options.epochs:
        settings["learning_rate"] = options.learning_rate
    RewardConfig.from_dict(settings)
    return settings


def options_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--file", type=Path, required=True, help="rankings, JSONL")
    parser.add_argument(
        "--model", type=Path, default=environment.ROOT / "var/models/SmolLM2-135M-Instruct", help="default: %(default)s"
    )
    parser.add_argument("--held-out", type=float, default=1 / 3, help="share of the prompts (default: a third)")
    parser.add_argument("--seed", type=int, default=0, help="of split and bootstrap (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=0, help="rankings to read; 0 = all")
    parser.add_argument("--context-characters", type=int, default=2000, help="of `context` (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=0, help="0 leaves the trunk as it is (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="with --epochs (default: %(default)s)")
    parser.add_argument("--trunk-layers", type=int, default=12, help="0 = all (default: %(default)s)")
    parser.add_argument("--head-l2", type=float, default=1.0, help="default: %(default)s")
    parser.add_argument("--readout", choices=("last", "mean", "both"), default="mean", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=0, help="0 = torch's own choice")
    options = parser.parse_args(argv)
    if not 0.0 < options.held_out < 1.0:
        parser.error("--held-out must lie between 0 and 1")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and report."""
    options = options_of(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        found = compare(options)
    except (ContractError, ValueError) as problem:
        sys.exit(f"error: {problem}")
    report({**found, "benchmark": "human_rankings", "file": options.file.name})


if __name__ == "__main__":
    main()
