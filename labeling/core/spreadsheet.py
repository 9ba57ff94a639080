"""CSV for people: what a spreadsheet opens, with nothing in it that the spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from django.http import StreamingHttpResponse

RUNS = ("=", "+", "-", "@", "\t", "\r")  # how a formula begins (OWASP: CSV injection)


def safe(cell: object) -> str:
    """The cell as text; what a spreadsheet would take for a formula gets an apostrophe before it. Numbers stay numbers."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(RUNS) and not isinstance(cell, (int, float)) else text


def as_it_was(cell: str) -> str:
    """The text of a cell that `safe` may have given its apostrophe."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(RUNS) else cell


def csv_lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """One line a row, as they come."""
    for row in rows:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerow([safe(cell) for cell in row])
        yield out.getvalue()


def csv_file(name: str, rows: Iterable[Iterable[object]]) -> StreamingHttpResponse:
    """A download with this name; the first row is the header. Begins with the mark by which spreadsheets know UTF-8."""
    answer = StreamingHttpResponse(lines_with_mark(rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def lines_with_mark(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The byte order mark, then the lines."""
    yield "\ufeff"
    yield from csv_lines(rows)
