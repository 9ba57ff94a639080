"""How long a worker takes to import a file of prompts, and how much memory that needs.

    make bench NAME=imports ARGS="--lines 100000"

The file is queued as an upload is and imported by a Celery worker started as `manage.py up` starts it. Its lines are distinct
prompts of 80 to 700 characters from owners with 50 prompts each; 1 % repeat an earlier line, 1 % hold an e-mail address.
`worker_peak_mib` is the highest resident memory of the process that imports (VmHWM), `worker_mib_at` its resident memory when
that percentage of the lines was read, `postgres_mib` the largest private memory seen of a PostgreSQL process. `last_seconds` is
the time from the last word of progress (each 5,000 lines) to the row saying done: then PostgreSQL checks the foreign keys of all rows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

from benchmarks.harness.result import report

if TYPE_CHECKING:
    from labeling.prompts.models import PromptImport

ROOT = Path(__file__).resolve().parent.parent
PER_OWNER = 50
WORDS = [
    "rain",
    "train",
    "bread",
    "tax",
    "garden",
    "piano",
    "comet",
    "river",
    "contract",
    "recipe",
    "poem",
    "virus",
    "bridge",
    "verb",
    "island",
    "loan",
]
QUESTIONS = ("Explain", "Write a short story about", "Summarise what is known of", "Give three uses of", "Compare")


def write_lines(path: Path, lines: int) -> int:
    """A JSONL file of so many prompts, the same for the same number; returns its bytes."""
    draw = random.Random(lines)
    with path.open("w", encoding="utf-8") as out:
        before = ""
        for number in range(lines):
            kind = draw.random()
            line = before if before and kind < 0.01 else prompt(draw, number, personal=kind > 0.99)
            out.write(line)
            before = line
    return path.stat().st_size


def prompt(draw: random.Random, number: int, *, personal: bool) -> str:
    """One line; its number stands first, so that no two begin alike."""
    words = " ".join(draw.choices(WORDS, k=draw.randint(10, 110)))
    address = f" Answer to person{number}@example.org." if personal else ""
    said = {
        "prompt": f"{number}: {draw.choice(QUESTIONS)} {words}.{address}",
        "owner": f"customer-{number // PER_OWNER}",
        "category": draw.choice(WORDS),
    }
    return json.dumps(said) + "\n"


def memory_of(pid: int) -> dict[str, float]:
    """MiB by name (VmRSS, VmHWM, RssAnon) of a process, from /proc; empty once it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return {}
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) / 1024 for row in rows if row[0] in {"VmRSS:", "VmHWM:", "RssAnon:"}}


def children(pid: int) -> list[int]:
    """The processes that a worker has forked."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@contextmanager
def import_worker(log: Path) -> Iterator[int]:
    """The worker that serves imports, by itself; its process id."""
    from django.conf import settings

    from labeling.core.stack.application import worker_services

    queue = settings.CELERY_TASK_ROUTES["prompts.import"]["queue"]
    service = next(one for one in worker_services(os.environ) if one.name == queue)
    with log.open("wb") as sink:
        worker = subprocess.Popen(service.argv, cwd=ROOT, env=dict(os.environ), stdout=sink, stderr=sink)
        try:
            yield worker.pid
        finally:
            worker.terminate()
            worker.wait(60)


class Watch:
    """Looks at the worker and at PostgreSQL while an import runs."""

    def __init__(self, worker: int, lines: int) -> None:
        self.worker, self.lines = worker, lines
        self.peak = self.postgres = 0.0
        self.at: dict[int, float] = {}
        self.read, self.read_at = -1, 0.0

    def look(self, lines_read: int, now: float) -> None:
        """Note what is in use now, `lines_read` lines into the file."""
        from django.db import connection

        held = [memory for child in children(self.worker) if (memory := memory_of(child))]
        busiest = max(held, key=lambda memory: memory["VmHWM"], default=None)
        if busiest:
            self.peak = max(self.peak, busiest["VmHWM"])
            self.at.setdefault(10 * lines_read // self.lines * 10, round(busiest["VmRSS"], 1))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
            servers = [memory_of(pid).get("RssAnon", 0.0) for (pid,) in cursor.fetchall()]
        self.postgres = max([self.postgres, *servers])
        if lines_read != self.read:
            self.read, self.read_at = lines_read, now


def queue(path: Path) -> PromptImport:
    """The file as an upload of a new project's admin."""
    from django.core.files.uploadedfile import UploadedFile

    from labeling.people.models import User
    from labeling.projects import services as projects
    from labeling.prompts import uploads

    admin = User.objects.create_user("admin@example.org", "not used here")
    project = projects.create_project(name="Imports", by=admin)
    with path.open("rb") as opened:
        file: Any = UploadedFile(opened, name=path.name, size=path.stat().st_size)
        return uploads.queue_import(project=project, file=file, fmt="jsonl", by=admin, source=path.name)


def measure(lines: int, folder: Path) -> dict[str, Any]:
    """Import so many lines and say what it took."""
    from labeling.prompts.models import PromptImport

    path = folder / "prompts.jsonl"
    size = write_lines(path, lines)
    print(f"{lines:,} lines, {size / 2**20:.0f} MiB", flush=True)
    with import_worker(folder / "worker.log") as worker:
        while not children(worker):
            time.sleep(0.2)
        batch, begin = queue(path), time.monotonic()
        watch = Watch(worker, lines)
        while batch.state == PromptImport.State.QUEUED:
            time.sleep(0.5)
            batch.refresh_from_db()
            watch.look(batch.lines_read, time.monotonic())
            if "raised unexpected" in (said := (folder / "worker.log").read_text(errors="replace")):
                raise SystemExit(f"The import failed:\n{said}")
        end = time.monotonic()
    assert batch.state == PromptImport.State.DONE, batch.report
    return {
        "lines": lines,
        "file_mib": round(size / 2**20, 1),
        "seconds": round(end - begin, 1),
        "lines_per_second": round(lines / (end - begin)),
        "last_seconds": round(end - watch.read_at, 1),
        "worker_peak_mib": round(watch.peak, 1),
        "worker_mib_at": watch.at,
        "postgres_mib": round(watch.postgres, 1),
        "report": batch.report,
    }


def main() -> None:
    """Migrate, import, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lines", type=int, default=100_000, help="of the file (default: %(default)s)")
    lines = parser.parse_args().lines
    if lines < 10_000:
        parser.error("--lines must be at least 10000: fewer are over before anything can be seen")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeling.settings")
    subprocess.run([sys.executable, str(ROOT / "manage.py"), "migrate", "--no-input", "-v0"], check=True, cwd=ROOT)
    django.setup()
    with tempfile.TemporaryDirectory(prefix="loop-imports-") as folder:
        found = measure(lines, Path(folder))
    report({"benchmark": "imports", **found})


if __name__ == "__main__":
    main()
