"""Peak memory of PPO: ours with one trunk and adapters over four separate models.

    make bench NAME=memory

Each side runs the same two updates in a process of its own: the fixed Llama, 16 prompts of 64 tokens, 64 new tokens,
fp32, the same micro-batches of 256 tokens (--micro-tokens). Ours is `training.ppo` with LoRA: policy, reference, reward model and critic on one frozen
trunk. The other side (`benchmarks/peers/four_models.py`) holds four models and trains every weight of two of them, as
PPO packages do. `--against trl` runs TRL 1.12's PPOTrainer as well. The peak is the process's own high-water mark
(VmHWM) minus what it stood at with everything imported and nothing built; both are in the result.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import ppo
from benchmarks.harness import environment
from benchmarks.harness.clock import Clock
from benchmarks.harness.result import report
from training.records import PromptRow
from training.session import Session


def peak_megabytes() -> float:
    """The most memory this process has held so far, in MB (10⁶ bytes)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status has no VmHWM: this benchmark needs Linux")


def forget_peak() -> None:
    """Set the high-water mark to what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def measure(side: str, options: argparse.Namespace) -> dict[str, float]:
    """Build one side, update it, and return the MB held before and, beyond that, at the peak. Runs in a fresh process."""
    torch.set_num_threads(1)
    prompts = ppo.prompts_of(options.updates * options.batch, options.prompt_tokens, options.size)
    prepared = SIDES[side](options, prompts)
    forget_peak()
    before = peak_megabytes()
    prepared()
    return {"before_mb": round(before, 1), "peak_mb": round(peak_megabytes() - before, 1)}


def ours(options: argparse.Namespace, prompts: Sequence[PromptRow]) -> Callable[[], None]:
    """PPO by our stage in the run directory made for it."""

    def run() -> None:
        with Session(Path(options.run)) as session:
            learner = ppo.Ours(session, prompts)
            for at in range(1, options.updates + 1):
                learner.update(at, Clock())

    return run


def four_models(options: argparse.Namespace, prompts: Sequence[PromptRow]) -> Callable[[], None]:
    """PPO with four separate models."""
    from benchmarks.peers.four_models import FourModels

    def run() -> None:
        models = FourModels(
            options.size,
            answer_tokens=options.answer_tokens,
            epochs=options.epochs,
            micro_tokens=options.micro_tokens,
        )
        for start in range(0, len(prompts), options.batch):
            models.update([prompt.ids for prompt in prompts[start : start + options.batch]])

    return run


def trl(options: argparse.Namespace, prompts: Sequence[PromptRow]) -> Callable[[], None]:
    """TRL's PPOTrainer, in micro-batches of as many rows as ours has."""
    from benchmarks.peers import ppo_trl

    rows = max(1, options.micro_tokens // (options.prompt_tokens + options.answer_tokens))

    def run() -> None:
        ppo_trl.train(
            options.size,
            [prompt.ids for prompt in prompts],
            batch=options.batch,
            micro_rows=min(rows, options.batch),
            answer_tokens=options.answer_tokens,
            epochs=options.epochs,
            clock=Clock(),
            between=lambda _: None,
        )

    return run


SIDES = {"ours": ours, "four_models": four_models, "trl": trl}


def in_fresh_process(side: str, run: Path, options: argparse.Namespace) -> dict[str, float]:
    """`measure` in a process of its own; raises CalledProcessError when it fails."""
    shape = ("size", "epochs", "updates", "batch", "prompt_tokens", "answer_tokens", "micro_tokens")
    words = [part for name in shape for part in (f"--{name.replace('_', '-')}", str(getattr(options, name)))]
    command = [sys.executable, "-m", "benchmarks.memory", "--side", side, "--run", str(run), *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=environment.ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Every side in turn, and the ratio of ours to four models."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ours", "four_models", *(["trl"] if options.against == "trl" else [])):
            run = ppo.write_session(Path(folder), options, options.epochs) if name == "ours" else Path(folder)
            found[name] = in_fresh_process(name, run, options)
            print(f"{name}: {found[name]}", flush=True)
    peak = {name: part["peak_mb"] for name, part in found.items()}
    ratios = {"ratio": round(peak["ours"] / peak["four_models"], 3)}
    if "trl" in peak:
        ratios["ratio_to_trl"] = round(peak["ours"] / peak["trl"], 3)
    return {**ratios, **found}


def options_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = ppo.shape_parser(__doc__ or "", updates=2)
    parser.add_argument("--against", choices=("four_models", "trl"), default="four_models", help="trl: both")
    parser.add_argument("--epochs", type=int, default=1, help="inner epochs (default: %(default)s)")
    parser.add_argument("--side", choices=tuple(SIDES), help="measure one side in this process (used by the benchmark)")
    parser.add_argument("--run", default="", help="with --side ours: its run directory")
    parser.add_argument("--tuning", choices=("lora", "full"), default="lora", help="ours (default: %(default)s)")
    parser.set_defaults(device="cpu", micro_tokens=256)
    options = parser.parse_args(argv)
    ppo.check_shape(parser, options)
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and report."""
    options = options_of(argv)
    if options.side:
        print(json.dumps(measure(options.side, options)))
        return
    if options.against == "trl":
        environment.go_to_peers("benchmarks.memory", ppo=True)
    settings = {name: getattr(options, name) for name in ("size", "tuning", "epochs", "micro_tokens")}
    report({**compare(options), "benchmark": "memory", **settings})


if __name__ == "__main__":
    main()
