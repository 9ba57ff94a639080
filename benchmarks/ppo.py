"""One PPO update: CPU seconds of TRL 1.12's PPOTrainer over ours, with the phases sample, score and train.

    make bench NAME=ppo ARGS="--against trl --epochs 1 4"

The same Llama, 16 prompts of 64 tokens, 64 new tokens each, one minibatch, temperature 0.7, fp32. TRL holds four models:
policy, reference, value, reward. Ours is `training.ppo` as the stage runs it, with a value head on the policy's trunk
and `--tuning full` (every weight of the policy is trained, as in TRL) unless told otherwise. It does less arithmetic and
says so: `arithmetic` counts what each side computes in an update. What ours leaves out is the second trunk of the critic,
the pass that TRL makes to get values, and logits of prompt tokens. It clips gradients, which TRL's does not do.
The two sides take turns, update by update, in one process.
"""

from __future__ import annotations

import argparse
import importlib
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import environment, llama
from benchmarks.harness.clock import Clock
from benchmarks.harness.result import measured, report
from benchmarks.harness.run_directory import write_policy, write_reward, write_reward_adapter, write_run
from training import rollouts
from training.contracts import Kind
from training.ppo import build_learner, learn, roll
from training.records import PromptRow
from training.session import Session

PROMPT = {
    "id": "p",
    "messages": [{"role": "user", "content": "t5"}],
}  # a spec must name some; the token rows are made here


@contextmanager
def sampling_timed(clock: Clock, name: str) -> Iterator[None]:
    """Inside the block the rollouts' sampling is timed by itself."""
    plain = rollouts.generate

    def timed(*args: Any, **kwargs: Any) -> Any:
        with clock.of(name):
            return plain(*args, **kwargs)

    rollouts.generate = timed
    try:
        yield
    finally:
        rollouts.generate = plain


class Ours:
    """The PPO stage's learner and its update, in a run directory of its own."""

    def __init__(self, session: Session, prompts: Sequence[PromptRow]) -> None:
        self.session, self.prompts = session, prompts
        self.learner = build_learner(session)
        self.kept: dict[str, Any] = {"kl_coef": session.config.kl_coef}
        self.tokens: list[int] = []  # answer tokens sampled, per update

    def update(self, at: int, clock: Clock) -> None:
        """Update `at` (1, 2, …): sample and score, then learn. Times go to `clock` as ours…"""
        config = self.session.config
        begin = clock.now()
        with sampling_timed(clock, "ours_sample"):
            rollout = roll(self.session, self.learner, self.prompts, at, self.kept, behind=at - 1)
        middle = clock.now()
        learn(self.learner, rollout, at, self.kept["kl_coef"], config, seed=self.session.spec.seed)
        end = clock.now()
        clock.add("ours", end - begin)
        clock.add("ours_score", middle - begin - clock.seconds["ours_sample"][-1])
        clock.add("ours_train", end - middle)
        self.tokens.append(int(rollout.mask_RT.sum()))

    def trained(self) -> int:
        """How many numbers the optimiser changes."""
        return sum(weight.numel() for weight in self.learner.weights.values())


def prompts_of(count: int, tokens: int, size: str) -> list[PromptRow]:
    """Random prompts of `tokens` tokens."""
    draw = random.Random(0)
    return [PromptRow(f"p{at}", llama.words(draw, tokens, size)) for at in range(count)]


def settings(options: argparse.Namespace, epochs: int) -> dict[str, Any]:
    """The config of our stage."""
    return {
        "device": options.device,
        "threads": 1 if options.device == "cpu" else 0,
        "tuning": options.tuning,
        "updates": options.updates + 1,
        "rollout_prompts": options.batch,
        "inner_epochs": epochs,
        "max_new_tokens": options.answer_tokens,
        "temperature": 0.7,
        "learning_rate": 3e-6,
        "truncated": "keep",
        "micro_tokens": options.micro_tokens,
        "checkpoint_every": 0,
    }


def write_session(folder: Path, options: argparse.Namespace, epochs: int) -> Path:
    """A PPO run directory on the fixed Llama; with LoRA the reward model is an adapter on the policy's trunk."""
    policy = write_policy(folder / "policy", options.size)
    if options.tuning == "lora":
        place = {"device": options.device}
        reward = write_reward_adapter(folder / "reward", policy, place, options.size)
    else:
        reward = write_reward(folder / "reward", options.size)
    inputs = {"policy": policy, "reward": reward}
    return write_run(
        folder / "run", Kind.PPO, config=settings(options, epochs), inputs=inputs, data={"prompts": [PROMPT]}
    )


def compare(epochs: int, options: argparse.Namespace) -> dict[str, Any]:
    """Update both sides in turns; the first update of each is a warm-up."""
    clock = Clock(torch.device(options.device), warmup=1)
    prompts = prompts_of((options.updates + 1) * options.batch, options.prompt_tokens, options.size)
    peer = importlib.import_module("benchmarks.peers.ppo_trl") if options.against == "trl" else None
    with tempfile.TemporaryDirectory() as folder:
        run = write_session(Path(folder), options, epochs)
        with Session(run) as session:
            ours = Ours(session, prompts)
            weights = in_turns(ours, peer, epochs, clock, options)
            return summary(clock, ours, weights, epochs, options)


def in_turns(ours: Ours, peer: Any, epochs: int, clock: Clock, options: argparse.Namespace) -> dict[str, int] | None:
    """All updates of ours and of the peer's module; ours alone when that is None. Returns the peer's parameters."""

    def update(at: int) -> None:
        ours.update(at + 1, clock)

    if peer is None:
        for at in range(options.updates + 1):
            update(at)
        return None
    weights: dict[str, int] = peer.train(
        options.size,
        [prompt.ids for prompt in ours.prompts],
        batch=options.batch,
        micro_rows=options.batch,
        answer_tokens=options.answer_tokens,
        epochs=epochs,
        clock=clock,
        between=update,
    )
    return weights


def summary(
    clock: Clock, ours: Ours, theirs: dict[str, int] | None, epochs: int, options: argparse.Namespace
) -> dict[str, Any]:
    """The figures of one number of inner epochs."""
    sides = ["ours"] + (["trl"] if theirs else [])
    found: dict[str, Any] = {"ratio": round(clock.median("trl") / clock.median("ours"), 2)} if theirs else {}
    found["cpu_seconds_per_update"] = {side: round(clock.median(side), 3) for side in sides}
    found["phases"] = {
        side: {phase: round(clock.median(f"{side}_{phase}"), 3) for phase in ("sample", "score", "train")}
        for side in sides
    }
    found["answer_tokens"] = ours.tokens[-1]
    found["trained_parameters"] = {"ours": ours.trained()} | ({"trl": theirs["trained"]} if theirs else {})
    found["arithmetic"] = {side: arithmetic(side, epochs, options) for side in sides}
    return found


def arithmetic(side: str, epochs: int, options: argparse.Namespace) -> dict[str, int]:
    """What a side computes in an update, in tokens: through a whole trunk (forward, backward) and through the output layer."""
    answers = options.batch * options.answer_tokens
    rows = options.batch * (options.prompt_tokens + options.answer_tokens)
    sampled = rows - options.batch
    if side == "trl":  # reference, value and reward score; policy and value train; logits of all tokens
        return {
            "trunk_forward": sampled + 3 * rows + epochs * 2 * rows,
            "trunk_backward": epochs * 2 * rows,
            "output_forward": answers + rows + epochs * rows,
            "output_backward": epochs * rows,
        }
    return {  # reference and reward score, values come with sampling; policy and value head train together
        "trunk_forward": sampled + 2 * rows + epochs * rows,
        "trunk_backward": epochs * rows,
        "output_forward": 2 * answers + epochs * answers,
        "output_backward": epochs * answers,
    }


def shape_parser(doc: str, *, updates: int) -> argparse.ArgumentParser:
    """A command line with what fixes the shapes of an update."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument(
        "--updates",
        type=int,
        default=updates,
        help="updates, or rounds of what has none, that count (default: %(default)s)",
    )
    parser.add_argument("--batch", type=int, default=16, help="episodes per update (default: %(default)s)")
    parser.add_argument("--prompt-tokens", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--answer-tokens", type=int, default=64, help="default: %(default)s")
    parser.add_argument(
        "--micro-tokens", type=int, default=4096, help="tokens in a forward pass (default: %(default)s)"
    )
    parser.add_argument("--size", choices=tuple(llama.SIZES), default="15m", help="the Llama (default: %(default)s)")
    return parser


def check_shape(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse shapes without a token in them."""
    if min(options.updates, options.batch, options.prompt_tokens, options.answer_tokens) < 1:
        parser.error("--updates, --batch, --prompt-tokens and --answer-tokens must be at least 1")
    room = llama.SIZES[options.size].context
    if options.prompt_tokens + options.answer_tokens > room:
        parser.error(f"--prompt-tokens and --answer-tokens exceed the {room} tokens of --size {options.size}")


def options_of(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = shape_parser(__doc__ or "", updates=3)
    parser.add_argument("--against", choices=("trl", "nothing"), default="trl", help="the other side (default: trl)")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 4], help="inner epochs (default: 1 4)")
    parser.add_argument("--tuning", choices=("full", "lora"), default="full", help="ours (default: %(default)s)")
    parser.set_defaults(device="cpu")
    options = parser.parse_args(argv)
    check_shape(parser, options)
    if min(options.epochs) < 1:
        parser.error("--epochs must be at least 1")
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every number of inner epochs and report."""
    options = options_of(argv)
    if options.against == "trl":
        environment.go_to_peers("benchmarks.ppo", ppo=True)
    torch.set_num_threads(1)
    found = measured("epochs", options.epochs, partial(compare, options=options))
    report({**found, "benchmark": "ppo", "tuning": options.tuning, "size": options.size})


if __name__ == "__main__":
    main()
