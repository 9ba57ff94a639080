"""Sampling: CPU seconds of `transformers` generate over ours, for answers of equal and of uneven length.

    make bench NAME=sampling ARGS="--against transformers"

The fixed Llama, 16 prompts of 64 tokens, fp32, temperature 0.7. `equal`: 128 new tokens each. `uneven`: from 16 to 128,
evenly spread, the same lengths on both sides. Ours is `training.sampling.generate` as the stages call it; it also keeps
the log-probability of every token, which `generate` is not asked for. `transformers` goes on computing rows that have
ended until the last one has. The sides take turns, batch by batch, in one process. With `--prompts` above `--batch`
ours refills from the queue; `transformers` takes one batch after the other.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM

from benchmarks.harness import llama
from benchmarks.harness.clock import Clock
from benchmarks.harness.result import report
from benchmarks.harness.run_directory import write_policy
from benchmarks.peers.transformers_generate import generate as their_generate
from training.backbone import Backbone, load_backbone
from training.sampling import Decoding, generate

TEMPERATURE = 0.7


def uneven_lengths(count: int, shortest: int, longest: int) -> list[int]:
    """`count` lengths evenly spread from shortest to longest, in random order."""
    step = (longest - shortest) / max(1, count - 1)
    lengths = [round(shortest + at * step) for at in range(count)]
    random.Random(0).shuffle(lengths)
    return lengths


def compare(
    backbone: Backbone, model: LlamaForCausalLM | None, limits: Sequence[int], options: argparse.Namespace
) -> dict[str, Any]:
    """Sample in turns; the first round of each side is a warm-up."""
    clock = Clock(backbone.device, warmup=1)
    draw = random.Random(0)
    prompts = [llama.words(draw, options.prompt_tokens, options.size) for _ in limits]
    settings = [Decoding(limit, TEMPERATURE) for limit in limits]
    batches = [range(start, min(start + options.batch, len(limits))) for start in range(0, len(limits), options.batch)]
    for turn in range(options.rounds + 1):
        with clock.of("ours"):
            answers = generate(
                backbone,
                prompts,
                settings,
                [turn * len(limits) + at for at in range(len(limits))],
                batch_rows=options.batch,
            )
        check_lengths([answer.ids for answer in answers], limits)
        if model is not None:
            with clock.of("transformers"):
                for batch in batches:
                    theirs = their_generate(
                        model, [prompts[at] for at in batch], [limits[at] for at in batch], TEMPERATURE
                    )
            check_lengths(theirs, [limits[at] for at in batches[-1]])
    tokens = sum(limits)
    found: dict[str, Any] = {}
    if model is not None:
        found["ratio"] = round(clock.median("transformers") / clock.median("ours"), 2)
    found["seconds"] = {side: round(clock.median(side), 3) for side in clock.seconds}
    found["tokens_per_second"] = {side: round(tokens / clock.median(side), 1) for side in clock.seconds}
    return found | {"tokens": tokens}


def check_lengths(answers: Sequence[Sequence[int]], limits: Sequence[int]) -> None:
    """Raise RuntimeError when a side did other work than it was given."""
    if [len(answer) for answer in answers] != list(limits):
        raise RuntimeError("an answer is not as long as was asked: the sides cannot be compared")


def options_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--against",
        choices=("transformers", "nothing"),
        default="transformers",
        help="the other side (default: %(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="rows decoded together (default: %(default)s)")
    parser.add_argument("--prompts", type=int, default=0, help="default: as many as --batch")
    parser.add_argument("--prompt-tokens", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--shortest", type=int, default=16, help="of the uneven answers (default: %(default)s)")
    parser.add_argument("--longest", type=int, default=128, help="of all answers (default: %(default)s)")
    parser.add_argument("--size", choices=tuple(llama.SIZES), default="15m", help="the Llama (default: %(default)s)")
    options = parser.parse_args(argv)
    options.prompts = options.prompts or options.batch
    if min(options.rounds, options.batch, options.prompts, options.prompt_tokens, options.shortest) < 1:
        parser.error("every number must be at least 1")
    if options.shortest >= options.longest:
        parser.error("--shortest must be below --longest")
    room = llama.SIZES[options.size].context
    if options.prompt_tokens + options.longest > room:
        parser.error(f"--prompt-tokens and --longest exceed the {room} tokens of --size {options.size}")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Measure both kinds of lengths and report."""
    options = options_of(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        backbone = load_backbone(
            write_policy(Path(folder), options.size), device=torch.device("cpu"), dtype=torch.float32
        )
    model = llama.language_model(options.size).eval() if options.against == "transformers" else None
    lengths = {
        "equal": [options.longest] * options.prompts,
        "uneven": uneven_lengths(options.prompts, options.shortest, options.longest),
    }
    found: dict[str, Any] = {}
    for name, limits in lengths.items():
        found[name] = compare(backbone, model, limits, options)
        print(f"{name}: {found[name]}", flush=True)
    shape = {"size": options.size, "batch": options.batch, "prompts": options.prompts}
    report({**found, "benchmark": "sampling", **shape})


if __name__ == "__main__":
    main()
