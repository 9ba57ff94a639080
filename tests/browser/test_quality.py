"""The quality page and the disputed comparisons in a real browser: accessible and whole at every size and theme."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from labeling.people.models import Role
from labeling.projects.models import Project
from labeling.quality import services
from labeling.quality.models import ControlItem
from tests.browser.work import check_axe, check_fits
from tests.factories import MembershipFactory, ProjectFactory
from tests.labeling.quality.judging import answers, comparison_of, rank

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project(transactional_db: None) -> Project:
    """Three people over 24 comparisons; Cleo takes them as they are shown."""
    project = ProjectFactory()
    people = [MembershipFactory(project=project, user__name=name).user for name in ("Ada", "Ben", "Cleo")]
    for number in range(24):
        comparison = comparison_of(project, 4, round_number=1 + number // 12)
        if number % 6 == 0:
            known = {str(row.pk): at for at, row in enumerate(answers(comparison), start=1)}
            ControlItem.objects.create(comparison=comparison, ranks=known)
        shown = [(1, 2, 3, 4), (2, 1, 4, 3), (4, 3, 2, 1), (3, 4, 1, 2)][number % 4]
        rank(comparison, people[0], 1, 2, 3, 4, shown=shown, qualities=(7, 5, 4, 2))
        rank(comparison, people[1], 1, 2, 3, 3, shown=shown[::-1], qualities=(6, 5, 3, 3))
        rank(comparison, people[2], *shown, shown=shown)
    return project


@pytest.fixture
def visit(project: Project, live_server: Any, new_context: Any) -> Any:
    """`visit(path, **context)`: a page for the project's admin."""
    client = Client()
    client.force_login(MembershipFactory(project=project, role=Role.ADMIN).user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    services.refresh(project=project)

    def opened(path: str, **arguments: Any) -> Any:
        context = new_context(base_url=live_server.url, **arguments)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.goto(f"/p/{project.slug}/{path}")
        return page

    return opened


def test_both_pages_are_accessible_and_fit_at_every_size_and_theme(visit: Any) -> None:
    for width, theme in ((1440, "light"), (320, "dark")):
        page = visit("quality/", viewport={"width": width, "height": 900}, color_scheme=theme)
        for path in ("quality/", "quality/disputes/"):
            page.goto(page.url.split("/quality/")[0] + "/" + path)
            page.locator("details.dispute summary").first.click()
            check_axe(page)
            check_fits(page)
        page.context.close()


def test_the_page_says_who_needs_attention_and_why_and_leads_to_the_disputes(visit: Any) -> None:
    page = visit("quality/", java_script_enabled=False)
    attention = page.get_by_role("region", name="Needs attention")
    expect(attention.get_by_role("heading", level=3)).to_have_text(["Cleo"])
    expect(attention).to_contain_text("What is shown earlier wins 100.0 % of pairs; without bias it is 50.0 %.")
    expect(page.get_by_role("img", name="Agreement with all others: Cleo")).to_be_visible()
    expect(page.get_by_role("img", name="Ranked best by shown place: A ")).to_be_visible()
    attention.get_by_role("link", name="Disputed comparisons that Cleo ranked").click()
    expect(page.get_by_label("Labeler")).to_have_value(page.url.rsplit("=", 1)[1])
    first = page.locator("details.dispute").first
    first.locator("summary").click()
    expect(first.locator(".answer")).to_have_count(2)
    expect(first.get_by_role("row", name="Cleo")).to_be_visible()
    page.get_by_label("Round").select_option("2")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("details.dispute").first).to_contain_text("round 2")
