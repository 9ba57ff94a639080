"""What browser tests of the work screens share."""

from __future__ import annotations

from typing import Any


def press(page: Any, *keys: str) -> None:
    """Several keys, one after another."""
    for key in keys:
        page.keyboard.press(key)
