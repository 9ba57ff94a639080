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

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def paginate(request: HttpRequest, queryset: models.QuerySet[Row], *, size: int = 50, by: str = "pk") -> Page[Row]:
    """Page `queryset` newest first. Reads `before` and `after` from the query string; keeps all other parameters.

    Both name the row at the edge by its primary key. `by` orders the rows where keys do not grow, such as random ones;
    the primary key breaks ties. A cursor that names no row is passed over.
    """
    model = queryset.model
    ascending = list(dict.fromkeys([by, "pk"]))
    descending = [f"-{name}" for name in ascending]

    def edge(name: str) -> tuple[Any, Any] | None:
        try:
            key = model._meta.pk.to_python(request.GET.get(name) or None)
        except ValidationError:
            return None
        if key is None or by == "pk":
            return key and (key, key)
        return model._default_manager.filter(pk=key).values_list(by, "pk").first()

    def beyond(row: tuple[Any, Any], side: str) -> models.Q:
        return models.Q(**{f"{by}__{side}": row[0]}) | models.Q(**{by: row[0], f"pk__{side}": row[1]})

    def link(**cursor: Any) -> str:
        params = request.GET.copy()
        for name in ("before", "after"):
            params.pop(name, None)
        for name, value in cursor.items():
            params[name] = str(value)
        return "?" + params.urlencode()

    if (after := edge("after")) is not None:
        rows = list(queryset.filter(beyond(after, "gt")).order_by(*ascending)[: size + 1])
        more_new, rows = len(rows) > size, rows[:size][::-1]
        more_old = bool(rows)
    else:
        before = edge("before")
        older = queryset if before is None else queryset.filter(beyond(before, "lt"))
        rows = list(older.order_by(*descending)[: size + 1])
        more_old, rows = len(rows) > size, rows[:size]
        more_new = before is not None
    return Page(
        rows,
        link(before=rows[-1].pk) if rows and more_old else "",
        link(after=rows[0].pk) if rows and more_new else "",
    )


def chunks_of(queryset: models.QuerySet[Row]) -> Iterator[list[Row]]:
    """All rows by primary key, in short statements: no transaction stays open while a slow reader reads."""
    last: Any = None
    while chunk := list((queryset if last is None else queryset.filter(pk__gt=last)).order_by("pk")[:CHUNK]):
        yield chunk
        last = chunk[-1].pk
