"""The form in which labelers write a prompt of their own, by its kind: its fields, and the conversation they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from labeling.prompts.models import Prompt
from labeling.prompts.split import Message

MAX_ROWS = 6  # earlier turns, or examples


@dataclass(frozen=True)
class Field:
    """One text area: `need` is what is said while it is empty, "" when it may stay so."""

    name: str
    label: str
    value: str
    need: str = ""
    error: str = ""


@dataclass(frozen=True)
class Row:
    """Two text areas that go together: an earlier turn with its answer, or an example."""

    fields: tuple[Field, Field]
    is_open: bool


def names(kind: str) -> tuple[str, str]:
    """How the two fields of a row begin."""
    return ("query", "answer") if kind == Prompt.Kind.FEW_SHOT else ("user", "assistant")


def read(post: QueryDict, kind: str) -> dict[str, str]:
    """The posted fields of this kind; empty ones are left out."""
    first, second = names(kind)
    known = ["prompt", *(["instruction"] if kind == Prompt.Kind.FEW_SHOT else [])]
    known += [f"{name}-{at}" for at in range(MAX_ROWS) for name in (first, second)]
    said = {name: post.get(name, "").replace("\r\n", "\n") for name in known}
    return {name: value for name, value in said.items() if value.strip()}


def rows(kind: str, said: Mapping[str, Any], *, shown: int, errors: Mapping[str, str]) -> list[Row]:
    """All rows there can be; those with text and the first `shown` are open. A row that is begun must be finished."""
    first, second = names(kind)
    few_shot = kind == Prompt.Kind.FEW_SHOT
    labels = (_("Input"), _("Output")) if few_shot else (_("Earlier turn"), _("The answer it got"))
    made = []
    for at in range(MAX_ROWS):
        values = str(said.get(f"{first}-{at}", "")), str(said.get(f"{second}-{at}", ""))
        needs = _("Finish example %(n)s") if few_shot else _("Finish turn %(n)s")
        fields = tuple(
            Field(f"{name}-{at}", f"{label} {at + 1}", value, needs % {"n": at + 1}, errors.get(f"{name}-{at}", ""))
            for name, label, value in zip((first, second), labels, values, strict=True)
        )
        made.append(Row((fields[0], fields[1]), at < shown or any(values)))
    return made


def problems(kind: str, said: Mapping[str, Any]) -> dict[str, str]:
    """What keeps this from being a prompt, by field."""
    wrong = {}
    if "prompt" not in said:
        wrong["prompt"] = _("Write the prompt first.")
    if kind == Prompt.Kind.FEW_SHOT and "instruction" not in said:
        wrong["instruction"] = _("Write the instruction that the examples follow.")
    first, second = names(kind)
    for at in range(MAX_ROWS):
        pair = [f"{first}-{at}", f"{second}-{at}"]
        missing = [name for name in pair if name not in said]
        if len(missing) == 1:
            wrong[missing[0]] = _("Write both halves, or empty the other one.")
    if kind == Prompt.Kind.FEW_SHOT and not any(name.startswith("query-") for name in said):
        wrong["query-0"] = _("Give at least one example.")
    return wrong


def messages(kind: str, said: Mapping[str, Any]) -> list[Message]:
    """The conversation that the fields make. Few-shot: one turn, the instruction, the examples, then the input to answer."""
    first, second = names(kind)
    pairs = [(said[f"{first}-{at}"], said[f"{second}-{at}"]) for at in range(MAX_ROWS) if f"{first}-{at}" in said]
    if kind == Prompt.Kind.FEW_SHOT:
        examples = [f"Input: {query}\nOutput: {answer}" for query, answer in pairs]
        text = "\n\n".join([said["instruction"], *examples, f"Input: {said['prompt']}\nOutput:"])
        return [{"role": "user", "content": text}]
    turns: list[Message] = []
    for asked, answered in pairs:
        turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return [*turns, {"role": "user", "content": said["prompt"]}]
