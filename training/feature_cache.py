"""What the head reads of each text, kept: with a frozen trunk a text is run through it once, in this run or an earlier one.

In memory always; on disk, when a folder is named, one safetensors file per model, depth, readout and precision. A file
that is damaged or was made for something else is rebuilt, never trusted. Axes: C texts, K completions, D width.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.contracts import canonical_json
from training.records import RankingRow

VERSION = 1


class FeatureCache:
    """States [D] by text. `key` says what else they depend on; without a `folder` nothing is written."""

    def __init__(self, key: dict[str, Any], folder: Path | None = None) -> None:
        self.key = canonical_json({"version": VERSION, **key})
        name = hashlib.sha256(self.key.encode()).hexdigest()[:32]
        self.path = folder / f"{name}.safetensors" if folder else None
        self.problem = ""  # why the file found was not used
        self.hits = self.misses = 0
        self._states: dict[bytes, Tensor] = {}
        self._fresh = False
        if self.path and self.path.is_file():
            self._read(self.path)

    def recall(self, ranking: RankingRow) -> Tensor | None:
        """States [K, D] of the completions, fp32 on the CPU; None unless all are known."""
        found = [self._states.get(text_id(ranking.prompt, answer)) for answer in ranking.completions]
        known = [state for state in found if state is not None]
        if len(known) < len(found):
            self.misses += 1
            return None
        self.hits += 1
        return torch.stack(known)

    def keep(self, ranking: RankingRow, states_KD: Tensor) -> None:
        """Remember the completions' states."""
        self._fresh = True
        for answer, state_D in zip(ranking.completions, states_KD.float().cpu(), strict=True):
            self._states[text_id(ranking.prompt, answer)] = state_D

    def save(self) -> None:
        """Write everything known, whole or not at all; nothing without a folder or without news."""
        if self.path is None or not self._fresh:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {
            "texts": torch.frombuffer(bytearray(b"".join(self._states)), dtype=torch.uint8).view(-1, 32),
            "states": torch.stack(list(self._states.values())),
        }
        half = self.path.with_name(f".{self.path.stem}.{os.getpid()}")
        try:
            save_file(tensors, half, metadata={"key": self.key, "sha256": _digest(tensors)})
            half.replace(self.path)
        finally:
            half.unlink(missing_ok=True)
        self._fresh = False

    def _read(self, path: Path) -> None:
        try:
            with safe_open(path, framework="pt") as file:
                said = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in ("texts", "states")}
        except (OSError, SafetensorError) as problem:
            self.problem = f"{path.name} cannot be read ({problem})"
            return
        if said.get("key") != self.key:
            self.problem = f"{path.name} was made for another model or readout"
        elif said.get("sha256") != _digest(tensors):
            self.problem = f"{path.name} is damaged"
        else:
            names = tensors["texts"].numpy().tobytes()
            self._states = {
                names[at * 32 : at * 32 + 32]: state_D.clone() for at, state_D in enumerate(tensors["states"])
            }


def text_id(prompt: list[int], answer: list[int]) -> bytes:
    """Identity of a prompt's tokens and an answer's: where one ends counts."""
    return hashlib.sha256(array("q", [len(prompt), *prompt, *answer]).tobytes()).digest()


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in ("texts", "states"):
        digest.update(f"{name}{list(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
