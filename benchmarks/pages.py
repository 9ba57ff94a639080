"""How fast the server answers the main pages of a crowded project, and how much CSS and script each one loads.

    make bench NAME=pages ARGS="--prompts 100000 --tasks 100000"

Rows come from `benchmarks/seeds/crowded_project.py`. Pages are asked one after another over HTTP on one kept-alive
connection to granian, as `manage.py up` starts it with two workers; the time runs from the request to the last byte. `cpu_ms` is
what the web server and PostgreSQL together spend on one request, which a busy machine does not change. A claim (`next`) is
posted once by each labeler. CSS and script are the gzipped bytes of every file that a page's HTML, and the modules
it imports, ask for.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import math
import os
import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import django

from benchmarks.harness.result import report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labeling.people.models import User

ROOT = Path(__file__).resolve().parent.parent
TARGET_MS, TARGET_KB = 80.0, 30.0
WARM_UP = 3
LINKED = re.compile(rb'<link rel="stylesheet" href="([^"]+)"|<script[^>]* src="([^"]+)"')
IMPORTED = re.compile(rb'(?:import|from)\s*"([^"]+)"')


class Browser:
    """One signed-in person on one connection."""

    def __init__(self, port: int, user: User) -> None:
        from django.conf import settings
        from django.test import Client

        client = Client()
        client.force_login(user)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}

    def ask(self, path: str, form: str | None = None) -> tuple[int, str, bytes, float]:
        """(status, location, body, milliseconds) of one request; a form is posted."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        begin = time.perf_counter()
        self.connection.request("GET" if form is None else "POST", path, body=form, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        taken = (time.perf_counter() - begin) * 1000
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.split(";")[0]
        return answer.status, answer.headers.get("Location", ""), body, taken

    def claim(self, slug: str) -> tuple[str, float]:
        """Post "next" from the start page; the address of the task and the milliseconds."""
        page = self.ask(f"/p/{slug}/label/")[2].decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None, "the start page offers no work"
        status, location, _, taken = self.ask(f"/p/{slug}/next/", f"csrfmiddlewaretoken={token[1]}&kind=comparison")
        assert status == 302 and "/work/" in location, f"no task was handed out: {status} {location}"
        return location, taken


def p95(values: list[float]) -> float:
    """The smallest value that at least 95 % of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)]


@contextmanager
def web_server(port: int) -> Iterator[int]:
    """granian with the command line of `manage.py up`, until the block ends; yields its process id."""
    from labeling.core.stack.application import answers, web_service

    service = web_service({**os.environ, "ALLOWED_HOSTS": "127.0.0.1"}, host="127.0.0.1", port=port, workers=2)
    process = subprocess.Popen(service.argv, env=service.env, cwd=service.cwd, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/healthz"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("granian did not start")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)


def cpu_seconds(*roots: int) -> float:
    """CPU seconds so far of these processes and all that descend from them (Linux)."""
    parent, spent = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(stat.parent.name)
        parent[pid], spent[pid] = int(fields[1]), sum(map(int, fields[11:15]))

    def belongs(pid: int) -> bool:
        while pid not in roots and pid in parent:
            pid = parent[pid]
        return pid in roots

    return sum(ticks for pid, ticks in spent.items() if belongs(pid)) / os.sysconf("SC_CLK_TCK")


def postmaster() -> int:
    """The parent of all processes of this PostgreSQL, which runs on this machine."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    return int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])


def pages(slug: str) -> dict[str, str]:
    """What an admin looks at, by name."""
    from labeling.assignments.models import TaskBatch
    from labeling.prompts.models import Prompt
    from labeling.quality.models import Review
    from labeling.runs.models import Run

    middle = Prompt.objects.order_by("pk").values_list("pk", flat=True)[Prompt.objects.count() // 2]
    one = Prompt.objects.filter(pk=middle).values_list("public_id", flat=True)[0]
    batch = TaskBatch.objects.values_list("public_id", flat=True).first()
    paths = {
        "overview": "",
        "prompts": "prompts/",
        "prompts_by_state_split_category": "prompts/?split=train&state=active&category=category-7",
        "prompts_by_text": "prompts/?text=comet+and+verb",
        "prompts_deep": f"prompts/?before={middle}",
        "prompt": f"prompts/{one}/",
        "batches": "tasks/",
        "batches_by_state": "tasks/?kind=comparison&state=open",
        "batch": f"tasks/{batch}/",
        "people": "people/",
        "reviews": "review/",
        "review": f"review/{Review.objects.values_list('public_id', flat=True)[0]}/",
        "controls": "controls/",
        "audit": "audit/",
        "audit_by_verb": "audit/?verb=submitted",
        "leaks": "leaks/",
        "quarantine": "prompts/quarantine/",
        "people_work": "people/work/",
        "quality": "quality/",
        "runs": "runs/",
        "run": f"runs/{Run.objects.values_list('pk', flat=True)[0]}/",
        "snapshots": "snapshots/",
        "checkpoints": "checkpoints/",
        "rounds": "rounds/",
        "settings": "settings/",
    }
    return {name: f"/p/{slug}/{path}" for name, path in paths.items()}


def weight(browser: Browser, path: str, body: bytes) -> int:
    """Gzipped bytes of the CSS and script a page asks for, each file once."""
    waiting = [urljoin(path, (css or script).decode()) for css, script in LINKED.findall(body)]
    seen: dict[str, int] = {}
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        status, _, text, _ = browser.ask(address)
        assert status == 200, f"{address} answers {status}"
        seen[address] = len(gzip.compress(text, 9))
        if address.endswith(".js"):
            waiting += [urljoin(address, name.decode()) for name in IMPORTED.findall(text)]
    return sum(seen.values())


def timed(browser: Browser, path: str, times: int) -> tuple[list[float], bytes]:
    """Milliseconds of each request after those that warm up, and the page."""
    for _ in range(WARM_UP):
        status, _, body, _ = browser.ask(path)
        assert status == 200, f"{path} answers {status}"
    return [browser.ask(path)[3] for _ in range(times)], body


def measure(port: int, slug: str, times: int, servers: tuple[int, int]) -> dict[str, dict[str, float]]:
    """{"p95_ms": {page: …}, "median_ms": {page: …}, "cpu_ms": {page: …}, "css_js_gzip_kb": {page: …}}."""
    from labeling.people.models import User

    taken: dict[str, float] = {}
    middle: dict[str, float] = {}
    cpu: dict[str, float] = {}
    kilobytes: dict[str, float] = {}

    def look(browser: Browser, name: str, path: str) -> None:
        begin = cpu_seconds(*servers)
        values, body = timed(browser, path, times)
        cpu[name] = (cpu_seconds(*servers) - begin) * 1000 / (times + WARM_UP)
        taken[name], middle[name] = p95(values), statistics.median(values)
        kilobytes[name] = weight(browser, path, body) / 1024
        print(
            f"{name:34} p95 {taken[name]:7.1f} ms   median {middle[name]:7.1f} ms   CPU {cpu[name]:6.1f} ms   CSS and script {kilobytes[name]:5.1f} KiB",
            flush=True,
        )

    claims = []
    for person in User.objects.filter(email__startswith="labeler").order_by("pk"):
        labeler = Browser(port, person)
        work, milliseconds = labeler.claim(slug)
        claims.append(milliseconds)
    taken["next"], middle["next"] = p95(claims[1:]), statistics.median(claims[1:])
    print(f"{'next':34} p95 {taken['next']:7.1f} ms   of {len(claims) - 1} claims", flush=True)
    look(labeler, "queue", f"/p/{slug}/label/")
    look(labeler, "rank", work)
    admin = Browser(port, User.objects.get(email="admin@example.org"))
    for name, path in pages(slug).items():
        look(admin, name, path)
    return {"p95_ms": taken, "median_ms": middle, "cpu_ms": cpu, "css_js_gzip_kb": kilobytes}


def findings(found: dict[str, dict[str, float]], said: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """What the last line says."""
    slowest = max(found["p95_ms"], key=lambda name: found["p95_ms"][name])
    heaviest = max(found["css_js_gzip_kb"], key=lambda name: found["css_js_gzip_kb"][name])
    return {
        "benchmark": "pages",
        **{kind: {name: round(value, 1) for name, value in values.items()} for kind, values in found.items()},
        "worst_p95_ms": round(found["p95_ms"][slowest], 1),
        "worst_page": slowest,
        "worst_cpu_ms": round(max(found["cpu_ms"].values()), 1),
        "worst_median_ms": round(max(found["median_ms"].values()), 1),
        "heaviest_kb": round(found["css_js_gzip_kb"][heaviest], 1),
        "heaviest_page": heaviest,
        "within_targets": found["p95_ms"][slowest] < TARGET_MS and found["css_js_gzip_kb"][heaviest] <= TARGET_KB,
        "prompts": said.prompts,
        "tasks": said.tasks,
        "requests_per_page": said.requests,
        "seeding_seconds": round(seconds, 1),
        "server": "granian, 2 workers, over HTTP on loopback",
    }


def main() -> None:
    """Seed, serve, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--labelers", type=int, default=40)
    parser.add_argument("--requests", type=int, default=40, help="of each page (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8931)
    said = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeling.settings")
    os.environ.setdefault("STATIC_ROOT", str(Path(os.environ.get("LOOP_VAR", ROOT / "var")) / "static"))
    manage = [sys.executable, str(ROOT / "manage.py")]
    for command in (["migrate", "--no-input", "-v0"], ["collectstatic", "--no-input", "-v0"]):
        subprocess.run([*manage, *command], check=True, cwd=ROOT)
    django.setup()
    from benchmarks.seeds import crowded_project

    begin = time.perf_counter()
    project = crowded_project.crowd(prompts=said.prompts, tasks=said.tasks, labelers=said.labelers, runs=200)
    crowded_project.analyze()
    seconds = time.perf_counter() - begin
    print(f"{said.prompts:,} prompts and {said.tasks:,} tasks in {seconds:.0f} s", flush=True)
    with web_server(said.port) as web:
        found = measure(said.port, project.slug, said.requests, (web, postmaster()))
    report(findings(found, said, seconds))


if __name__ == "__main__":
    main()
