"""What the two halves of Loop exchange: records, the run's spec, its result, manifests. Standard library only.

A run is a directory. `labeling` writes `spec.json` and `data/`; `training` writes everything else:

    spec.json        RunSpec: kind, config, inputs and data with their sha256, seed
    data/            JSONL shards named in the spec
    metrics.jsonl    one object a line: {"step", "time", "split", name: number…}; append-only
    samples.jsonl    {"step", "prompt", "text", …}: texts to look at
    checkpoints/     for resume; the manifest of each is written last
    output/          the result, renamed into place with its manifest.json
    result.json      written last, atomically
    log.txt

Records are one JSON object a line (UTF-8, LF). Splits are `train`, `valid` or `test`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from training.manifests import ContractError as ContractError
from training.manifests import canonical_json as canonical_json
from training.manifests import sha256_of as sha256_of
from training.manifests import verify_manifest as verify_manifest
from training.manifests import write_atomic as write_atomic
from training.manifests import write_manifest as write_manifest

SPEC_VERSION = 1
ROLES = ("system", "user", "assistant")
SPLITS = ("train", "valid", "test")

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
    Kind.SAMPLE: StageNeeds(("prompts", "demonstrations?"), ("policy", "reward?"), "completions"),
    Kind.REWARD: StageNeeds(("rankings", "demonstrations?"), ("policy",), "reward"),
    Kind.PPO: StageNeeds(("prompts", "documents?", "demonstrations?"), ("policy", "reward?", "gold?"), "policy"),
    Kind.EVALUATE: StageNeeds(("prompts?", "rankings?"), ("policy", "reference?", "reward?"), "report"),
}


# ---------------------------------------------------------------- records


def _need(row: dict[str, Any], name: str, kind: type | tuple[type, ...], where: str) -> Any:
    if name not in row:
        raise ContractError(f"{where}: field '{name}' is missing")
    if not isinstance(row[name], kind) or isinstance(row[name], bool):
        wanted = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise ContractError(f"{where}: field '{name}' must be {wanted}, not {type(row[name]).__name__}")
    return row[name]


def check_messages(messages: Any, *, last: str, where: str) -> list[dict[str, str]]:
    """Return `messages` if it is a list of {"role", "content"} that ends with role `last`; raise ContractError otherwise."""
    if not isinstance(messages, list) or not messages:
        raise ContractError(f"{where}: field 'messages' must be a non-empty list")
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise ContractError(f"{where}: messages[{at}] must be an object with exactly 'role' and 'content'")
        if message["role"] not in ROLES:
            raise ContractError(f"{where}: messages[{at}].role must be one of {', '.join(ROLES)}")
        if not isinstance(message["content"], str) or not message["content"].strip():
            raise ContractError(f"{where}: messages[{at}].content must be non-empty text")
        if message["role"] == "system" and at:
            raise ContractError(f"{where}: messages[{at}]: a system message may only come first")
    if messages[-1]["role"] != last:
        raise ContractError(f"{where}: the last message must be from '{last}'")
    return messages


def _split(row: dict[str, Any], where: str) -> str:
    split = row.get("split", "train")
    if split not in SPLITS:
        raise ContractError(f"{where}: field 'split' must be one of {', '.join(SPLITS)}")
    return str(split)


@dataclass(frozen=True)
class PromptRecord:
    """One prompt: messages ending with the user's turn."""

    id: str
    messages: list[dict[str, str]]
    split: str = "train"

    @classmethod
    def parse(cls, row: dict[str, Any], where: str = "prompt") -> Self:
        """Build from a JSON object; raises ContractError naming the field."""
        return cls(
            _need(row, "id", str, where),
            check_messages(row.get("messages"), last="user", where=where),
            _split(row, where),
        )


@dataclass(frozen=True)
class DemonstrationRecord:
    """One demonstration: messages ending with the ideal answer."""

    id: str
    messages: list[dict[str, str]]
    split: str = "train"

    @classmethod
    def parse(cls, row: dict[str, Any], where: str = "demonstration") -> Self:
        """Build from a JSON object; raises ContractError naming the field."""
        return cls(
            _need(row, "id", str, where),
            check_messages(row.get("messages"), last="assistant", where=where),
            _split(row, where),
        )


@dataclass(frozen=True)
class RankingRecord:
    """One labeler's ranking of K completions. `ranks[i]` is the place of `completions[i]`: 1 is best, equal places are ties.

    `completions` are {"id", "text", "finish_reason"?}; `quality` are 1–7 or None, aligned with them.
    `margins` (K = 2 only) is the preference strength in reward units (Llama 2, table 27), 0 when not asked.
    """

    id: str
    prompt_id: str
    messages: list[dict[str, str]]
    completions: list[dict[str, Any]]
    ranks: list[int]
    quality: list[int | None] = field(default_factory=list)
    margin: float = 0.0
    labeler: str = ""
    split: str = "train"

    @classmethod
    def parse(cls, row: dict[str, Any], where: str = "ranking") -> Self:
        """Build from a JSON object; raises ContractError naming the field."""
        completions = _need(row, "completions", list, where)
        if len(completions) < 2:
            raise ContractError(f"{where}: field 'completions' needs at least 2 entries")
        for at, completion in enumerate(completions):
            if not isinstance(completion, dict) or not isinstance(completion.get("text"), str):
                raise ContractError(f"{where}: completions[{at}] must be an object with 'id' and 'text'")
        ranks = _need(row, "ranks", list, where)
        if len(ranks) != len(completions):
            raise ContractError(f"{where}: 'ranks' has {len(ranks)} entries for {len(completions)} completions")
        if any(not isinstance(rank, int) or isinstance(rank, bool) or rank < 1 for rank in ranks):
            raise ContractError(f"{where}: every entry of 'ranks' must be a whole number of at least 1")
        return cls(
            _need(row, "id", str, where),
            str(row.get("prompt_id", row["id"])),
            check_messages(row.get("messages"), last="user", where=where),
            completions,
            ranks,
            list(row.get("quality") or [None] * len(ranks)),
            float(row.get("margin") or 0.0),
            str(row.get("labeler", "")),
            _split(row, where),
        )


@dataclass(frozen=True)
class CompletionRecord:
    """One sampled completion. `logprob` is the sum over its `token_count` tokens, in nats, under the sampling distribution."""

    id: str
    prompt_id: str
    policy: str
    text: str
    token_count: int
    finish_reason: str  # "stop" or "length"
    logprob: float
    sampling: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, row: dict[str, Any], where: str = "completion") -> Self:
        """Build from a JSON object; raises ContractError naming the field."""
        return cls(
            _need(row, "id", str, where),
            _need(row, "prompt_id", str, where),
            _need(row, "policy", str, where),
            _need(row, "text", str, where),
            _need(row, "token_count", int, where),
            _need(row, "finish_reason", str, where),
            float(_need(row, "logprob", (int, float), where)),
            dict(row.get("sampling") or {}),
        )


@dataclass(frozen=True)
class DocumentRecord:
    """One text for pretraining; `source` picks its mixture weight."""

    text: str
    source: str = "text"
    split: str = "train"

    @classmethod
    def parse(cls, row: dict[str, Any], where: str = "document") -> Self:
        """Build from a JSON object; raises ContractError naming the field."""
        return cls(_need(row, "text", str, where), str(row.get("source", "text")), _split(row, where))


Record = PromptRecord | DemonstrationRecord | RankingRecord | CompletionRecord | DocumentRecord
RECORDS: dict[str, type[Record]] = {
    "prompts": PromptRecord,
    "demonstrations": DemonstrationRecord,
    "rankings": RankingRecord,
    "completions": CompletionRecord,
    "documents": DocumentRecord,
}


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file; raises ContractError with file and line."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as problem:
                raise ContractError(f"{path.name} line {number}: not JSON ({problem})") from problem
            if not isinstance(row, dict):
                raise ContractError(f"{path.name} line {number}: must be an object")
            yield row


def read_records(kind: str, paths: Iterable[Path]) -> list[Any]:
    """Parse every line of `paths` as the record kind named; raises ContractError with file, line and field."""
    parse = RECORDS[kind].parse
    return [
        parse(row, f"{path.name} row {number}")
        for path in paths
        for number, row in enumerate(read_jsonl(path), start=1)
    ]


# ---------------------------------------------------------------- spec and result


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


@dataclass(frozen=True)
class RunSpec:
    """`spec.json`: all that a stage may know. `inputs` maps a role (policy, reward, reference) to checkpoints, `data` a record kind to files."""

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
        refs: dict[str, dict[str, list[Any]]] = {}
        for part, ref in (("inputs", InputRef), ("data", DataRef)):
            groups = row.get(part, {})
            if not isinstance(groups, dict) or not all(isinstance(group, list) for group in groups.values()):
                raise ContractError(f"spec.json: '{part}' must map names to lists")
            try:
                refs[part] = {name: [ref(**entry) for entry in group] for name, group in groups.items()}
            except TypeError as problem:
                raise ContractError(f"spec.json: '{part}': {problem}") from problem
            wanted = getattr(NEEDS[kind], part)
            for name in wanted:
                if not name.endswith("?") and not groups.get(name):
                    raise ContractError(f"spec.json: {kind} needs {part}.{name}")
            if extra := sorted(set(groups) - {name.rstrip("?") for name in wanted}):
                raise ContractError(f"spec.json: {kind} does not read {part}.{extra[0]}")
        return cls(
            kind=kind,
            config=dict(row.get("config", {})),
            inputs=refs["inputs"],
            data=refs["data"],
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
