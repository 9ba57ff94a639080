"""Writing a demonstration in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from labeling.assignments.models import KeptDraft, Slot
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.own import create_own_prompt_tasks
from labeling.demonstrations.services import create_demonstration_tasks
from labeling.projects.models import Project
from labeling.prompts import writing
from tests.browser.work import check_looks, press
from tests.factories import GuidelineFactory, ProjectFactory, PromptFactory, contractor_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BODY = "# How to write\n\nBe brief.\n\n- [ ] It is true.\n- [ ] It is kind.\n"


@pytest.fixture
def project(transactional_db: None) -> Project:
    project = ProjectFactory()
    GuidelineFactory(project=project, version=1, body=BODY)
    talk = [
        {"role": "user", "content": "What is the capital of Peru?"},
        {"role": "assistant", "content": "Lima."},
        {"role": "user", "content": "And of **Chile**?"},
    ]
    prompts = [PromptFactory(project=project, messages=talk), PromptFactory(project=project)]
    create_demonstration_tasks(project=project, prompts=prompts[:1], by=None, priority=1)
    create_demonstration_tasks(project=project, prompts=prompts[1:], by=None)
    return project


@pytest.fixture
def labeler(project):
    return contractor_of(project)


def test_a_demonstration_is_written_by_keys_alone(open_work, project, labeler):
    page = open_work(project, labeler)
    first = page.url
    expect(page.locator(".prompt")).to_contain_text("Lima.")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("Santiago")
    press(page, "Shift+Home", "Control+b")
    assert page.locator("#text").input_value() == "**Santiago**"
    expect(page.locator("[data-count]")).to_have_text("1 word")
    press(page, "Control+/")
    expect(page.locator("[data-preview] strong")).to_have_text("Santiago")
    press(page, "Control+/")
    expect(page.locator("#text")).to_be_focused()
    press(page, "Control+Enter")
    expect(page.locator("[data-missing]")).to_have_text("2 of 2 checks left")
    expect(page.get_by_label("It is true.")).to_be_focused()
    press(page, "Space", "Control+Enter")
    expect(page.get_by_label("It is kind.")).to_be_focused()
    press(page, "Space")
    expect(page.locator("[data-missing]")).to_have_text("Ready to submit")
    press(page, "Control+Enter")
    page.wait_for_url(lambda url: url != first)
    assert Demonstration.objects.get().text == "**Santiago**"
    expect(page.locator(".today")).to_contain_text("1 of 40 today")


def test_typing_is_saved_by_itself_and_comes_back(open_work, project, labeler):
    page = open_work(project, labeler)
    page.keyboard.type("Half an answer")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert Slot.objects.get(state="leased").draft == {"text": "Half an answer"}
    page.reload()
    assert page.locator("#text").input_value() == "Half an answer"
    assert page.evaluate("Object.keys(localStorage).filter(name => name.startsWith('draft:'))") == []


def test_a_doubt_about_the_prompt_is_saved_with_the_draft_and_submitted(open_work, project, labeler):
    page = open_work(project, labeler)
    page.keyboard.type("What do you mean?")
    page.get_by_label("Unclear", exact=True).check()
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.reload()
    expect(page.get_by_label("Unclear", exact=True)).to_be_checked()
    assert Slot.objects.get(state="leased").draft["prompt_flag"] == ["unclear_intent"]
    page.get_by_role("radio", name="Yes", exact=True).check()
    page.get_by_label("Unclear", exact=True).check()
    page.locator("[name=check]").nth(0).check()
    page.locator("[name=check]").nth(1).check()
    first = page.url
    press(page, "Control+Enter")
    page.wait_for_url(lambda url: url != first)
    assert Demonstration.objects.get().prompt_flags == ["unclear_intent"]


def test_losing_the_lease_is_said_and_the_text_is_kept(open_work, project, labeler, console_errors):
    from labeling.assignments import claim, leases

    page = open_work(project, labeler)
    page.keyboard.type("Mine")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    Slot.objects.filter(state="leased").update(lease_expires_at="2020-01-01T00:00:00Z")
    leases.expire_leases()
    claim.claim_slot(project=project, labeler=contractor_of(project))
    page.keyboard.type(" still")
    expect(page.locator("[data-banner]")).to_contain_text("went to somebody else")
    assert KeptDraft.objects.get(labeler=labeler).draft == {"text": "Mine still"}
    console_errors[:] = [error for error in console_errors if "409" not in error]


def test_every_way_of_looking_at_it_is_accessible(open_work, project, labeler):
    page = open_work(project, labeler)
    for address in (page.url, f"/p/{project.slug}/label/", f"{page.url}skip/"):
        page.goto(address)
        check_looks(page)


def own(project, kind):
    brief = writing.brief(project=project, kind=kind, text="A nurse plans **shifts**.", category="work", split="train")
    create_own_prompt_tasks(project=project, brief=brief, number=1, by=None, priority=5)


def test_a_few_shot_prompt_is_written_by_keys_alone(open_work, project, labeler):
    own(project, "few_shot")
    page = open_work(project, labeler, kind="own_prompt")
    first = page.url
    expect(page.locator("#instruction")).to_be_focused()
    page.keyboard.type("Translate into German.")
    for text in ("cat", "Katze"):
        press(page, "Tab")
        page.keyboard.type(text)
    press(page, "Control+Enter")
    expect(page.locator("[data-missing]")).to_have_text("Write the prompt")
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type("cow")
    press(page, "Shift+Tab", "Enter")
    expect(page.locator("#query-1")).to_be_focused()
    page.keyboard.type("dog")
    press(page, "Control+Enter")
    expect(page.locator("[data-missing]")).to_have_text("Finish example 2")
    expect(page.locator("#answer-1")).to_be_focused()
    page.keyboard.type("Hund")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.reload()
    assert page.locator("#answer-1").input_value() == "Hund"
    page.locator("#text").focus()
    page.keyboard.type("**Kuh**")
    press(page, "Control+/")
    expect(page.locator("[data-preview]")).to_contain_text("Input: dog")
    expect(page.locator("[data-preview] strong")).to_have_text("Kuh")
    press(page, "Control+/", "Escape")
    page.get_by_label("It is true.").focus()
    press(page, "Space", "Tab", "Space", "Control+Enter")
    page.wait_for_url(lambda url: url != first)
    made = Demonstration.objects.get()
    assert made.prompt.messages[0]["content"].endswith("Input: dog\nOutput: Hund\n\nInput: cow\nOutput:")


@pytest.mark.parametrize("kind", ["plain", "few_shot", "user_based"])
def test_writing_ones_own_prompt_is_accessible(open_work, project, labeler, kind):
    own(project, kind)
    page = open_work(project, labeler, kind="own_prompt")
    page.locator("[data-more-rows]").press("Enter")
    page.locator("#prompt").fill("x")
    check_looks(page)
