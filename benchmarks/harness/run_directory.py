"""Run directories for the stages, as the web half would write them, and checkpoints of the fixed Llama to start from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import llama
from training import reward
from training.contracts import EXIT_OK, DataRef, InputRef, Kind, RunSpec, canonical_json
from training.session import main


def write_run(
    folder: Path,
    kind: Kind,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, Path],
    data: Mapping[str, Sequence[Mapping[str, Any]]],
    seed: int = 0,
) -> Path:
    """Write spec.json and data/*.jsonl into `folder` (made when missing); return it."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, rows in data.items():
        text = "".join(canonical_json(dict(row)) + "\n" for row in rows)
        (folder / "data" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    RunSpec(
        kind=kind,
        config=dict(config),
        inputs={role: [InputRef(str(path.resolve()))] for role, path in inputs.items()},
        data={name: [DataRef(f"data/{name}.jsonl")] for name in data},
        seed=seed,
    ).write(folder)
    return folder


def write_policy(folder: Path, size: str) -> Path:
    """The fixed Llama as a policy whose answers are always as long as they may be."""
    return llama.save(llama.language_model(size), size, folder, endless=True)


def write_reward(folder: Path, size: str) -> Path:
    """A reward model with a trunk of its own: random weights, one label."""
    return llama.save(llama.reward_model(size), size, folder, endless=True)


def write_reward_adapter(folder: Path, policy: Path, config: Mapping[str, Any], size: str) -> Path:
    """A reward model that is an adapter on the policy's trunk, made by one step of the reward stage; raises RuntimeError."""
    draw = random.Random(0)

    def text() -> str:
        return " ".join(f"t{at}" for at in llama.words(draw, 8, size))

    rows = [
        {
            "id": f"r{at}",
            "prompt_id": f"p{at}",
            "messages": [{"role": "user", "content": text()}],
            "completions": [{"id": f"c{at}-{n}", "text": text(), "finish_reason": "length"} for n in range(2)],
            "ranks": [1, 2],
        }
        for at in range(4)
    ]
    settings = {"epochs": 1, "normalise": "none", "valid_fraction": 0.0, **config}
    run = write_run(folder, Kind.REWARD, config=settings, inputs={"policy": policy}, data={"rankings": rows})
    if main(reward.train, [str(run)]) != EXIT_OK:
        raise RuntimeError(f"the reward stage failed in {run}")
    return run / "output"
