"""The run page in Chromium: charts, live numbers, keys, and the end of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from labeling.projects.models import Membership
from labeling.runs import directory
from labeling.runs.models import Run, RunMetric
from tests.factories import CheckpointFactory, MembershipFactory, RunFactory, SnapshotFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def engineer() -> Membership:
    return MembershipFactory.create(role="engineer", project__slug="demo")


@pytest.fixture
def run(engineer: Membership) -> Run:
    now = timezone.now()
    live = {"heartbeat_at": now, "started_at": now, "lease_expires_at": now, "attempt": 1}
    run = RunFactory.create(project=engineer.project, name="ppo-1", state="running", **live)
    directory.path_of(run).mkdir(parents=True)
    for step in range(1, 6):
        add_step(run, step)
    return run


def add_step(run: Run, step: int) -> None:
    values = {"objective/score": step / 10, "value/loss": 1 / step}
    RunMetric.objects.create(run=run, row=step - 1, step=step, time=100.0 + step, values=values)
    changes = {"metrics_rows": step, "step": step, "progress": step / 20, "latest": values, "eta_seconds": 60 * step}
    Run.objects.filter(pk=run.pk).update(**changes)


@pytest.fixture
def page(new_context: Callable[..., Any], live_server: Any, engineer: Membership) -> Page:
    """Logged in."""
    client = Client()
    client.force_login(engineer.user)
    context = new_context(base_url=live_server.url)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
    page: Page = context.new_page()
    return page


def test_a_run_page_follows_its_run_to_the_end(page: Page, run: Run) -> None:
    page.goto(f"/p/demo/runs/{run.pk}/")
    reward = page.locator('.chart[data-metric="objective/score"]')
    expect(reward.locator(".read b")).to_have_text("0.500")
    expect(page.locator('.chart[data-metric="objective/kl"]')).to_have_count(0)
    add_step(run, 6)
    expect(reward.locator(".read b")).to_have_text("0.600", timeout=15_000)
    expect(page.locator("[data-step]")).to_have_text("6")
    expect(page.locator("[data-left]")).to_have_text("About 6 min left")
    reward.locator("svg.plot").press("Home")
    expect(reward.locator(".read .at")).to_have_text("step 1")
    reward.get_by_role("button", name="Show the numbers").click()
    expect(page.locator("dialog.numbers tbody tr")).to_have_count(6)
    page.keyboard.press("Escape")
    Run.objects.filter(pk=run.pk).update(state="failed", error="the reason why", finished_at=timezone.now())
    expect(page.locator("pre.cause")).to_have_text("the reason why", timeout=20_000)
    expect(page.locator("#head .pill")).to_have_text("Failed")


def test_pages_are_accessible_and_fit_a_phone(page: Page, run: Run) -> None:
    checkpoint = CheckpointFactory.create(project=run.project)
    SnapshotFactory.create(project=run.project)
    urls = [
        f"/p/demo/runs/{run.pk}/",
        "/p/demo/runs/",
        "/p/demo/runs/new/?kind=ppo",
        "/p/demo/checkpoints/",
        f"/p/demo/checkpoints/{checkpoint.public_id}/",
    ]
    for url in urls:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(url)
        page.wait_for_load_state("networkidle")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{url}\n{found.generate_report()}"
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == 390, url
