"""Figures that may be a little old: counted once for all who look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from django.core.cache import cache

Figure = TypeVar("Figure")


def recent(key: str, count: Callable[[], Figure], *, seconds: int) -> Figure:
    """What `count` returned under this key, at most so many seconds ago. It must not return None."""
    return cast(Figure, cache.get_or_set(key, count, seconds))
