"""What the two halves of Loop exchange: the run's spec, its result, and (in files of their own) records and manifests. Standard library only.

A run is a directory. `labeling` writes `spec.json` and `data/`; `training` writes everything else:

    spec.json        RunSpec: kind, config, inputs and data with their sha256, seed
    data/            JSONL shards named in the spec
    metrics.jsonl    one object a line: {"step", "time", "split", name: number…}; append-only
    samples.jsonl    {"step", "prompt", "text", …}: texts to look at
    checkpoints/     for resume; the manifest of each is written last
    output/          the result, renamed into place with its manifest.json
    result.json      written last, atomically
    log.txt
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

from training.manifests import ContractError as ContractError
from training.manifests import canonical_json as canonical_json
from training.manifests import sha256_of as sha256_of
from training.manifests import verify_manifest as verify_manifest
from training.manifests import write_atomic as write_atomic
from training.manifests import write_manifest as write_manifest
from training.record_kinds import CompletionRecord as CompletionRecord
from training.record_kinds import DemonstrationRecord as DemonstrationRecord
from training.record_kinds import DocumentRecord as DocumentRecord
from training.record_kinds import PromptRecord as PromptRecord
from training.record_kinds import RankingRecord as RankingRecord
from training.record_kinds import read_jsonl as read_jsonl
from training.record_kinds import read_records as read_records

SPEC_VERSION = 1

EXIT_OK = 0
EXIT_BAD_SPEC = 64  # the spec, the config or a record is wrong: retrying cannot help
EXIT_FAILED = 70  # the stage raised
EXIT_INTERRUPTED = 75  # SIGTERM: a checkpoint was kept and the same directory can be started again


class Kind(StrEnum):
    """The stages; each value is the name of a module in `training/`."""

    PRETRAIN = "pretrain"
    SFT = "sft"
    SAMPLE = "sample"
    REWARD = "reward"
    PPO = "ppo"
    EVALUATE = "evaluate"


@dataclass(frozen=True)
class StageNeeds:
    """What a stage reads (`data` record kinds, `inputs` checkpoint roles; `?` marks an optional one) and what it leaves behind."""

    data: tuple[str, ...]
    inputs: tuple[str, ...]
    writes: str  # the kind of checkpoint published: base, policy, reward; completions or report for files


NEEDS: dict[Kind, StageNeeds] = {
    Kind.PRETRAIN: StageNeeds(("documents",), (), "base"),
    Kind.SFT: StageNeeds(("demonstrations",), ("policy",), "policy"),
    Kind.SAMPLE: StageNeeds(("prompts", "demonstrations?"), ("policy", "reward?", "gold?"), "completions"),
    Kind.REWARD: StageNeeds(("rankings", "demonstrations?"), ("policy",), "reward"),
    Kind.PPO: StageNeeds(("prompts", "documents?", "demonstrations?"), ("policy", "reward?", "gold?"), "policy"),
    Kind.EVALUATE: StageNeeds(("prompts?", "rankings?"), ("policy", "reference?", "reward?"), "report"),
}


@dataclass(frozen=True)
class InputRef:
    """A checkpoint directory a run reads. `path` is absolute; `sha256` is that of its manifest.json ("" = not checked)."""

    path: str
    name: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class DataRef:
    """A JSONL file a run reads, relative to the run directory ("" as sha256 = not checked)."""

    path: str
    sha256: str = ""
    rows: int = -1


Ref = TypeVar("Ref", InputRef, DataRef)


def _refs(row: dict[str, Any], part: str, ref: type[Ref], kind: Kind) -> dict[str, list[Ref]]:
    """The spec's `inputs` or `data`: what the stage needs is there, and nothing that it does not read."""
    groups = row.get(part, {})
    if not isinstance(groups, dict) or not all(isinstance(group, list) for group in groups.values()):
        raise ContractError(f"spec.json: '{part}' must map names to lists")
    try:
        found = {name: [ref(**entry) for entry in group] for name, group in groups.items()}
    except TypeError as problem:
        raise ContractError(f"spec.json: '{part}': {problem}") from problem
    wanted = getattr(NEEDS[kind], part)
    for name in wanted:
        if not name.endswith("?") and not groups.get(name):
            raise ContractError(f"spec.json: {kind} needs {part}.{name}")
    if extra := sorted(set(groups) - {name.rstrip("?") for name in wanted}):
        raise ContractError(f"spec.json: {kind} does not read {part}.{extra[0]}")
    return found


@dataclass(frozen=True)
class RunSpec:
    """`spec.json`: all that a stage may know. `inputs` maps a role (policy, reward, gold, reference) to checkpoints, `data` a record kind to files."""

    kind: Kind
    config: dict[str, Any]
    inputs: dict[str, list[InputRef]] = field(default_factory=dict)
    data: dict[str, list[DataRef]] = field(default_factory=dict)
    seed: int = 0
    run: str = ""
    name: str = ""
    code_version: str = ""
    version: int = SPEC_VERSION

    def write(self, run_dir: Path) -> None:
        """Write `spec.json` atomically."""
        write_atomic(run_dir / "spec.json", json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, run_dir: Path) -> Self:
        """Read and check `spec.json`; raises ContractError naming the field."""
        try:
            row = json.loads((run_dir / "spec.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise ContractError(f"spec.json cannot be read: {problem}") from problem
        return cls.parse(row)

    @classmethod
    def parse(cls, row: Any) -> Self:
        """Check a decoded spec; unknown keys, unknown kinds and missing inputs or data are errors."""
        if not isinstance(row, dict):
            raise ContractError("spec.json must be an object")
        known = set(cls.__dataclass_fields__)
        if unknown := sorted(set(row) - known):
            raise ContractError(f"spec.json: unknown field '{unknown[0]}'; known fields: {', '.join(sorted(known))}")
        if row.get("version", SPEC_VERSION) != SPEC_VERSION:
            raise ContractError(f"spec.json: version {row['version']} is not supported; this code reads {SPEC_VERSION}")
        try:
            kind = Kind(row.get("kind", ""))
        except ValueError as problem:
            raise ContractError(f"spec.json: 'kind' must be one of {', '.join(Kind)}") from problem
        if not isinstance(row.get("config", {}), dict):
            raise ContractError("spec.json: 'config' must be an object")
        seed = row.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise ContractError("spec.json: 'seed' must be a whole number from 0 to 2**32 - 1")
        return cls(
            kind=kind,
            config=dict(row.get("config", {})),
            inputs=_refs(row, "inputs", InputRef, kind),
            data=_refs(row, "data", DataRef, kind),
            seed=seed,
            run=str(row.get("run", "")),
            name=str(row.get("name", "")),
            code_version=str(row.get("code_version", "")),
        )


@dataclass(frozen=True)
class Result:
    """`result.json`: written last. `state` is succeeded, cancelled or failed; `metrics` are the numbers of the run's page."""

    state: str
    metrics: dict[str, Any] = field(default_factory=dict)
    manifest_sha256: str = ""
    device: str = ""
    precision: str = ""
    base_precision: str = ""  # of the frozen base where it is another
    seconds: float = 0.0
    error: str = ""

    def write(self, run_dir: Path) -> None:
        """Write `result.json` atomically."""
        write_atomic(run_dir / "result.json", json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, run_dir: Path) -> Self:
        """Read `result.json`; raises ContractError when it is missing or not one."""
        try:
            return cls(**json.loads((run_dir / "result.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as problem:
            raise ContractError(f"result.json cannot be read: {problem}") from problem
