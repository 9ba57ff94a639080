"""What a contractor does beside the task itself, in a real browser: qualify, go on, change, send late, look back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from labeling.assignments import claim, leases
from labeling.assignments.models import Slot
from labeling.comparisons.models import Ranking
from labeling.datasets import services as datasets
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.own import create_own_prompt_tasks
from labeling.people.models import Role
from labeling.projects.models import Membership, Project
from labeling.prompts import writing
from labeling.quality import review_services
from labeling.quality.models import Review, WeeklyAgreement
from tests.browser.work import press
from tests.factories import GuidelineFactory, MembershipFactory, ProjectFactory, contractor_of
from tests.labeling.quality.submitted import comparisons, rank_next, sample, screen_newcomers, write_next

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project(transactional_db: None) -> Project:
    project: Project = ProjectFactory(slug="day", review_percent=100, contact="help@example.org")
    GuidelineFactory(project=project, version=1, body="Be brief.")
    return project


@pytest.fixture
def admin(project):
    return MembershipFactory(project=project, role=Role.ADMIN).user


def tick_all(page: Any) -> None:
    """All checks of the guideline."""
    for box in page.locator("input[name=check]").all():
        box.check()


def test_a_newcomer_is_screened_and_let_in(open_as, project, admin):
    (known,) = comparisons(project, 1, k=2)
    screen_newcomers(project, known, admin)
    newcomer = MembershipFactory(project=project, state=Membership.State.QUALIFYING)
    page = open_as(newcomer.user)
    page.goto("/p/day/label/")
    page.get_by_role("link", name="Read and accept").press("Enter")
    page.get_by_role("button", name="I have read it").click()
    page.goto("/p/day/label/")
    expect(page.get_by_role("heading", name="Show how you work")).to_be_visible()
    page.locator("[data-continue]").click()
    for _ in range(2):
        page.wait_for_url("**/work/**")
        if page.locator("#text").count():
            page.locator("#text").fill("They are content, or they calm themselves.")
            tick_all(page)
        else:
            press(page, "1", "2", "Shift+6", "Shift+3")
        work = page.url
        press(page, "Control+Enter")
        page.wait_for_url(lambda url, work=work: url != work)
        if page.locator("[data-continue]").count():
            page.locator("[data-continue]").click()
    page.get_by_label("Which topics can you judge?").fill("Cats.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Thank you, that is all.")).to_be_visible()
    assert claim.claim_slot(project=project, labeler=newcomer.user) is None

    desk = open_as(admin)
    desk.goto("/p/day/screening/")
    desk.get_by_role("link", name=str(newcomer.user)).click()
    expect(desk.get_by_text("They are content")).to_be_visible()
    expect(desk.get_by_text("Cats.")).to_be_visible()
    desk.get_by_role("radio", name="6").check()
    desk.get_by_role("button", name="Save the grade").click()
    expect(desk.get_by_text("Grade 6 of 7")).to_be_visible()
    desk.get_by_role("button", name="Let them work").click()
    newcomer.refresh_from_db()
    assert newcomer.state == Membership.State.ACTIVE


def test_returned_work_is_read_changed_and_sent_again(open_as, project, admin):
    labeler = contractor_of(project)
    written = write_next(project, labeler, "Because.")
    sample(project)
    review = Review.objects.get(demonstration=written)
    review_services.return_work(review=review, by=admin, note="Say why, please.")
    page = open_as(labeler)
    page.goto("/p/day/label/")
    returned = page.get_by_role("region", name="Returned to you")
    expect(returned).to_contain_text("Say why, please.")
    returned.get_by_role("link").press("Enter")
    expect(page.locator(".finish")).to_contain_text("A reviewer asks for a change: Say why, please.")
    finish, button = page.locator(".finish"), page.get_by_role("button", name="Submit the change")
    assert finish.bounding_box()["width"] > button.bounding_box()["width"], "the buttons fit their column"
    expect(page.locator("#text")).to_have_value("Because.")
    expect(page.locator("[data-count]")).to_have_text("1 word")  # the script is there
    page.locator("#text").fill("Because short waves are scattered more.")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    press(page, "Control+Enter")
    page.wait_for_url("**/label/")
    expect(page.get_by_text("saved as a new version")).to_be_visible()
    expect(page.get_by_text("Returned to you")).to_have_count(0)
    written.refresh_from_db()
    assert written.superseded_by.text == "Because short waves are scattered more."


def test_what_is_missing_from_a_change_closes_its_button_and_no_other(open_as, project):
    labeler = contractor_of(project)
    comparisons(project, 1)
    ranking = rank_next(project, labeler)  # without ratings, which the screen asks for
    page = open_as(labeler)
    page.goto(f"/p/day/work/{ranking.slot.public_id}/")
    expect(page.get_by_role("button", name="Submit the change")).to_have_attribute("aria-disabled", "true")
    assert page.get_by_role("button", name="Change nothing").get_attribute("aria-disabled") is None


def test_the_start_page_counts_continues_a_draft_and_helps(open_as, project):
    labeler = contractor_of(project)
    comparisons(project, 2)
    rank_next(project, labeler)
    this_week = timezone.now().date() - timedelta(days=timezone.now().weekday())
    WeeklyAgreement.objects.create(
        project=project, labeler=labeler, week=this_week, agreement=0.72, low=0.7, high=0.75, pairs=40
    )
    page = open_as(labeler)
    page.goto("/p/day/label/")
    expect(page.locator(".today")).to_contain_text("1 of 40 today")
    expect(page.get_by_role("row", name="72 % 40")).to_be_visible()
    expect(page.get_by_text("help@example.org")).to_be_visible()
    press(page, "?")
    expect(page.get_by_role("dialog")).to_contain_text("Continue with the next task")
    press(page, "Escape")
    page.locator("[data-continue]").press("Enter")
    page.wait_for_url("**/work/**")
    work = page.url
    press(page, "2", "1")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.goto("/p/day/label/")
    page.get_by_role("link", name="Continue your draft").press("Enter")
    page.wait_for_url(work)
    expect(page.locator("input[name=rank-A][value='2']")).to_be_checked()


def test_a_user_based_prompt_with_turns_is_shown_as_it_will_be(open_work, project):
    brief = writing.brief(
        project=project, kind="user_based", text="A nurse plans shifts.", category="work", split="train"
    )
    create_own_prompt_tasks(project=project, brief=brief, number=1, by=None)
    page = open_work(project, contractor_of(project), kind="own_prompt")
    work = page.url
    expect(page.get_by_text("A nurse plans shifts.")).to_be_visible()
    page.locator("#prompt").fill("And at night?")
    page.locator("[data-more-rows]").click()
    said = page.locator("textarea:visible")
    expect(said).to_have_count(4)
    said.nth(0).fill("Who works on Monday?")
    said.nth(1).fill("Maya and Noor.")
    page.locator("#text").fill("Bo, for **eight** hours: $8 \\cdot 1 = 8$.\n\n```python\nhours = 8\n```")
    press(page, "Control+/")
    shown = page.locator("[data-preview]")
    expect(shown.locator("strong")).to_have_text("eight")
    expect(shown.locator("pre code")).to_contain_text("hours = 8")
    expect(shown.locator("math")).to_have_count(1)
    expect(shown).to_contain_text("Maya and Noor.")
    press(page, "Control+/")
    tick_all(page)
    press(page, "Control+Enter")
    page.wait_for_url(lambda url: url != work)
    made = Demonstration.objects.get()
    assert [turn["role"] for turn in made.prompt.messages] == ["user", "assistant", "user"]
    assert made.prompt.messages[-1]["content"] == "And at night?"


def test_work_whose_time_ran_out_is_kept_and_sent_late(open_as, project):
    labeler, other = contractor_of(project), contractor_of(project)
    comparisons(project, 1, k=3)
    page = open_as(labeler)
    page.goto("/p/day/label/")
    page.locator("[data-continue]").press("Enter")
    page.wait_for_url("**/work/**")
    press(page, "1", "2", "3")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    Slot.objects.filter(state="leased").update(lease_expires_at=timezone.now() - timedelta(minutes=1))
    leases.expire_leases()
    rank_next(project, other)
    page.goto("/p/day/label/")
    kept = page.get_by_role("region", name="Drafts that went back")
    kept.get_by_role("link").press("Enter")
    expect(page.locator("input[name=rank-A][value='1']")).to_be_checked()
    for letter in "ABC":
        page.locator(f"input[name=q-{letter}][value='4']").check(force=True)
    press(page, "Control+Enter")
    page.wait_for_url("**/label/")
    assert sorted(Ranking.objects.values_list("labeler", "late")) == sorted([(labeler.pk, True), (other.pk, False)])


def test_a_new_guideline_is_compared_accepted_and_stamped(open_as, project, admin):
    labeler = contractor_of(project)
    comparisons(project, 1, k=2)
    desk = open_as(admin)
    desk.goto("/p/day/guideline/edit/")
    desk.locator("textarea").first.fill("Be brief.\n\nSay what you do not know.")
    desk.get_by_role("button", name="Save and publish…").click()
    expect(desk.get_by_text("It becomes version 2")).to_be_visible()
    desk.get_by_role("button", name="Publish").click()
    page = open_as(labeler)
    page.goto("/p/day/label/")
    expect(page.locator("[data-continue]")).to_have_count(0)
    page.get_by_role("link", name="Read and accept").press("Enter")
    page.get_by_role("link", name="See what changed since version 1").press("Enter")
    expect(page.get_by_role("listitem").filter(has_text="Say what you do not know.")).to_contain_text("Added:")
    page.get_by_role("link", name="Read version 2").press("Enter")
    page.get_by_role("button", name="I have read it").press("Enter")
    page.goto("/p/day/label/")
    page.locator("[data-continue]").press("Enter")
    page.wait_for_url("**/work/**")
    press(page, "1", "2", "Shift+6", "Shift+3")
    press(page, "Control+Enter")
    page.wait_for_url("**/label/")
    assert Ranking.objects.get().guideline.version == 2


def test_ones_own_history_hours_and_files(open_as, project):
    labeler = contractor_of(project)
    comparisons(project, 1)
    rank_next(project, labeler, reason="The first one is right.")
    write_next(project, labeler, "Because of the air.")
    page = open_as(labeler)
    page.goto("/p/day/label/")
    page.get_by_role("link", name="All your work").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Kind").select_option("comparison")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").press("Enter")
    expect(page.get_by_text("The first one is right.")).to_be_visible()
    expect(page.get_by_role("link", name="Change it")).to_be_visible()
    page.get_by_role("link", name="All your work").press("Enter")
    with page.expect_download() as accepted:
        page.get_by_role("link", name="Accepted work as CSV").click()
    assert Path(accepted.value.path()).read_text(encoding="utf-8-sig").count("\n") >= 1
    page.get_by_role("link", name="Active hours").press("Enter")
    expect(page.get_by_role("row", name=f"{timezone.now():%A}")).to_contain_text("2")
    with page.expect_download() as days:
        page.get_by_role("link", name="All days as CSV").click()
    assert len(Path(days.value.path()).read_text(encoding="utf-8-sig").splitlines()) == 2


def test_what_a_snapshot_holds_is_read_and_no_longer_changed(open_as, project):
    labeler = contractor_of(project)
    written = write_next(project, labeler, "Because of the air.")
    page = open_as(labeler)
    page.goto(f"/p/day/label/own/{written.slot.public_id}/")
    expect(page.get_by_role("link", name="Change it")).to_be_visible()
    datasets.freeze(project=project, kind="demonstrations")
    page.reload()
    expect(page.get_by_text("It is part of a snapshot and can no longer be changed.")).to_be_visible()
    expect(page.get_by_role("link", name="Change it")).to_have_count(0)
