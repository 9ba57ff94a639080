"""A break is suggested after so much active time in a row; nothing is blocked, and a break counts."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from labeling.projects.models import Project
from tests.browser.work import check_axe, check_fits
from tests.factories import ProjectFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def stay_active(page, seconds: int) -> None:
    """Move the mouse now and then while this much time goes by."""
    for step in range(seconds // 30):
        page.mouse.move(10 + step, 10)
        page.clock.run_for(30_000)


def test_a_break_is_suggested_and_dismissed_and_counted_anew_after_one(open_work) -> None:
    project: Project = ProjectFactory(slug="demo", break_minutes=2)
    open_tasks(project, 1)
    page = open_work(project, contractor_of(project))
    page.clock.install()
    page.reload()
    notice = page.locator("[data-break]")
    stay_active(page, 90)
    expect(notice).to_be_hidden()
    stay_active(page, 60)
    expect(notice).to_contain_text("2 minutes without a break")
    expect(page.locator("textarea").first).to_be_editable()
    check_axe(page)
    check_fits(page)
    notice.get_by_role("button").click()
    expect(notice).to_be_hidden()
    stay_active(page, 90)
    page.clock.fast_forward(360_000)  # six minutes away
    stay_active(page, 90)
    expect(notice).to_be_hidden()
