"""The first thing a person sees, in a real browser with production's static files and content policy."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_login_page_is_styled_by_hashed_files_and_the_console_stays_silent(page: Any, live_server: Any) -> None:
    response = page.goto(live_server.url)
    assert response is not None and response.status == 200
    assert "/account/login/" in page.url
    assert "default-src 'none'" in response.headers["content-security-policy"]
    sheets = page.eval_on_selector_all(
        "link[rel=stylesheet]", "links => links.map(link => [link.href, link.sheet.cssRules.length])"
    )
    assert sheets and all(rules > 0 for _, rules in sheets)
    assert any(part.count(".") == 2 for part in (href.rsplit("/", 1)[1] for href, _ in sheets)), sheets


def test_an_error_in_the_console_is_noticed(page: Any, live_server: Any, console_errors: list[str]) -> None:
    page.goto(live_server.url)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">inline style</p>')")
    assert len(console_errors) == 1 and "Content Security Policy" in console_errors[0]
    console_errors.clear()
