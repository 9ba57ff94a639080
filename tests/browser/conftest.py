"""Opening a contractor's work in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Error, expect

from labeling.people.models import User
from labeling.projects.models import Project

expect.set_options(timeout=15_000)  # milliseconds; a machine that does other things too may take its time
QUIET = 600  # milliseconds in which the draft that a closing page sends has arrived


@pytest.fixture
def open_as(new_context: Any, live_server: Any) -> Callable[..., Any]:
    """`open_as(user, **context)`: an empty page of somebody who is signed in; addresses may leave the server out."""

    def opened(user: User, **arguments: Any) -> Any:
        client = Client()
        client.force_login(user)
        context = new_context(base_url=live_server.url, **arguments)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        return context.new_page()

    return opened


@pytest.fixture
def open_work(open_as: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """`open_work(project, labeler, **context)`: a page with the next task, of this kind if one is named, of a person who is signed in."""
    pages: list[Any] = []

    def opened(project: Project, labeler: User, kind: str = "", **arguments: Any) -> Any:
        page = open_as(labeler, **arguments)
        pages.append(page)
        page.goto(f"/p/{project.slug}/label/")
        form = f"form:has([name=kind][value={kind}]) " if kind else ""
        page.locator(f"{form}[data-continue]").first.press("Enter")
        page.wait_for_url("**/work/**")
        return page

    yield opened
    for page in pages:
        with suppress(Error):  # a page the test has closed
            page.goto("about:blank")
            page.wait_for_timeout(QUIET)
