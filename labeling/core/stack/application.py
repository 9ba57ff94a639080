"""The application's own processes: web server, the workers, beat."""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from labeling.core.stack.processes import Service

WORKER_STOP = [(signal.SIGTERM, 10.0), (signal.SIGQUIT, 10.0)]  # warm: finish the task; then cold: give it back
AS_ROOT = "ignore:You're running the worker with superuser privileges"  # a container has no other account
MOST_THREADS = 8  # in one web process: as many connections as its pool opens (settings.DB_POOL_SIZE)
QUIET_CELERY = [sys.executable, "-W", AS_ROOT, "-m", "celery", "-q", "-A", "labeling"]


def web_service(env: Mapping[str, str], *, host: str, port: int, workers: int) -> Service:
    """granian, serving WSGI."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--host", host, "--port", str(port)]
    command += ["--workers", str(workers), "--blocking-threads", str(web_threads()), "--workers-kill-timeout", "3"]
    command += ["--respawn-failed-workers", "labeling.wsgi:application"]
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host
    return Service(
        name="web",
        argv=command,
        env=env,
        cwd=settings.BASE_DIR,
        stop=[(signal.SIGTERM, 6.0)],
        ready=lambda: answers(f"http://{shown}:{port}/healthz"),
        tier=4,
    )


def web_threads() -> int:
    """Threads of one web process: two per core and one, above which granian warns that they only queue for the interpreter."""
    return min(MOST_THREADS, 2 * (os.cpu_count() or 1) + 1)


def worker_services(env: Mapping[str, str]) -> list[Service]:
    """One worker for short tasks, one for what may take minutes (settings.LONG_TASKS), one that starts training runs."""
    return [
        worker(env, name="worker", queue="default", options=["-c", "2"]),
        worker(env, name="long", queue="long", options=["-c", "2"]),
        worker(env, name="trainer", queue="training", options=["-P", "threads", "-c", "1"]),
    ]


def worker(env: Mapping[str, str], *, name: str, queue: str, options: list[str]) -> Service:
    """A Celery worker of one queue."""
    command = [*QUIET_CELERY, "worker", "-Q", queue, "-n", f"{name}@%h", *options]
    command += ["--loglevel", "warning", "--without-gossip", "--without-mingle"]
    return Service(name=name, argv=command, env=env, cwd=settings.BASE_DIR, stop=WORKER_STOP, tier=2)


def beat_service(env: Mapping[str, str], var: Path) -> Service:
    """Celery beat: the clock behind the sweeps."""
    command = [*QUIET_CELERY, "beat", "--loglevel", "warning"]
    command += ["--schedule", str(var / "beat-schedule"), "--pidfile="]
    return Service(name="beat", argv=command, env=env, cwd=settings.BASE_DIR, stop=[(signal.SIGTERM, 5.0)], tier=3)


def answers(url: str) -> bool:
    """Whether something answers HTTP there, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
