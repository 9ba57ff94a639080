"""Keyset pages: no OFFSET, no COUNT(*), links that stay right while rows are added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest

Row = TypeVar("Row", bound=models.Model)
CHUNK = 2000


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows of one page and the query strings of its neighbours ("" where there is none)."""

    rows: list[Row]
    older: str
    newer: str
    oldest_first: bool = False

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def paginate(
    request: HttpRequest,
    queryset: models.QuerySet[Row],
    *,
    size: int = 50,
    by: str = "pk",
    name: str = "",
    oldest_first: bool = False,
) -> Page[Row]:
    """Page `queryset` newest first, or `oldest_first`. Reads `before` and `after` from the query string; keeps all other parameters.

    Both name the row at the edge by its primary key; `before` asks for older rows, `after` for newer ones. `by` orders the rows
    where keys do not grow, such as random ones; the primary key breaks ties. A cursor that names no row is passed over.
    A list with a `name` reads `NAME-before` and `NAME-after`, so that a page may hold several.
    """
    prefix = f"{name}-" if name else ""
    model = queryset.model
    ascending = list(dict.fromkeys([by, "pk"]))
    descending = [f"-{field}" for field in ascending]
    onward, back = (
        ("after", "before") if oldest_first else ("before", "after")
    )  # from the first page on, and back to it
    sides = {"before": ("lt", descending), "after": ("gt", ascending)}

    def edge(cursor: str) -> tuple[Any, Any] | None:
        try:
            key = model._meta.pk.to_python(request.GET.get(prefix + cursor) or None)
        except ValidationError:
            return None
        if key is None or by == "pk":
            return key and (key, key)
        return model._default_manager.filter(pk=key).values_list(by, "pk").first()

    def beyond(row: tuple[Any, Any], side: str) -> models.Q:
        return models.Q(**{f"{by}__{side}": row[0]}) | models.Q(**{by: row[0], f"pk__{side}": row[1]})

    def link(cursor: str, row: Row | None) -> str:
        params = request.GET.copy()
        for other in ("before", "after"):
            params.pop(prefix + other, None)
        if row is None:
            return ""
        params[prefix + cursor] = str(row.pk)
        return "?" + params.urlencode()

    def taken(cursor: str, start: tuple[Any, Any] | None) -> tuple[list[Row], bool]:
        side, order = sides[cursor]
        found = queryset if start is None else queryset.filter(beyond(start, side))
        rows = list(found.order_by(*order)[: size + 1])
        return rows[:size], len(rows) > size

    if (start := edge(back)) is not None:
        rows, more_back = taken(back, start)
        rows, more_on = rows[::-1], bool(rows)
    else:
        start = edge(onward)
        rows, more_on = taken(onward, start)
        more_back = start is not None
    on = link(onward, rows[-1] if rows and more_on else None)
    to_first = link(back, rows[0] if rows and more_back else None)
    return Page(rows, to_first, on, True) if oldest_first else Page(rows, on, to_first)


def chunks_of(queryset: models.QuerySet[Row]) -> Iterator[list[Row]]:
    """All rows by primary key, in short statements: no transaction stays open while a slow reader reads."""
    last: Any = None
    while chunk := list((queryset if last is None else queryset.filter(pk__gt=last)).order_by("pk")[:CHUNK]):
        yield chunk
        last = chunk[-1].pk
