"""Every stage on a device that is not the CPU: no tensor is left behind, and the numbers are those of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.elsewhere import DEVICE, pretended
from tests.training.run_directories import TOPICS, demonstrations, make_run, rankings, user
from training import evaluate, ppo, pretrain, reward, sample, session, sft
from training.contracts import EXIT_OK, Kind, Result
from training.session import Metrics, Session, main

PROMPTS = [{"id": f"p{at}", "messages": [user(f"Tell me about {topic}.")]} for at, topic in enumerate(TOPICS[:4])]
DOCUMENTS = [{"text": "A river is water that flows over land to the sea."}, {"text": "Bees fly.", "split": "valid"}]
TRAIN: dict[Kind, Callable[[Session], Metrics]] = {
    Kind.PRETRAIN: pretrain.train,
    Kind.SFT: sft.train,
    Kind.SAMPLE: sample.train,
    Kind.REWARD: reward.train,
    Kind.PPO: ppo.train,
    Kind.EVALUATE: evaluate.train,
}
SHORT = {"updates": 1, "rollout_prompts": 3, "max_new_tokens": 5}
RUNS: dict[str, tuple[Kind, dict[str, Any], dict[str, list[dict[str, Any]]], tuple[str, ...]]] = {
    "pretrain": (
        Kind.PRETRAIN,
        {"steps": 1, "context": 32, "vocab_size": 300, "layers": 1, "hidden": 32, "heads": 2},
        {"documents": DOCUMENTS},
        (),
    ),
    "sft": (Kind.SFT, {"batch_size": 4}, {"demonstrations": demonstrations(4, valid=1)}, ("policy",)),
    "reward": (
        Kind.REWARD,
        {"batch_size": 4, "head_l2": 0.1, "readout": "both"},
        {"rankings": rankings(5), "demonstrations": demonstrations(2)},
        ("policy",),
    ),
    "heads": (
        Kind.REWARD,
        {"epochs": 0, "head_l2": 0.1, "readout": "mean", "seeds": 2, "members": 2, "combine": "min"},
        {"rankings": rankings(5)},
        ("policy",),
    ),
    "best of n": (
        Kind.SAMPLE,
        {"n": 1, "best_of": 2, "max_new_tokens": 5, "top_p": 0.9, "min_new_tokens": 2},
        {"prompts": PROMPTS},
        ("policy", "reward"),
    ),
    "ppo": (Kind.PPO, SHORT | {"truncated": "mask"}, {"prompts": PROMPTS}, ("policy", "reward")),
    "ppo with more": (
        Kind.PPO,
        SHORT
        | {"value_model": "adapter", "truncated": "bootstrap", "ema_decay": 0.5, "ptx_coef": 1.0, "minibatches": 2}
        | {"whiten_scores": True, "first_adapted_layer": 1, "min_new_tokens": 2},
        {"prompts": PROMPTS, "documents": DOCUMENTS},
        ("policy", "reward", "gold"),
    ),
    "full ppo": (Kind.PPO, SHORT | {"tuning": "full"}, {"prompts": PROMPTS}, ("policy", "reward")),
    "evaluate": (
        Kind.EVALUATE,
        {"n": 1, "max_new_tokens": 5, "split": "train"},
        {"prompts": PROMPTS, "rankings": rankings(3)},
        ("policy", "reference", "reward"),
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_stage_on_another_device_gives_the_numbers_of_the_cpu(
    name: str, tmp_path: Path, tiny_dir: Path, reward_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, config, data, roles = RUNS[name]
    inputs = {role: reward_dir if role in ("reward", "gold") else tiny_dir for role in roles}
    here, there = (
        make_run(tmp_path / place, kind, config=config, inputs=inputs, data=data, seed=3) for place in ("here", "there")
    )
    assert main(TRAIN[kind], [str(here)]) == EXIT_OK
    monkeypatch.setattr(session, "choose_device", lambda _: (DEVICE, torch.float32))
    with pretended() as wide:
        status = main(TRAIN[kind], [str(there)])
    found, expected = Result.read(there), Result.read(here)
    assert status == EXIT_OK, found.error
    assert found.device == str(DEVICE)
    assert wide <= {"choosing.py", "sampling.py"}  # these ask for fp32 on mps, which has no fp64
    assert set(found.metrics) == set(expected.metrics)
    for metric, value in expected.metrics.items():
        if isinstance(value, float):
            assert found.metrics[metric] == pytest.approx(value, rel=1e-3, abs=1e-5), metric
        else:
            assert found.metrics[metric] == (pytest.approx(value) if isinstance(value, list) else value), metric


def test_a_tensor_left_on_the_cpu_is_found() -> None:
    with pretended():
        there = torch.ones(2).to(DEVICE)
        assert (there * 2 + torch.tensor(1.0)).tolist() == [3.0, 3.0]
        assert there[[0]].cpu().tolist() == [1.0]
        with pytest.raises(RuntimeError, match="of the CPU and of the other device"):
            there + torch.ones(2)
        with pytest.raises(RuntimeError, match="of the CPU and of the other device"):
            torch.ones(2)[there > 0]
