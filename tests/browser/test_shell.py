"""The shell and the pages of people, projects and prompts: every size and theme, keyboard, no script."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.people import services as people
from labeling.people.models import Role
from labeling.projects import services
from labeling.projects.models import Membership
from labeling.prompts.services import import_prompts
from tests.browser.work import check_axe, check_fits, check_targets, resize
from tests.factories import PASSWORD, MembershipFactory, UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = (
    "/projects/",
    "/account/",
    "/account/2fa/",
    "/p/{slug}/settings/",
    "/p/{slug}/people/",
    "/p/{slug}/people/invite/",
    "/p/{slug}/guideline/",
    "/p/{slug}/guideline/edit/",
    "/p/{slug}/prompts/",
    "/p/{slug}/prompts/import/",
    "/p/{slug}/prompts/imports/{batch}/",
    "/p/{slug}/prompts/{prompt}/",
    "/p/{slug}/prompts/{prompt}/withdraw/",
)


@pytest.fixture
def admin(transactional_db: None) -> Membership:
    place: Membership = MembershipFactory(role=Role.ADMIN, user=UserFactory(name="Ada Lovelace"))
    project, by = place.project, place.user
    services.save_guideline_draft(
        project=project, body="# Good\n\nBe **kind**.\n\n```python\nx = 1\n```\n\n$a^2$", by=by
    )
    services.publish_guideline(project=project, by=by)
    paused = MembershipFactory(project=project)
    services.pause_member(membership=paused, reason="On leave", by=by)
    services.invite(project=project, email="new@example.org", role="contractor", by=by)
    people.create_token(user=by, name="Nightly", scopes=["runs:read", "datasets:read"], days=9)
    rows = [{"prompt": f"What is {n} times {n}, in plain words please?", "category": "maths"} for n in range(60)]
    rows.append({"prompt": "Write to maya@example.org"})
    import_prompts(project=project, lines=rows, fmt="objects", by=by, source="maths.jsonl")
    return place


def sign_in(page: Any, live_server: Any, place: Membership) -> None:
    page.goto(live_server.url + "/account/login/")
    page.get_by_label("Email").fill(place.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="your account")).to_be_visible()


def addresses(place: Membership) -> list[str]:
    prompt = place.project.prompts.filter(state="quarantined").get()
    batch = place.project.prompt_imports.get()
    return [one.format(slug=place.project.slug, prompt=prompt.public_id, batch=batch.pk) for one in PAGES]


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_pages_are_accessible_and_fit(page: Any, live_server: Any, admin: Membership, width: int, theme: str) -> None:
    resize(page, width)
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    sign_in(page, live_server, admin)
    for address in addresses(admin):
        page.goto(live_server.url + address)
        check_axe(page)
        for narrow in {width, 320} if width == 390 else {width, 1024}:
            resize(page, narrow)
            check_fits(page)
        check_targets(page)
        resize(page, width)


def test_the_shell_by_keyboard(page: Any, live_server: Any, admin: Membership) -> None:
    sign_in(page, live_server, admin)
    page.goto(f"{live_server.url}/p/{admin.project.slug}/people/")
    for width in (1240, 1280, 1400):
        resize(page, width)
        cut = page.locator(".nav-wide").evaluate("nav => nav.scrollWidth - nav.clientWidth")
        assert cut == 0, f"{cut} px of the menu are out of sight at {width}"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the main content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Change theme").click()
    page.get_by_role("button", name="Change theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.locator("#id_role").select_option("contractor")
    page.wait_for_url("**/people/?*role=contractor*")


def test_an_invitation_from_link_to_guideline(page: Any, live_server: Any, admin: Membership, new_context: Any) -> None:
    sign_in(page, live_server, admin)
    page.goto(f"{live_server.url}/p/{admin.project.slug}/people/invite/")
    page.get_by_label("E-mail").fill("maya@example.org")
    page.get_by_role("button", name="Make the link").click()
    link = page.locator("#link").inner_text()
    other = new_context().new_page()
    other.goto(link)
    other.get_by_label("Your name").fill("Maya Okafor")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Make my account").click()
    other.get_by_label("Email").fill("maya@example.org")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    other.goto(f"{live_server.url}/p/{admin.project.slug}/guideline/")
    other.get_by_role("button", name="I have read it").click()
    expect(other.get_by_text("Thank you. You can begin.")).to_be_visible()
    place = Membership.objects.get(user__email="maya@example.org")
    assert place.user.acceptances.count() == 1


def test_an_admin_works_without_script(
    live_server: Any, admin: Membership, new_context: Any, console_errors: list[str]
) -> None:
    page = new_context(java_script_enabled=False).new_page()
    sign_in(page, live_server, admin)
    page.goto(f"{live_server.url}/p/{admin.project.slug}/prompts/import/")
    page.get_by_label("Or paste lines").fill('{"prompt": "What is rain?"}\n{"prompt": ""}\n')
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("“prompt” is empty: write what the user asks.")).to_be_visible()
    assert len(console_errors) == 1 and "400" in console_errors.pop()
    page.get_by_label("Or paste lines").fill('{"prompt": "What is rain?"}\n')
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="1 of 1 prompts came in")).to_be_visible()
    page.goto(f"{live_server.url}/p/{admin.project.slug}/prompts/?state=quarantined")
    page.get_by_role("link", name="Write to maya@example.org").click()
    page.get_by_role("link", name="Let it in").click()
    expect(page.get_by_text("It seems to hold: e-mail address.")).to_be_visible()
    page.get_by_role("button", name="Let it in").click()
    expect(page.get_by_text("The prompt can get tasks.")).to_be_visible()
    assert not page.locator("[data-theme-toggle]").is_visible()
