"""Tokens per second of sampling, scoring, PPO and reward training on one device, beside its roofline and TRL.

    python -m benchmarks.gpu --size 1b
    python -m benchmarks.gpu --device cpu --size 15m        (a smoke test: figures of a GPU need a GPU)

Needs the packages of a training host only (torch, transformers, peft, tokenizers, safetensors), no Django. bf16 on CUDA,
fp32 on a CPU. The roofline is the device's own: a large copy and a large product are timed first, in this precision; a
phase's bound is the longer of its bytes and its FLOPs at those rates, and `of_bound` is the share of it that was
reached. `trl` is measured too when it can be imported (`reward_trl` needs TRL 1.16, `ppo_trl` TRL 1.12), on the same
device, in turns. On CUDA it computes in bf16 by autocast where its trainer honours that.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import ppo, reward
from benchmarks.harness import llama
from benchmarks.harness.clock import Clock
from benchmarks.harness.result import report
from benchmarks.harness.roofline import (
    Rates,
    bound_seconds,
    causal,
    decoding_bytes,
    forward_flops,
    measured_rates,
)
from benchmarks.harness.run_directory import write_policy, write_reward
from training.backbone import load_backbone
from training.reward_model import load_reward
from training.sampling import Decoding, generate
from training.session import Session


def figure(
    clock: Clock, name: str, tokens: int, rates: Rates, *, flops: float = 0.0, moved: float = 0.0
) -> dict[str, Any]:
    """One phase: seconds, tokens per second, what it had to do and how near to the bound it came."""
    seconds = clock.median(name)
    return {
        "seconds": round(seconds, 4),
        "tokens_per_second": round(tokens / seconds, 1),
        "tokens": tokens,
        "gigaflops": round(flops / 1e9, 1),
        "gigabytes": round(moved / 1e9, 3),
        "of_bound": round(bound_seconds(rates, flops=flops, moved=moved) / seconds, 3),
    }


def measure_sampling(folder: Path, clock: Clock, rates: Rates, options: argparse.Namespace) -> dict[str, Any]:
    """Sampled tokens per second; the bound is prefill by FLOPs plus decoding by bytes, counted together."""
    shape, draw = llama.SIZES[options.size], random.Random(0)
    dtype = precision(clock.device)
    backbone = load_backbone(folder / "policy", device=clock.device, dtype=dtype)
    prompts = [llama.words(draw, options.prompt_tokens, options.size) for _ in range(options.batch)]
    settings = Decoding(options.answer_tokens, 0.7)
    for turn in range(options.updates + 1):
        seeds = [turn * options.batch + at for at in range(options.batch)]
        with clock.of("sampling"):
            generate(backbone, prompts, settings, seeds, batch_rows=options.batch, compile=clock.device.type == "cuda")
    tokens, rows = options.batch * options.answer_tokens, options.batch * options.prompt_tokens
    flops = forward_flops(shape, rows + tokens, causal(options.batch, options.prompt_tokens), logits=tokens)
    moved = decoding_bytes(shape, options.batch, options.prompt_tokens, options.answer_tokens, dtype.itemsize)
    return figure(clock, "sampling", tokens, rates, flops=flops, moved=moved)


def measure_scoring(folder: Path, clock: Clock, rates: Rates, options: argparse.Namespace) -> dict[str, Any]:
    """Tokens per second scored by a reward model, one completion a prompt."""
    draw = random.Random(1)
    scorer = load_reward(
        folder / "reward", device=clock.device, dtype=precision(clock.device), micro_tokens=options.micro_tokens
    )
    rows = [
        (llama.words(draw, options.prompt_tokens, options.size), llama.words(draw, options.answer_tokens, options.size))
        for _ in range(options.batch)
    ]
    for _ in range(options.updates + 1):
        with clock.of("scoring"):
            scorer.score(rows)
    length = options.prompt_tokens + options.answer_tokens
    tokens = options.batch * length
    flops = forward_flops(llama.SIZES[options.size], tokens, causal(options.batch, length), logits=0)
    return figure(clock, "scoring", tokens, rates, flops=flops)


def measure_ppo(folder: Path, clock: Clock, rates: Rates, options: argparse.Namespace) -> dict[str, Any]:
    """Whole PPO updates, with TRL's in turns when TRL 1.12 is there; tokens are those of prompts and answers."""
    prompts = ppo.prompts_of((options.updates + 1) * options.batch, options.prompt_tokens, options.size)
    run = ppo.write_session(folder / "ppo", options, epochs=1)
    with Session(run) as session:
        ppo.in_turns(ppo.Ours(session, prompts), trl_module("ppo_trl", options), 1, clock, options)
    shape, length = llama.SIZES[options.size], options.prompt_tokens + options.answer_tokens
    answers, tokens = options.batch * options.answer_tokens, options.batch * length
    one = forward_flops(shape, tokens, causal(options.batch, length), logits=answers)
    passes = 3 + 3  # sampling, reference and reward score, then one forward and a backward of two
    moved = decoding_bytes(
        shape, options.batch, options.prompt_tokens, options.answer_tokens, precision(clock.device).itemsize
    )
    found = figure(clock, "ours", tokens, rates, flops=passes * one, moved=moved)
    found["phases"] = {phase: round(clock.median(f"ours_{phase}"), 4) for phase in ("sample", "score", "train")}
    return found | against_trl(clock)


def measure_reward(folder: Path, clock: Clock, rates: Rates, options: argparse.Namespace) -> dict[str, Any]:
    """Reward training steps on rankings of K completions, with TRL's pairs in turns when TRL 1.16 is there."""
    rows = reward.rankings((options.updates + 1) * options.rankings, options.k, options.size, options.prompt_tokens)
    reward.in_turns(rows, trl_module("reward_trl", options), precision(clock.device), clock, options)
    packed = options.prompt_tokens * (options.k + 1)
    attended = causal(1, options.prompt_tokens) + options.k * (
        causal(1, 2 * options.prompt_tokens) - causal(1, options.prompt_tokens)
    )
    shape, tokens = llama.SIZES[options.size], options.rankings * packed
    flops = 3 * forward_flops(shape, tokens, options.rankings * attended, logits=0)
    return figure(clock, "ours", tokens, rates, flops=flops) | against_trl(clock)


def trl_module(name: str, options: argparse.Namespace) -> Any:
    """The module that drives TRL, or None with the reason printed."""
    if options.against == "nothing":
        return None
    try:
        return importlib.import_module(f"benchmarks.peers.{name}")
    except ImportError as problem:
        print(f"{name}: TRL is not measured ({problem})", flush=True)
        return None


def against_trl(clock: Clock) -> dict[str, Any]:
    """TRL's seconds and the ratio to ours, when it was measured."""
    if "trl" not in clock.seconds:
        return {}
    return {"trl_seconds": round(clock.median("trl"), 4), "ratio": round(clock.median("trl") / clock.median("ours"), 2)}


def precision(device: torch.device) -> torch.dtype:
    """bf16 on CUDA, else fp32."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


MEASURES = {
    "sampling": measure_sampling,
    "scoring": measure_scoring,
    "ppo": measure_ppo,
    "reward": measure_reward,
}


def measured_phase(
    phase: str, folder: Path, device: torch.device, rates: Rates, options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of one phase; where both sides do not fit on the device together, of ours alone, and says so."""
    try:
        return MEASURES[phase](folder, Clock(device, warmup=1), rates, options)
    except torch.OutOfMemoryError:
        if options.against == "nothing":
            raise
    give_back(device)  # not before here: until the exception is gone, it holds the models
    print(f"{phase}: the device has no room for TRL beside ours; ours alone is measured", flush=True)
    alone = argparse.Namespace(**vars(options) | {"against": "nothing"})
    return MEASURES[phase](folder, Clock(device, warmup=1), rates, alone) | {"trl": "no room on the device beside ours"}


def give_back(device: torch.device) -> None:
    """Free what a phase has left: models in reference cycles, then the memory that torch keeps for later."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


# What is measured unless told otherwise: enough work for a GPU, little enough for a smoke test.
SHAPES = {
    "cuda": {"size": "1b", "batch": 64, "prompt_tokens": 128, "answer_tokens": 128, "micro_tokens": 16384},
    "cpu": {"size": "15m", "batch": 8, "prompt_tokens": 32, "answer_tokens": 16, "updates": 1},
}


def options_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; ends with a message when the device is not there."""
    parser = ppo.shape_parser(__doc__ or "", updates=3)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default: %(default)s")
    parser.add_argument("--only", choices=tuple(MEASURES), nargs="+", default=list(MEASURES), help="default: all")
    parser.add_argument(
        "--against", choices=("trl", "nothing"), default="trl", help="default: TRL when it is installed"
    )
    parser.add_argument("--rankings", type=int, default=4, help="per reward step (default: %(default)s)")
    parser.add_argument("--k", type=int, default=4, help="completions per ranking (default: %(default)s)")
    parser.set_defaults(tuning="full", **SHAPES[parser.parse_known_args(argv)[0].device])
    options = parser.parse_args(argv)
    ppo.check_shape(parser, options)
    if options.rankings < 1 or options.k < 2:
        parser.error("--rankings must be at least 1, --k at least 2")
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "error: torch sees no CUDA device here. For a smoke test: python -m benchmarks.gpu --device cpu --size 15m"
        )
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the device, then every phase, and report."""
    options = options_of(argv)
    device = torch.device(options.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    rates = measured_rates(device, precision(device))
    print(
        f"copy {rates.bytes_per_second / 1e9:.1f} GB/s, product {rates.flops_per_second / 1e12:.3f} TFLOP/s", flush=True
    )
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_policy(folder / "policy", options.size)
        write_reward(folder / "reward", options.size)
        for phase in options.only:
            found[phase] = measured_phase(phase, folder, device, rates, options)
            print(f"{phase}: {found[phase]}", flush=True)
            give_back(device)
    report(
        {
            **found,
            "benchmark": "gpu",
            "device": options.device,
            "size": options.size,
            "precision": str(precision(device)).removeprefix("torch."),
            "copy_gigabytes_per_second": round(rates.bytes_per_second / 1e9, 1),
            "product_teraflops": round(rates.flops_per_second / 1e12, 3),
        }
    )


if __name__ == "__main__":
    main()
