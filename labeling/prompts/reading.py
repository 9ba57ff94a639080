"""From the lines of a file to rows: JSONL, CSV, or objects that a program sent. Never holds more than one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from django.utils.translation import gettext as _

from labeling.core.spreadsheet import as_it_was
from labeling.prompts.models import Prompt
from labeling.prompts.split import Message

MAX_LINE = 1024 * 1024
MAX_DEPTH = 16
KEYS = ("prompt", "messages", "owner", "category", "kind", "metadata", "split", "id")
LIMITS = {"owner": 120, "category": 60, "id": 120}
ROLES = ("system", "user", "assistant")


@dataclass
class Row:
    """One prompt as it was written down."""

    line: int
    messages: list[Message]
    owner: str = ""
    category: str = ""
    kind: str = Prompt.Kind.PLAIN.value
    split: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


class BadRow(Exception):
    """A line is wrong: `field` names the part, the text says how to mend it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field, self.detail = field, detail


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Lines of an upload; one that is too long is cut, which `rows` then reports."""
    while line := file.readline(MAX_LINE + 1):
        yield line
        while len(line) > MAX_LINE and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE + 1)


def text_of(line: str | bytes) -> str:
    """Strict UTF-8, at most 1 MiB."""
    if len(line) > MAX_LINE:
        raise BadRow("line", _("The line is longer than 1 MiB: shorten it or split it."))
    try:
        return line.decode("utf-8-sig") if isinstance(line, bytes) else line.removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        detail = _("Byte %(at)d is not UTF-8: save the file as UTF-8.") % {"at": problem.start + 1}
        raise BadRow("line", detail) from problem


def rows(lines: Iterable[Any], fmt: str) -> Iterator[tuple[int, Row | BadRow]]:
    """(line number, row or what is wrong with it). `fmt`: jsonl or csv over text or bytes, objects over dicts."""
    raw = {"jsonl": json_objects, "csv": csv_objects, "objects": plain_objects}[fmt](lines)
    for number, found in raw:
        try:
            if isinstance(found, BadRow):
                raise found
            yield number, row_of(number, found)
        except BadRow as problem:
            yield number, problem


def plain_objects(lines: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """What a program sent, counted from 1."""
    yield from enumerate(lines, start=1)


def json_objects(lines: Iterable[str | bytes]) -> Iterator[tuple[int, Any]]:
    """One JSON object a line; blank lines are skipped."""
    for number, line in enumerate(lines, start=1):
        try:
            text = text_of(line)
            if text.strip():
                yield number, parsed(text, "line")
        except BadRow as problem:
            yield number, problem


def csv_objects(lines: Iterable[str | bytes]) -> Iterator[tuple[int, Any]]:
    """A header and one prompt a record; `messages` and `metadata` hold JSON. Bad bytes or a bad header end the reading."""
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader((text_of(line) for line in lines), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if unknown := [name for name in header if name not in KEYS]:
            detail = _("The column “%(name)s” is not known; known: %(known)s.")
            raise BadRow("header", detail % {"name": unknown[0], "known": ", ".join(KEYS)})
        if len(set(header)) != len(header) or not {"prompt", "messages"} & set(header):
            raise BadRow(
                "header", _("The first line names the columns, each once, with “prompt” or “messages” among them.")
            )
        for record in reader:
            if not record:
                continue
            try:
                yield reader.line_num, csv_object(header, record)
            except BadRow as problem:
                yield reader.line_num, problem
    except BadRow as problem:
        yield max(1, reader.line_num), problem
    except csv.Error as problem:
        yield (
            max(1, reader.line_num),
            BadRow("line", _("This is no CSV: %(why)s. Check the quotes.") % {"why": problem}),
        )


def csv_object(header: list[str], record: list[str]) -> dict[str, Any]:
    """One record; empty cells say nothing."""
    if len(record) != len(header):
        detail = _("The line has %(cells)d cells, the header %(columns)d: check commas and quotes.")
        raise BadRow("line", detail % {"cells": len(record), "columns": len(header)})
    said: dict[str, Any] = {name: cell for name, cell in zip(header, record, strict=True) if cell.strip()}
    for name in {"messages", "metadata"} & set(said):
        said[name] = parsed(said[name], name)
    return said | {name: as_it_was(said[name]) for name in LIMITS.keys() & said.keys()}


def refuse_constant(name: str) -> None:
    """NaN and Infinity are not JSON, and no database takes them."""
    raise ValueError(f"{name} is not a number in JSON")


def parsed(text: str, name: str) -> Any:
    """JSON of limited depth."""
    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except RecursionError as problem:
        raise too_deep(name) from problem
    except ValueError as problem:
        raise BadRow(name, _("This is no JSON: %(why)s.") % {"why": problem}) from problem
    return value


def too_deep(name: str) -> BadRow:
    """The refusal of a value that is nested too deep."""
    return BadRow(name, _("Nested deeper than %(most)d levels: flatten it.") % {"most": MAX_DEPTH})


def depth(value: Any) -> int:
    """How deep lists and objects are nested; stops counting just past the limit."""
    level, layer = 0, [value]
    while layer and level <= MAX_DEPTH:
        inner = [one for one in layer if isinstance(one, (dict, list))]
        layer = [child for one in inner for child in (one.values() if isinstance(one, dict) else one)]
        level += 1 if inner else 0
    return level


def row_of(number: int, said: Any) -> Row:
    """Check one object; BadRow names the first field that is wrong."""
    if not isinstance(said, dict):
        example = '{"prompt": "…", "owner": "…"}'
        raise BadRow("line", _("Each line is an object such as %(example)s.") % {"example": example})
    if unknown := [str(name) for name in said if name not in KEYS]:
        detail = _("This field is not known; known: %(known)s. Put your own data into “metadata”.")
        raise BadRow(unknown[0][:60], detail % {"known": ", ".join(KEYS)})
    if depth(said) > MAX_DEPTH:
        raise too_deep("metadata")
    refuse_unstorable(said)
    for name, limit in LIMITS.items():
        value = said.get(name, "")
        if not isinstance(value, str) or len(value) > limit:
            detail = _("“%(name)s” is a text of at most %(most)d characters.")
            raise BadRow(name, detail % {"name": name, "most": limit})
    kind, split, metadata = said.get("kind", "plain"), said.get("split", ""), said.get("metadata", {})
    if kind not in Prompt.Kind.values:
        raise one_of("kind", Prompt.Kind.values)
    if split not in {"", *Prompt.Split.values}:
        detail = _("“split” is one of %(known)s, or left out.") % {"known": ", ".join(Prompt.Split.values)}
        raise BadRow("split", detail)
    if not isinstance(metadata, dict):
        raise BadRow("metadata", _("“metadata” is an object."))
    if said.get("id"):
        metadata = {**metadata, "id": said["id"]}
    texts = {name: said.get(name, "").strip() for name in ("owner", "category")}
    return Row(line=number, messages=messages_of(said), kind=kind, split=split, metadata=metadata, **texts)


def one_of(name: str, known: Sequence[str], *, part: str = "") -> BadRow:
    """The refusal of a value that is none of those known; `part` is what is wrong of the field `name`."""
    return BadRow(name, _("“%(part)s” is one of %(known)s.") % {"part": part or name, "known": ", ".join(known)})


def refuse_unstorable(said: dict[str, Any]) -> None:
    """Refuse NUL characters and lone surrogates anywhere: no database can hold them."""
    for name, value in said.items():
        text = json.dumps(value, ensure_ascii=False)
        if "\\u0000" in text:
            raise BadRow(name, _("“%(name)s” holds a NUL character (\\u0000): remove it.") % {"name": name})
        try:
            text.encode()
        except UnicodeEncodeError as problem:
            detail = _("“%(name)s” holds half of a surrogate pair (\\ud800…\\udfff): write the whole character.")
            raise BadRow(name, detail % {"name": name}) from problem


def messages_of(said: dict[str, Any]) -> list[Message]:
    """The conversation: a single `prompt`, or `messages` that end with the user's turn."""
    if ("prompt" in said) == ("messages" in said):
        raise BadRow("prompt", _("Give either “prompt” (a text) or “messages” (a list of turns), one of the two."))
    if "prompt" in said:
        if not isinstance(said["prompt"], str) or not said["prompt"].strip():
            raise BadRow("prompt", _("“prompt” is empty: write what the user asks."))
        return [{"role": "user", "content": said["prompt"]}]
    turns = said["messages"]
    if not isinstance(turns, list) or not turns:
        example = '[{"role": "user", "content": "…"}]'
        raise BadRow("messages", _("Give a list of turns such as %(example)s.") % {"example": example})
    for place, turn in enumerate(turns):
        check_turn(place, turn, turns[place - 1] if place else None)
    if turns[-1]["role"] != "user":
        raise BadRow("messages", _("The last turn is the user's: leave the answer to the policy."))
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


def check_turn(place: int, turn: Any, previous: Any) -> None:
    """One turn: role and content, alternating, a system turn only at the start."""
    name = f"messages[{place}]"
    if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
        raise BadRow(name, _("Each turn has exactly “role” and “content”."))
    if turn["role"] not in ROLES:
        raise one_of(name, ROLES, part="role")
    if not isinstance(turn["content"], str) or not turn["content"].strip():
        raise BadRow(name, _("“content” is empty: write what was said."))
    if turn["role"] == "system" and place:
        raise BadRow(name, _("A system turn stands only at the start."))
    expected = {"user"} if previous is None or previous["role"] in {"system", "assistant"} else {"assistant"}
    if turn["role"] != "system" and turn["role"] not in expected:
        detail = _("User and assistant take turns: here “%(role)s” is expected.")
        raise BadRow(name, detail % {"role": expected.pop()})
