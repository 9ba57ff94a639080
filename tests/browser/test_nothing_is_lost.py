"""Reload, two tabs, a dead network, an ended session, a lease that runs out: what was typed stays (reliability.md DATA-1, DATA-5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from labeling.assignments.models import Slot
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.services import create_demonstration_tasks
from tests.browser.work import press
from tests.factories import PASSWORD, GuidelineFactory, ProjectFactory, PromptFactory, contractor_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project(transactional_db):
    project = ProjectFactory()
    GuidelineFactory(project=project, version=1, body="Be brief.\n\n- [ ] It is true.\n")
    create_demonstration_tasks(project=project, prompts=PromptFactory.create_batch(2, project=project), by=None)
    return project


@pytest.fixture
def labeler(project):
    return contractor_of(project)


def saved(page: Any) -> None:
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")


def draft() -> Any:
    return Slot.objects.get(state="leased").draft


def test_two_tabs_never_write_over_each_other_in_silence(open_work, project, labeler, console_errors):
    one = open_work(project, labeler)
    two = one.context.new_page()
    two.goto(one.url)
    two.locator("#text").fill("Second tab")
    saved(two)
    expect(one.locator("[data-banner]")).to_contain_text("This is the newer draft")
    assert one.locator("#text").input_value() == "Second tab"
    one.route("**/draft/", lambda route: route.abort())
    one.locator("#text").fill("First tab, offline")
    expect(one.locator("[data-saved]")).to_have_text("Offline, kept on this device")
    two.locator("#text").fill("Second tab, newer")
    saved(two)
    one.unroute("**/draft/")
    one.locator("#text").press("End")
    one.keyboard.type("!")
    expect(one.locator("[data-banner]")).to_contain_text("Which one shall stay?")
    assert draft() == {"text": "Second tab, newer"}
    one.get_by_role("button", name="Use that one").press("Enter")
    assert one.locator("#text").input_value() == "Second tab, newer"
    one.get_by_role("button", name="Go back to mine").press("Enter")
    saved(one)
    assert draft() == {"text": "First tab, offline!"}
    expect(two.locator("#text")).to_have_value("First tab, offline!")
    two.close()
    console_errors[:] = [error for error in console_errors if "409" not in error and "ERR_FAILED" not in error]


def test_a_reply_that_got_lost_is_asked_for_again_with_the_same_key(open_work, project, labeler, console_errors):
    page = open_work(project, labeler)
    first = page.url
    keys = []

    def lose_the_first(route: Any) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        keys.append(dict(pair.split("=") for pair in route.request.post_data.split("&"))["submission"])
        if len(keys) == 1:
            route.fetch(max_redirects=0)  # the server has it; the page never hears so
            route.abort()
        else:
            route.continue_()

    page.route("**/work/**", lose_the_first)
    page.locator("#text").fill("Once")
    page.get_by_label("It is true.").check()
    page.get_by_role("button", name="Submit").dblclick()
    expect(page.locator("[data-banner]")).to_contain_text("No connection")
    kept = page.evaluate("Object.entries(localStorage).find(([name]) => name.startsWith('draft:'))[1]")
    assert json.loads(kept)["draft"]["text"] == "Once"
    page.wait_for_url(lambda url: url != first and "/work/" in url)
    assert len(keys) == 2 and len(set(keys)) == 1
    assert Demonstration.objects.get().text == "Once"
    assert page.evaluate("Object.keys(localStorage).filter(name => name.startsWith('draft:'))") == []
    console_errors[:] = [error for error in console_errors if "ERR_FAILED" not in error]


def test_a_phone_says_that_it_is_offline_and_a_fresh_submission_is_taken_back(
    open_work, project, labeler, console_errors
):
    page = open_work(project, labeler, viewport={"width": 390, "height": 844})
    first = page.url
    expect(page.locator("[data-unsaved]")).to_be_hidden()
    page.context.set_offline(True)
    page.locator("#text").fill("In the tunnel")
    expect(page.locator("[data-unsaved]")).to_be_visible()
    expect(page.locator("[data-unsaved]")).to_have_text("Offline, kept on this device")
    page.context.set_offline(False)
    expect(page.locator("[data-unsaved]")).to_be_hidden()
    page.get_by_label("It is true.").check()
    press(page, "Control+Enter")
    page.wait_for_url(lambda url: url != first)
    page.locator("#text").press("Control+z")  # the editor has the focus, where U is a letter
    page.wait_for_url(first)
    assert page.locator("#text").input_value() == "In the tunnel"
    assert not Demonstration.objects.exists()
    console_errors[:] = [error for error in console_errors if "INTERNET" not in error]


def test_who_signs_in_next_on_a_shared_device_never_sees_it(open_work, project, labeler, console_errors):
    page = open_work(project, labeler)
    page.route("**/draft/", lambda route: route.abort())
    page.locator("#text").fill("Private, typed offline")
    expect(page.locator("[data-saved]")).to_have_text("Offline, kept on this device")
    slot, other = Slot.objects.get(state="leased"), contractor_of(project)
    Slot.objects.filter(pk=slot.pk).update(labeler=other, draft=None, draft_saved_at=None)  # it went to somebody else
    client = Client()
    client.force_login(other)  # the first one's session ended without a sign-out
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": page.evaluate("origin")}])
    page.reload()
    assert page.locator("#text").input_value() == ""
    assert "Private" in page.evaluate("JSON.stringify(localStorage)")  # and the first one has not lost it
    console_errors[:] = [error for error in console_errors if "ERR_FAILED" not in error]


def test_an_ended_session_loses_nothing(open_work, project, labeler, console_errors):
    page = open_work(project, labeler)
    work = page.url
    page.locator("#text").fill("Before. ")
    saved(page)
    Session.objects.all().delete()
    page.locator("#text").fill("Before. After.")
    expect(page.locator("[data-banner]")).to_contain_text("You have been signed out")
    page.get_by_label("It is true.").check()
    press(page, "Control+Enter")
    expect(page.locator("[data-banner]")).to_contain_text("You have been signed out")
    assert not Demonstration.objects.exists()
    page.get_by_role("link", name="Sign in and go on").press("Enter")
    page.locator("[name=login]").fill(labeler.email)
    page.locator("[name=password]").fill(PASSWORD)
    press(page, "Enter")
    page.wait_for_url(work)
    assert page.locator("#text").input_value() == "Before. After."
    saved(page)
    assert draft() == {"text": "Before. After.", "check": ["0"]}
    page.get_by_role("button", name="your account").press("Enter")
    page.context.set_offline(True)
    page.locator("#text").fill("Typed offline")
    expect(page.locator("[data-saved]")).to_have_text("Offline, kept on this device")
    page.locator("form[action$='/logout/']").evaluate(
        "form => form.addEventListener('submit', e => e.preventDefault())"
    )
    page.get_by_role("button", name="Sign out").click()
    assert page.evaluate("Object.keys(localStorage).filter(name => name.startsWith('draft:'))") == []
    console_errors[:] = [
        error for error in console_errors if not {"403", "INTERNET"} & set(error.replace("_", " ").split())
    ]


def test_the_lease_is_kept_in_time_and_idle_time_does_not_count(open_work, project, labeler):
    page = open_work(project, labeler)
    page.clock.install()
    page.reload()
    page.clock.run_for(90_000)  # nobody touches anything: a minute counts, not more
    assert page.locator("[data-timer]").inner_text() in {"0:59", "1:00", "1:01"}
    expect(page.locator("[data-lease]")).to_be_hidden()
    page.clock.fast_forward(27 * 60_000)
    page.clock.run_for(1000)
    expect(page.locator("[data-lease]")).to_contain_text("goes back to the queue in two minutes")
    page.clock.fast_forward(70_000)
    page.clock.run_for(1000)
    expect(page.locator("[data-lease]")).to_contain_text("goes back to the queue in less than a minute")
    Slot.objects.filter(state="leased").update(lease_expires_at=timezone.now() + timezone.timedelta(seconds=90))
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("[data-lease]")).to_be_hidden()
    left = Slot.objects.get(state="leased").lease_expires_at - timezone.now()
    assert left.total_seconds() > 1700
