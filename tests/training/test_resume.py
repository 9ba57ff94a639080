"""Killed at random moments, a stage ends as if it had not been; a checkpoint that is not whole is never picked up."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.training.run_directories import TOPICS, lines, make_run, numbers, rankings, user
from training.contracts import Kind, Result

PROMPTS = [{"id": f"p{at}", "messages": [user(f"Tell me about {text}.")], "split": "train"} for at, text in enumerate(TOPICS)]  # fmt: skip
COMMON = {"learning_rate": 3e-3, "lora_rank": 4, "checkpoint_every": 1}
PPO = {"updates": 5, "rollout_prompts": 4, "minibatches": 2, "max_new_tokens": 6, "kl_target": 1.0}


def prepare(folder: Path, kind: Kind, tiny: Path, reward: Path) -> Path:
    inputs = {"policy": tiny, "reward": reward}
    if kind == Kind.EVALUATE:
        inputs["reference"] = tiny
        held = {"prompts": PROMPTS, "rankings": rankings(6)}
        return make_run(folder, kind, config={"split": "train", "max_new_tokens": 8}, inputs=inputs, data=held, seed=3)
    if kind == Kind.PPO:
        return make_run(folder, kind, config=COMMON | PPO, inputs=inputs, data={"prompts": PROMPTS}, seed=3)
    config = COMMON | {"batch_size": 2, "epochs": 2, "head_l2": 0.1}
    return make_run(folder, kind, config=config, inputs={"policy": tiny}, data={"rankings": rankings(8)}, seed=3)


def results_of(folder: Path) -> dict[str, bytes]:
    """Every file at the top of the result; its manifest holds the hashes of the rest."""
    return {path.name: path.read_bytes() for path in (folder / "output").iterdir() if path.is_file()}


@pytest.mark.parametrize(("kind", "kills"), [(Kind.REWARD, 20), (Kind.PPO, 20), (Kind.EVALUATE, 6)])
def test_killed_at_random_moments_it_ends_bit_for_bit_the_same(
    kind: Kind, kills: int, tmp_path: Path, tiny_dir: Path, reward_dir: Path
) -> None:
    source = prepare(tmp_path / "source", kind, tiny_dir, reward_dir)
    command = [sys.executable, "-m", "tests.training.killing", kind, str(source), str(tmp_path), str(kills), "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr + (tmp_path / "log.txt").read_text()
    told: dict[str, Any] = json.loads(done.stdout)
    assert sum(map(len, told["killed_at"])) == kills
    whole = tmp_path / "whole"
    expected = results_of(whole)
    assert expected
    for at in range(len(told["killed_at"])):
        broken = tmp_path / f"broken-{at}"
        assert numbers(broken) == numbers(whole)
        assert lines(broken / "samples.jsonl") == lines(whole / "samples.jsonl")
        assert Result.read(broken).metrics == Result.read(whole).metrics
        assert results_of(broken) == expected
        assert sorted(path.name for path in broken.iterdir()) == sorted(path.name for path in whole.iterdir())
