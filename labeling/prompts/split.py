"""Which split a prompt belongs to: a pure function, so that the same prompt lands in the same place everywhere."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import TypedDict

SPLIT_PREFIX = 48  # characters of the conversation that group prompts without an owner


class Message(TypedDict):
    """One turn."""

    role: str
    content: str


def normalised(messages: Sequence[Message]) -> str:
    """The conversation as one line for comparing: NFC, case and white space evened out, roles kept apart."""
    turns = (f"{turn['role']}: {turn['content']}" for turn in messages)
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", "\n".join(turns))).strip().casefold()


def split_of(seed: int, owner_key: str, messages: Sequence[Message], valid_percent: int, test_percent: int) -> str:
    """`train`, `valid` or `test`, by owner; without an owner by how the conversation begins.

    Everything of one owner is in one split, so that held-out prompts come from customers never trained on; prompts that
    begin alike (templates, variations) stay together as well. A group's place is its hash with the project's seed.
    """
    group = f"owner:{owner_key}" if owner_key else f"prefix:{normalised(messages)[:SPLIT_PREFIX]}"
    digest = hashlib.sha256(f"{seed}\n{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") % 10_000
    if place < test_percent * 100:
        return "test"
    return "valid" if place < (test_percent + valid_percent) * 100 else "train"
