"""The two-layer model that every training test runs on, made once per test session."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.backbone import Backbone, load_backbone
from training.default_model import make_tiny


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the tiny model; read it, never write into it."""
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def backbone(tiny_dir: Path) -> Backbone:
    """The tiny model, frozen, fp32 on the CPU, fresh for every test."""
    return load_backbone(tiny_dir, device=torch.device("cpu"), dtype=torch.float32)
