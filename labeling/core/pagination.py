"""Keyset pages: no OFFSET, no COUNT(*), links that stay right while rows are added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import models
from django.http import HttpRequest

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows of one page and the query strings of its neighbours ("" where there is none)."""

    rows: list[Row]
    older: str
    newer: str

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def paginate(request: HttpRequest, queryset: models.QuerySet[Row], *, size: int = 50) -> Page[Row]:
    """Page `queryset` newest first by primary key. Reads `before` and `after` from the query string; keeps all other parameters."""

    def number(name: str) -> int | None:
        raw = request.GET.get(name, "")
        return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else None

    def link(**cursor: int) -> str:
        params = request.GET.copy()
        for name in ("before", "after"):
            params.pop(name, None)
        for name, value in cursor.items():
            params[name] = str(value)
        return "?" + params.urlencode()

    before, after = number("before"), number("after")
    if after is not None:
        rows = list(queryset.filter(pk__gt=after).order_by("pk")[: size + 1])
        more_new, rows = len(rows) > size, rows[:size][::-1]
        more_old = bool(rows)
    else:
        older = queryset.filter(pk__lt=before) if before is not None else queryset
        rows = list(older.order_by("-pk")[: size + 1])
        more_old, rows = len(rows) > size, rows[:size]
        more_new = before is not None
    return Page(
        rows,
        link(before=rows[-1].pk) if rows and more_old else "",
        link(after=rows[0].pk) if rows and more_new else "",
    )
