"""Prompts as a file that an import takes again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.db.models import QuerySet

from labeling.core.pagination import chunks_of
from labeling.core.spreadsheet import csv_lines
from labeling.prompts.models import Prompt

FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
COLUMNS = ("id", "messages", "kind", "category", "owner", "split", "metadata")


def lines(rows: QuerySet[Prompt], fmt: str) -> Iterator[str]:
    """One line a prompt, oldest first, as they are read; CSV begins with its header and holds nothing that a spreadsheet runs."""
    if fmt == "csv":
        yield from csv_lines([COLUMNS])
    for prompt in chain.from_iterable(chunks_of(rows)):
        record = as_record(prompt)
        if fmt == "jsonl":
            yield json.dumps(record, ensure_ascii=False) + "\n"
        else:
            cells = [record.get(name, "") for name in COLUMNS]
            yield from csv_lines(
                [[cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in cells]]
            )


def as_record(prompt: Prompt) -> dict[str, Any]:
    """What an import reads; empty fields are left out."""
    record = {
        "id": str(prompt.public_id),
        "messages": prompt.messages,
        "kind": prompt.kind,
        "category": prompt.category,
        "owner": prompt.owner_key,
        "split": prompt.split,
        "metadata": {name: value for name, value in prompt.metadata.items() if name != "id"},
    }
    return {name: value for name, value in record.items() if value}
