"""Directories that appear whole or not at all: resume checkpoints, published outputs, and the identity of a checkpoint.

A resume checkpoint `checkpoints/step-NNNNNN/` holds the trainable weights, the optimiser, the random states and what the
stage adds, as safetensors and JSON. Nothing here is pickled, so nothing read here can run code.
"""

from __future__ import annotations

import errno
import hashlib
import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training import distributed
from training.contracts import ContractError, canonical_json, sha256_of, verify_manifest, write_atomic, write_manifest
from training.manifests import flush_to_disk
from training.sharding import for_files, like

KEPT = 2
_STEP = re.compile(r"step-(\d{6,})$")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


# ---------------------------------------------------------------- whole directories


@contextmanager
def new_directory(target: Path, **facts: Any) -> Iterator[Path]:
    """Yield an empty folder beside `target`; on leaving, write its manifest (with `facts`), fsync and rename it to `target`.

    A `target` that exists is replaced. When the block raises, nothing of the new folder is left and `target` is as before.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield staging
        for path in sorted(staging.rglob("*")):
            flush_to_disk(path)
        write_manifest(staging, **facts)
        flush_to_disk(staging)
        staging.chmod(0o755)
        replaced = target.with_name(f".{target.name}.replaced")
        shutil.rmtree(replaced, ignore_errors=True)
        if target.exists():
            target.rename(replaced)
        staging.rename(target)
        flush_to_disk(target.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written in `folder` (hidden staging folders and files)."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def ran_out_of_space(problem: BaseException) -> bool:
    """Whether a write failed for want of room: a full disk, a quota or a limit on the size of files."""
    number = problem.errno if isinstance(problem, OSError) else None
    if number is None and (told := _OS_ERROR.search(str(problem))):  # safetensors has no errno, only this text
        number = int(told[1])
    return number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fingerprint(folder: str | Path) -> str:
    """The identity of a model's weights: a sha256 over its config and safetensors files. "" for a hub name."""
    folder = Path(folder)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        if path.is_file():
            digest.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def kept_part(run_dir: Path, name: str, make: Callable[[], Any]) -> Any:
    """What an earlier start of this run has kept under `name`, else what `make` returns (JSON), kept for later starts.

    For stages without weights to train: `checkpoints/NAME.json` appears whole or not at all. Of several ranks the first
    writes it; `make` has all of them meet, so that none looks for the file when it is there already.
    """
    path = run_dir / "checkpoints" / f"{name}.json"
    if not path.is_file():
        made = make()
        if distributed.is_first():
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, canonical_json(made))
        distributed.wait()
    return json.loads(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------- resume checkpoints


@dataclass(frozen=True)
class ResumePoint:
    """A valid resume checkpoint: the last finished step and what the stage kept with it."""

    folder: Path
    step: int
    extra: dict[str, Any]

    def restore(self, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer | None = None) -> None:
        """Copy weights, optimiser state and random states back in place; raises ContractError when the names differ."""
        saved = load_file(self.folder / "weights.safetensors")
        if set(saved) != set(weights):
            odd = sorted(set(saved) ^ set(weights))[0]
            raise ContractError(
                f"{self.folder.name}: holds other weights than this run trains (first difference: {odd})"
            )
        with torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(like(saved[name], tensor))
        if optimizer is not None:
            _load_optimizer(self.folder, optimizer)
        _load_random(self.folder)


def save_resume_point(
    run_dir: Path,
    step: int,
    *,
    weights: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer | None = None,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Write `checkpoints/step-NNNNNN` atomically and keep the newest two. `extra` must be JSON."""
    folder = run_dir / "checkpoints" / f"step-{step:06d}"
    whole_weights = for_files(weights)
    state = _optimizer_state(optimizer) if optimizer is not None else None
    if not distributed.is_first():
        return folder
    with new_directory(folder, step=step) as staging:
        save_file(whole_weights, staging / "weights.safetensors")
        if state is not None:
            save_file(state[0], staging / "optimizer.safetensors")
            (staging / "optimizer.json").write_text(json.dumps(state[1]), encoding="utf-8")
        _save_random(staging)
        (staging / "state.json").write_text(json.dumps({"step": step, "extra": extra or {}}), encoding="utf-8")
    for at, old in enumerate(found := _steps(run_dir)):
        newer = at < found.index(folder)  # passed over when the run was started again, so it is damaged
        if newer or at >= found.index(folder) + KEPT:
            shutil.rmtree(old)
    return folder


def latest_resume_point(run_dir: Path) -> ResumePoint | None:
    """The newest checkpoint whose manifest holds; damaged or half-written ones are passed over."""
    for folder in _steps(run_dir):
        try:
            verify_manifest(folder)
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        except (ContractError, OSError, ValueError):
            continue
        return ResumePoint(folder, state["step"], state["extra"])
    return None


def _steps(run_dir: Path) -> list[Path]:
    folder = run_dir / "checkpoints"
    found = [path for path in folder.glob("step-*") if _STEP.match(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def _optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    state = optimizer.state_dict()
    slots = {f"{index}.{name}": value for index, own in state["state"].items() for name, value in own.items()}
    tensors = {name: value for name, value in slots.items() if isinstance(value, Tensor)}
    scalars = {name: value for name, value in slots.items() if not isinstance(value, Tensor)}
    return for_files(tensors), {"param_groups": state["param_groups"], "scalars": scalars}


def _load_optimizer(folder: Path, optimizer: torch.optim.Optimizer) -> None:
    saved = json.loads((folder / "optimizer.json").read_text(encoding="utf-8"))
    state: dict[int, dict[str, Any]] = {}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for key, value in {**load_file(folder / "optimizer.safetensors"), **saved["scalars"]}.items():
        index, name = key.split(".", 1)
        if isinstance(value, Tensor) and value.dim():  # not the step count
            value = like(value, weights[int(index)])
        state.setdefault(int(index), {})[name] = value
    for group in saved["param_groups"]:
        group["betas"] = tuple(group["betas"])
    optimizer.load_state_dict({"state": state, "param_groups": saved["param_groups"]})


def _save_random(folder: Path) -> None:
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    save_file(states, folder / "random.safetensors")
    version, internal, gauss = random.getstate()
    (folder / "random.json").write_text(json.dumps([version, list(internal), gauss]), encoding="utf-8")


def _load_random(folder: Path) -> None:
    states = load_file(folder / "random.safetensors")
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    version, internal, gauss = json.loads((folder / "random.json").read_text(encoding="utf-8"))
    random.setstate((version, tuple(internal), gauss))
