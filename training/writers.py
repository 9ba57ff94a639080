"""More places for what metrics.jsonl gets: TensorBoard, Weights & Biases, trackio. Each is a package of its own, none is needed.

Numbers of the train split keep their names; others have the split in front (`valid/objective/kl`). Where each of them
sends or keeps its data is its own matter: see WANDB_MODE and the like. TensorBoard's files lie in the run directory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from training.configs import Config, ConfigError
from training.contracts import RunSpec

PROJECT = "loop"


class Writer(Protocol):
    """Takes the numbers of one line of metrics.jsonl."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep these numbers of this step."""

    def close(self) -> None:
        """Nothing more will come."""


def open_writers(config: Config, spec: RunSpec, run_dir: Path, *, first_step: int) -> list[Writer]:
    """The writers the config names; ConfigError for one that is not installed. A resumed run begins at `first_step`."""
    opened: list[Writer] = []
    for name in config.writer_names():
        module = _package(name)
        facts = {"name": spec.name or run_dir.name, "config": {"kind": str(spec.kind), **config.to_dict()}}
        opened.append(_OPENERS[name](module, run_dir, first_step, {**facts, "id": spec.run}))
    return opened


def tag(name: str, split: str) -> str:
    """`objective/kl` of the train split stays so; of another it is `valid/objective/kl`."""
    return name if split == "train" else f"{split}/{name}"


_MODULES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "trackio": "trackio"}


def _package(name: str) -> Any:
    try:
        return importlib.import_module(_MODULES[name])
    except ImportError as problem:
        advice = "install it (pip install 'loop-rlhf[writers]' has all three) or leave it out"
        raise ConfigError("writers", f"{name} is not installed: {advice}") from problem


class _TensorBoard:
    def __init__(self, module: Any, run_dir: Path, first_step: int, _facts: dict[str, Any]) -> None:
        self._files = module.SummaryWriter(log_dir=str(run_dir / "tensorboard"), purge_step=first_step)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._files.add_scalar(name, value, global_step=step)

    def close(self) -> None:
        self._files.close()


class _Wandb:
    def __init__(self, module: Any, run_dir: Path, _first_step: int, facts: dict[str, Any]) -> None:
        known = {"id": facts["id"], "resume": "allow"} if facts["id"] else {}
        shown = {"name": facts["name"], "config": facts["config"]}
        self._run = module.init(project=PROJECT, dir=str(run_dir), **shown, **known)
        self._newest = 0

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """W&B drops a line whose step is behind its newest, as those of a curve by candidates are: these get its next free step."""
        behind = step < self._newest
        self._run.log(dict(numbers), step=None if behind else step)
        self._newest = self._newest + 1 if behind else step

    def close(self) -> None:
        self._run.finish()


class _Trackio:
    def __init__(self, module: Any, _run_dir: Path, _first_step: int, facts: dict[str, Any]) -> None:
        self._module = module
        module.init(project=PROJECT, name=facts["name"], config=facts["config"], resume="allow")

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._module.log(dict(numbers), step=step)

    def close(self) -> None:
        self._module.finish()


_OPENERS: dict[str, Callable[[Any, Path, int, dict[str, Any]], Writer]] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "trackio": _Trackio,
}
