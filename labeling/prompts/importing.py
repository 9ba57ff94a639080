"""One import: hygiene and split, chunk by chunk, inside one transaction."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db.models import Count, Max, Min
from django.utils.translation import gettext as _

from labeling.projects.models import Project
from labeling.prompts import hygiene
from labeling.prompts.models import Prompt, PromptImport
from labeling.prompts.reading import BadRow, Row, rows
from labeling.prompts.split import Message, split_of

CHUNK = 500
TELL_EVERY = 5000  # rows between two words of progress
MAX_ERRORS = 200  # told one by one; the rest is counted
COUNTED = ("rows", "accepted", "duplicates_exact", "duplicates_prefix", "over_cap", "too_long", "quarantined")


class Importer:
    """Reads rows once, keeps errors, writes what passes. The caller holds the project's lock and the transaction."""

    def __init__(
        self, project: Project, batch: PromptImport, *, may_set_split: bool, tell: Callable[[int], None] | None = None
    ) -> None:
        self.tell = tell
        self.project = project
        self.batch = batch
        self.may_set_split = may_set_split
        self.errors: list[dict[str, Any]] = []
        self.error_count = 0
        self.counts: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.found: Counter[str] = Counter()

    def read(self, lines: Iterable[Any], fmt: str) -> None:
        """Go through every line; after the first error only look for more of them."""
        waiting: list[Row] = []
        digest = hashlib.sha256()
        for number, row in rows(fingerprinted(lines, digest), fmt):
            self.counts["rows"] += 1
            if self.tell is not None and self.counts["rows"] % TELL_EVERY == 0:
                self.tell(self.counts["rows"])
            if isinstance(row, BadRow):
                self.complain(number, row.field, row.detail)
            elif row.split and not self.may_set_split:
                self.complain(number, "split", _("Only an admin of the project sets the split by hand: leave it out."))
            elif not self.errors:
                waiting.append(row)
            if len(waiting) >= CHUNK:
                self.write(waiting)
                waiting = []
        if not self.errors:
            self.write(waiting)
        self.batch.sha256 = digest.hexdigest()

    def complain(self, line: int, field: str, detail: str) -> None:
        """Keep one error."""
        self.error_count += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append({"line": line, "field": field, "detail": detail})

    def write(self, chunk: list[Row]) -> None:
        """Hygiene against what is there already and against this chunk, then one INSERT."""
        hashes = [hygiene.content_hash(row.messages) for row in chunk]
        prefixes = [hygiene.prefix_hash(row.messages) for row in chunk]
        mine = Prompt.objects.filter(project=self.project)
        known = set(mine.filter(content_hash__in=hashes).values_list("content_hash", flat=True))
        begun = set(mine.filter(prefix_hash__in=set(prefixes) - {""}).values_list("prefix_hash", flat=True))
        owners = self.owners({row.owner for row in chunk} - {""})
        fresh = []
        for row, content, prefix in zip(chunk, hashes, prefixes, strict=True):
            count, split = owners.get(row.owner, (0, ""))
            if row.split and split and row.split != split:
                taken = _("The owner “%(owner)s” is in %(split)s already; one owner has one split.")
                self.complain(row.line, "split", taken % {"owner": row.owner, "split": split})
                continue
            if verdict := self.verdict(row, content in known, prefix in begun, count):
                self.counts[verdict] += 1
                continue
            known.add(content)
            begun |= {prefix} - {""}
            chosen = row.split or split or self.split(row)
            if row.owner:
                owners[row.owner] = (count + 1, chosen)
            fresh.append(self.prompt(row, content, prefix, chosen))
        if not self.errors:
            Prompt.objects.bulk_create(fresh)

    def owners(self, keys: set[str]) -> dict[str, tuple[int, str]]:
        """How many prompts each owner has here, and in which split."""
        told = Prompt.objects.filter(project=self.project, owner_key__in=keys).values("owner_key")
        told = told.annotate(count=Count("pk"), first=Min("split"), last=Max("split"))
        return {one["owner_key"]: (one["count"], one["first"] if one["first"] == one["last"] else "") for one in told}

    def verdict(self, row: Row, is_known: bool, is_begun: bool, owned: int) -> str:
        """Why the row is left out; "" when it comes in."""
        if is_known:
            return "duplicates_exact"
        if is_begun:
            return "duplicates_prefix"
        if hygiene.is_too_long(row.messages):
            return "too_long"
        return "over_cap" if row.owner and owned >= self.project.prompts_per_owner else ""

    def split(self, row: Row) -> str:
        """The pure function with this project's numbers."""
        project = self.project
        return split_of(project.seed, row.owner, row.messages, project.valid_percent, project.test_percent)

    def prompt(self, row: Row, content: str, prefix: str, split: str) -> Prompt:
        """The row as a prompt; with personal data in it, a person decides first."""
        kinds = hygiene.personal_data(row.messages)
        self.found.update(kinds)
        self.counts["quarantined" if kinds else "accepted"] += 1
        self.splits[split] += 1
        return Prompt(
            project=self.project,
            imported=self.batch,
            messages=row.messages,
            summary=summary_of(row.messages),
            kind=row.kind,
            category=row.category,
            owner_key=row.owner,
            split=split,
            state=Prompt.State.QUARANTINED if kinds else Prompt.State.ACTIVE,
            content_hash=content,
            prefix_hash=prefix,
            personal_data=kinds,
            metadata=row.metadata,
        )

    def report(self) -> dict[str, Any]:
        """What was made of the rows; the counts add up to `rows`."""
        return {
            **{name: self.counts[name] for name in COUNTED},
            "splits": {name: self.splits[name] for name in Prompt.Split.values},
            "found": dict(self.found),
        }


def summary_of(messages: Sequence[Message]) -> str:
    """The start of the last turn, on one line."""
    return re.sub(r"\s+", " ", messages[-1]["content"]).strip()[:200]


def fingerprinted(lines: Iterable[Any], digest: Any) -> Iterator[Any]:
    """The same lines, fed to the hash on their way."""
    for line in lines:
        plain = line if isinstance(line, (str, bytes)) else json.dumps(line, sort_keys=True, default=str)
        digest.update(plain if isinstance(plain, bytes) else plain.encode(errors="surrogatepass"))
        yield line
