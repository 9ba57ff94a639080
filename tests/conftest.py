"""What all tests share: the services' addresses, hashed static files, Chromium, real Celery workers."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest

from tests.chromium import LAUNCH_ARGUMENTS, NO_CHROMIUM, find_chromium
from tests.workers import CeleryProcess

NO_SERVICES = (
    "DATABASE_URL is not set: run `make test`, or "
    "`python manage.py up --services-only --fast --temporary -- pytest …` for some tests only."
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last; without a Chromium they are skipped, which the summary says loudly."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    if find_chromium() is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Never skip browser tests in silence."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if NO_CHROMIUM in str(report.longrepr)]
    if skipped:
        terminalreporter.section("BROWSER TESTS DID NOT RUN", sep="!", red=True)
        terminalreporter.line(f"{len(skipped)} tests that drive a browser were skipped: {NO_CHROMIUM}", red=True)


# ---- services


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Say how to get a database when there is none."""
    if "DATABASE_URL" not in os.environ:
        pytest.exit(NO_SERVICES, returncode=4)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The test database; processes that tests start find it in DATABASE_URL."""
    from django.db import connection

    parts = urlsplit(os.environ["DATABASE_URL"])
    named = urlunsplit(parts._replace(path="/" + quote(connection.settings_dict["NAME"])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", named)
        yield


@pytest.fixture(scope="session", autouse=True)
def collected_static(request: pytest.FixtureRequest) -> None:
    """Hashed static files, as in production: collected once for all test processes of a run that has pages to show."""
    if not any(uses_pages(item) for item in request.session.items):
        return
    from django.conf import settings
    from django.core.management import call_command

    root = Path(settings.STATIC_ROOT)
    root.parent.mkdir(parents=True, exist_ok=True)
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
    with (root.parent / "test-static.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() == run:
            return
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        lock.truncate(0)
        lock.write(run)


def uses_pages(item: pytest.Item) -> bool:
    """Whether a test may render a page: it has the database, a client or a browser."""
    names = {"db", "transactional_db", "client", "rf", "admin_client", "live_server", "page"}
    return bool(names & set(getattr(item, "fixturenames", ()))) or item.get_closest_marker("django_db") is not None


@pytest.fixture
def redis_flushed() -> Iterator[None]:
    """An empty broker before the test and after it."""
    import redis
    from django.conf import settings

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield
        client.flushdb()


@pytest.fixture
def celery_worker_process(transactional_db: None, redis_flushed: None, tmp_path: Path) -> Iterator[CeleryProcess]:
    """A real Celery worker on all queues, on the test database; ended, with all it started, before the database goes."""
    with CeleryProcess.worker(tmp_path) as worker:
        yield worker


@pytest.fixture
def celery_beat_process(celery_worker_process: CeleryProcess, tmp_path: Path) -> Iterator[CeleryProcess]:
    """A real Celery beat beside the worker, so that the sweeps run (every SWEEP_SECONDS, in tests each second)."""
    with CeleryProcess.beat(tmp_path) as beat:
        yield beat


# ---- browser


@pytest.fixture(scope="session")
def playwright(playwright: Any) -> Iterator[Any]:
    """Playwright keeps an event loop in this thread: from here on Django may use its database beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield playwright


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The Chromium of this machine, which asks nothing of the network."""
    found = find_chromium()
    path = {"executable_path": found} if found else {}
    return {**browser_type_launch_args, **path, "args": LAUNCH_ARGUMENTS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Still pictures: animations would be judged half-way."""
    return {**browser_context_args, "reduced_motion": "reduce"}


@pytest.fixture
def console_errors() -> list[str]:
    """What the browser complained about; a test that provokes a complaint removes it from here."""
    return []


@pytest.fixture
def new_context(new_context: Callable[..., Any], console_errors: list[str]) -> Iterator[Callable[..., Any]]:
    """Browser contexts whose console errors, broken content policy included, fail the test."""

    def opened(**arguments: Any) -> Any:
        context = new_context(**arguments)
        context.on("console", lambda message: console_errors.append(message.text) if message.type == "error" else None)
        context.on("weberror", lambda problem: console_errors.append(str(problem.error)))
        return context

    yield opened
    assert not console_errors, f"the browser's console shows errors: {console_errors}"


@pytest.fixture(scope="session")
def live_server(request: pytest.FixtureRequest) -> Iterator[Any]:
    """pytest-django's live server, but serving the collected, hashed files as production does."""
    from django.conf import settings
    from pytest_django.live_server_helper import LiveServer

    request.getfixturevalue("django_db_setup")
    apps = [app for app in settings.INSTALLED_APPS if app != "django.contrib.staticfiles"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "INSTALLED_APPS", apps)
        server = LiveServer(
            request.config.getvalue("liveserver") or os.getenv("DJANGO_LIVE_TEST_SERVER_ADDRESS") or "localhost"
        )
    yield server
    server.stop()
