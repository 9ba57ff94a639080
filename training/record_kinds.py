"""What one line of a data file holds: prompts, demonstrations, rankings, completions, documents. Standard library only, part of `training.contracts`.

One JSON object a line (UTF-8, LF). Splits are `train`, `valid` or `test`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from training.manifests import ContractError

ROLES = ("system", "user", "assistant")
SPLITS = ("train", "valid", "test")


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
class Conversation:
    """Messages that end with the turn of role `LAST`."""

    LAST: ClassVar[str]
    id: str
    messages: list[dict[str, str]]
    split: str = "train"

    @classmethod
    def parse(cls, row: dict[str, Any], where: str = "conversation") -> Self:
        """Build from a JSON object; raises ContractError naming the field."""
        return cls(
            _need(row, "id", str, where),
            check_messages(row.get("messages"), last=cls.LAST, where=where),
            _split(row, where),
        )


class PromptRecord(Conversation):
    """One prompt: messages ending with the user's turn."""

    LAST = "user"


class DemonstrationRecord(Conversation):
    """One demonstration: messages ending with the ideal answer."""

    LAST = "assistant"


@dataclass(frozen=True)
class RankingRecord:
    """One labeler's ranking of K completions. `ranks[i]` is the place of `completions[i]`: 1 is best, equal places are ties.

    K = 1 compares nothing: stages skip and count such a ranking.

    `completions` are {"id", "text", "finish_reason"?}; `quality` are 1–7 or None, aligned with them.
    `margin` (K = 2 only) is the preference strength in reward units (Llama 2, table 27), 0 when not asked.
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
        if not completions:
            raise ContractError(f"{where}: field 'completions' is empty; give the completions that were ranked")
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
