"""A contractor's own pages and the screening in Chromium: both languages, both themes, wide and narrow, nothing for axe to find."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from labeling.people.models import Role
from labeling.projects import services as projects
from labeling.projects.models import Membership, Project
from labeling.quality.models import WeeklyAgreement
from tests.browser.work import check_axe, check_fits
from tests.factories import MembershipFactory, ProjectFactory, contractor_of
from tests.labeling.quality.submitted import comparisons, rank_next, screen_newcomers, write_next

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WIDE_LIGHT = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", "locale": "en-US"}
NARROW_DARK = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "locale": "zh-CN"}


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    """A project whose contractor has a history, two guideline versions, and somebody being screened."""
    project: Project = ProjectFactory(slug="demo", contact="help@example.org", next_work="Mondays at 9:00 UTC")
    labeler = contractor_of(project)
    admin = MembershipFactory(project=project, role=Role.ADMIN).user
    comparison, _other = comparisons(project, 2)
    ranking = rank_next(project, labeler)
    written = write_next(project, labeler)
    WeeklyAgreement.objects.create(
        project=project, labeler=labeler, week="2026-03-02", agreement=0.72, low=0.7, high=0.75, pairs=40
    )
    projects.save_guideline_draft(project=project, body="Be helpful and brief.\n\nSay what you do not know.", by=admin)
    version = projects.publish_guideline(project=project, by=admin).version
    screen_newcomers(project, comparison, admin)
    newcomer = MembershipFactory(project=project, state=Membership.State.QUALIFYING)
    return {
        "labeler": labeler,
        "admin": admin,
        "newcomer": newcomer,
        "version": version,
        "pieces": [ranking.slot.public_id, written.slot.public_id],
    }


def assert_sound(page: Page, address: str) -> None:
    """Nothing for axe, nothing wider than the window."""
    page.goto(address)
    check_axe(page)
    check_fits(page)


@pytest.mark.parametrize("look", [WIDE_LIGHT, NARROW_DARK], ids=["wide-light-en", "narrow-dark-zh"])
def test_every_own_page_is_sound(open_as, world, look) -> None:
    version = world["version"]
    page = open_as(world["labeler"], **look)
    for address in ("label/", "label/own/", "label/own/hours/", f"guideline/{version}/changes/{version - 1}/"):
        assert_sound(page, f"/p/demo/{address}")
    for piece in world["pieces"]:
        assert_sound(page, f"/p/demo/label/own/{piece}/")
    assert_sound(page, "/account/")
    newcomer = open_as(world["newcomer"].user, **look)
    for address in ("label/", "label/screening/"):
        assert_sound(newcomer, f"/p/demo/{address}")
    admin = open_as(world["admin"], **look)
    for address in ("screening/", "screening/items/", f"screening/{world['newcomer'].pk}/"):
        assert_sound(admin, f"/p/demo/{address}")


def test_people_change_their_language_before_and_after_signing_in(new_context, live_server, open_as, world) -> None:
    stranger = new_context(base_url=live_server.url, locale="en-US").new_page()
    stranger.goto("/account/login/")
    stranger.get_by_role("button", name="简体中文").click()
    expect(stranger.get_by_role("heading", level=1)).to_have_text("登录")
    expect(stranger.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(
        stranger.get_by_role("button", name="English")
    ).to_be_visible()  # whoever cannot read Chinese finds the way back

    page = open_as(world["labeler"], locale="en-US")
    page.goto("/account/")
    page.get_by_label("Language of the pages").select_option("zh-hans")
    page.locator("section", has=page.get_by_role("heading", name="Language")).get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("你的账号")
    page.goto("/p/demo/label/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("继续下一个任务")  # what scripts say is Chinese too
