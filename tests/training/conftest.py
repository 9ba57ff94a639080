"""The two-layer model that every training test runs on, made once per test session."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.run_directories import make_run, rankings
from training import reward
from training.backbone import Backbone, load_backbone
from training.contracts import EXIT_OK, Kind
from training.default_model import make_tiny
from training.session import main


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny matrices gain nothing from a second thread, and lose much on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the tiny model; read it, never write into it."""
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def reward_dir(tiny_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward checkpoint on the tiny model that likes short answers; read it, never write into it."""
    folder = make_run(
        tmp_path_factory.mktemp("reward") / "run",
        Kind.REWARD,
        config={"lora_rank": 4, "normalise": "completions"},
        inputs={"policy": tiny_dir},
        data={"rankings": rankings(16, valid=4)},
    )
    assert main(reward.train, [str(folder)]) == EXIT_OK
    return folder / "output"


@pytest.fixture
def backbone(tiny_dir: Path) -> Backbone:
    """The tiny model, frozen, fp32 on the CPU, fresh for every test."""
    return load_backbone(tiny_dir, device=torch.device("cpu"), dtype=torch.float32)
