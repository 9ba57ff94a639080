"""What changed between two texts: lines matched first, then words inside the lines that changed. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

CONTEXT = 2  # unchanged lines shown on either side of a change
WORD = re.compile(
    r"[\u4e00-\u9fff\u3040-\u30ff]|\w+|\s+|[^\w\s]"
)  # Chinese and Japanese have no spaces: a sign is a word


@dataclass(frozen=True)
class Span:
    """A piece of a line; `is_changed` where the other text does not have it."""

    text: str
    is_changed: bool


@dataclass(frozen=True)
class Line:
    """One line: `same`, `added`, `removed`, or a `gap` that stands for `hidden` unchanged lines."""

    kind: str
    spans: tuple[Span, ...] = ()
    hidden: int = 0


def compare(before: str, after: str, *, context: int = CONTEXT) -> list[Line]:
    """The lines of both texts in reading order, removed ones before those that replace them; [] when nothing changed."""
    old, new = before.splitlines(), after.splitlines()
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    if all(tag == "equal" for tag, *_ in blocks):
        return []
    found: list[Line] = []
    for place, (tag, i1, i2, j1, j2) in enumerate(blocks):
        if tag == "equal":
            found += unchanged(old[i1:i2], first=place == 0, last=place == len(blocks) - 1, context=context)
        else:
            found += changed(old[i1:i2], new[j1:j2])
    return found


def unchanged(lines: Sequence[str], *, first: bool, last: bool, context: int) -> list[Line]:
    """Unchanged lines with the middle left out; at the ends of the text only what touches a change is kept."""
    head, tail = (0 if first else context), (0 if last else context)
    shown = [Line("same", (Span(line, False),)) for line in lines]
    hidden = len(lines) - head - tail
    if hidden <= 1:
        return shown
    return [*shown[:head], Line("gap", hidden=hidden), *shown[len(shown) - tail :]]


def changed(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    """Removed lines, then added ones, with the words marked that only one side has."""
    left, right = words(old), words(new)
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    same_left = {i for tag, i1, i2, _, _ in blocks if tag == "equal" for i in range(i1, i2)}
    same_right = {j for tag, _, _, j1, j2 in blocks if tag == "equal" for j in range(j1, j2)}
    return [*lines_of("removed", left, same_left), *lines_of("added", right, same_right)]


def words(lines: Sequence[str]) -> list[str]:
    """The words, spaces and signs of some lines, each line closed by a line break."""
    return [word for line in lines for word in [*WORD.findall(line), "\n"]]


def lines_of(kind: str, tokens: Sequence[str], same: set[int]) -> list[Line]:
    """The tokens as lines of spans; neighbours that are equally marked become one span."""
    found: list[Line] = []
    marked: list[tuple[str, bool]] = []
    for place, token in enumerate(tokens):
        if token != "\n":
            marked.append((token, place not in same))
            continue
        groups = groupby(marked, key=lambda one: one[1])
        found.append(Line(kind, tuple(Span("".join(text for text, _ in group), is_new) for is_new, group in groups)))
        marked = []
    return found
