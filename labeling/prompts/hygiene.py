"""What an import looks for: personal data and secrets, duplicates, length. Pure functions."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from labeling.prompts.split import Message, normalised

DUPLICATE_PREFIX = 160  # characters in common from the start that make two prompts the same (Ouyang et al. 2022, §3.2)
MAX_TOKENS = 1024
BYTES_PER_TOKEN = 4  # a rough mean of byte-pair vocabularies; the exact count belongs to the model, not to the import

EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b")
PHONE = re.compile(
    r"(?<![\w.])(?:\+\d[\d ().-]{7,17}\d|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[ .-]\d{3}[ .-]\d{4}|0\d{2,4}[ /-]\d{3,4}[ -]?\d{2,5})(?![\w.]?\d)"
)
CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.\w)")
KEY = re.compile(
    r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\bhf_[A-Za-z0-9_]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[\w-]{30,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----|[A-Za-z0-9+/=\s]*)"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"
)


def luhn(digits: str) -> bool:
    """The check sum of payment cards (ISO/IEC 7812-1)."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def is_iban(text: str) -> bool:
    """The check sum of bank accounts (ISO 13616: modulo 97 is 1)."""
    compact = text.replace(" ", "")
    return 15 <= len(compact) <= 34 and int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def is_public_address(text: str) -> bool:
    """Whether it is an address of the public internet: local and documentation ones name nobody."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


class Finding(NamedTuple):
    """A stretch of text, [start, end), that looks like personal data or a secret of this kind."""

    start: int
    end: int
    kind: str


KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("key", KEY, lambda found: True),
    ("e-mail", EMAIL, lambda found: True),
    ("card", CARD, lambda found: luhn(re.sub(r"\D", "", found))),
    ("iban", IBAN, is_iban),
    ("phone", PHONE, lambda found: True),
    ("address", ADDRESS, is_public_address),
)


def findings(text: str) -> list[Finding]:
    """Personal data and secrets in `text`, in its order, none overlapping: the digits of a card are no phone number."""
    found: list[Finding] = []
    for kind, pattern, holds in KINDS:
        for match in pattern.finditer(text):
            free = all(match.end() <= one.start or one.end <= match.start() for one in found)
            if free and holds(match[0]):
                found.append(Finding(match.start(), match.end(), kind))
    return sorted(found)


def personal_data(messages: Sequence[Message]) -> list[str]:
    """The kinds found in any turn, each once."""
    hit = {one.kind for turn in messages for one in findings(turn["content"])}
    return [kind for kind, _pattern, _holds in KINDS if kind in hit]


def redacted(messages: Sequence[Message]) -> list[Message]:
    """The conversation with the kind in square brackets in place of every finding."""
    return [{"role": turn["role"], "content": without_findings(turn["content"])} for turn in messages]


def without_findings(text: str) -> str:
    """The text with each finding replaced by its kind: "[e-mail]"."""
    for one in reversed(findings(text)):
        text = f"{text[: one.start]}[{one.kind}]{text[one.end :]}"
    return text


def is_too_long(messages: Sequence[Message]) -> bool:
    """Whether the conversation is longer than about 1,024 tokens."""
    return sum(len(turn["content"].encode()) for turn in messages) > MAX_TOKENS * BYTES_PER_TOKEN


def content_hash(messages: Sequence[Message]) -> str:
    """Equal for prompts that say the same, whatever their case and white space."""
    return hashlib.sha256(normalised(messages).encode()).hexdigest()


def prefix_hash(messages: Sequence[Message]) -> str:
    """Equal for prompts with a long beginning in common; "" for short ones, which only exact duplicates repeat."""
    text = normalised(messages)
    return hashlib.sha256(text[:DUPLICATE_PREFIX].encode()).hexdigest()[:32] if len(text) > DUPLICATE_PREFIX else ""
