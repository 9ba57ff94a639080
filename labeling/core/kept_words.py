"""Words that a row keeps and that everybody reads in their own language: why a run waits, why rows were left out.

Whoever writes them (a worker, mostly) does not know who will read them. The row keeps English: programs get that from the
API, and a sweep can compare it with what it would write now. A page passes it through `told`, which finds the sentence it
was made of. Every room lists its own in a module `kept_words`, so that all are known wherever Django runs.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from functools import cache

from django.conf import settings
from django.utils import translation

SENTENCES: list[str] = []
PLACEHOLDER = re.compile(r"%\\\((\w+)\\\)s|%\((\w+)\)s")  # as re.escape writes it, or does not


def kept(sentence: str) -> str:
    """Note a sentence that rows may hold, with `%(name)s` for what is filled in; returns it as it is."""
    SENTENCES.append(sentence)
    return sentence


def in_english() -> AbstractContextManager[None]:
    """While this lasts, what is said is said as rows keep it."""
    return translation.override(settings.LANGUAGE_CODE)


def told(text: str) -> str:
    """A row's text in the reader's language; what was filled in is told too. Unknown text, such as a log, stays as it is."""
    first, line_end, rest = text.partition("\n")
    if first in known():
        return translation.gettext(first) + line_end + rest
    for sentence, pattern in patterns():
        if match := pattern.fullmatch(first):
            filled = {name: told(value) for name, value in match.groupdict().items()}
            if is_frame(sentence) and filled == match.groupdict():
                continue  # any text may have this shape: nothing in it is known, so it is none of ours
            return translation.gettext(sentence) % filled + line_end + rest
    return "; ".join(told(part) for part in first.split("; ")) + line_end + rest if "; " in first else text


def is_frame(sentence: str) -> bool:
    """Whether a sentence has no words of its own, such as `%(setting)s: %(problem)s.`."""
    return not re.search(r"\w", PLACEHOLDER.sub("", sentence))


@cache
def known() -> frozenset[str]:
    """The sentences with nothing to fill in."""
    return frozenset(sentence for sentence in SENTENCES if "%(" not in sentence)


@cache
def patterns() -> list[tuple[str, re.Pattern[str]]]:
    """The others with what finds them, those with the most words of their own first."""
    found = [sentence for sentence in SENTENCES if "%(" in sentence]
    found.sort(key=lambda sentence: -len(PLACEHOLDER.sub("", sentence)))
    return [(one, re.compile(PLACEHOLDER.sub(r"(?P<\1\2>.+?)", re.escape(one)))) for one in found]
