"""Ranking in a real browser: by keys alone, by pointer, on a phone, offline, and after a mistake."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.assignments.models import Slot
from labeling.assignments.skip import skip_slot
from labeling.comparisons.models import Ranking
from labeling.comparisons.selectors import shown
from labeling.comparisons.services import create_comparisons
from labeling.demonstrations.models import Demonstration
from labeling.people.models import User
from labeling.projects.models import Project
from tests.browser.work import check_fits, check_looks, press, resize
from tests.factories import ProjectFactory, PromptFactory, completions_of, contractor_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Places that lie outside the frame that holds them.
CUT_OFF = """() => [...document.querySelectorAll(".seg.rank label")]
  .filter((label) => label.getBoundingClientRect().right > label.parentElement.getBoundingClientRect().right + 0.5)
  .map((label) => label.textContent)"""


@pytest.fixture
def project(transactional_db: None) -> Project:
    return ProjectFactory(asks_strength=True)


@pytest.fixture
def labeler(project: Project) -> User:
    return contractor_of(project)


def compare(project: Project, *sizes: int) -> None:
    """One comparison per size; the first has the highest priority."""
    for place, k in enumerate(sizes):
        group = completions_of(PromptFactory(project=project), k)
        create_comparisons(project=project, groups=[group], by=None, priority=-place, overlap=1)


def order(page: Any) -> str:
    return re.sub(r"\s", "", page.locator("[data-order]").inner_text())


def test_four_responses_are_ranked_by_keys_alone(open_work, project, labeler):
    compare(project, 4, 4)
    page = open_work(project, labeler)
    press(page, "1", "3", "3", "2")
    assert order(page) == "A>D>B=C"
    press(page, "Control+Enter")
    expect(page.locator("[data-missing]")).to_have_text("To do: rate all")
    assert Ranking.objects.count() == 0
    press(page, "Shift+7", "Shift+2", "Shift+3", "Shift+6")
    expect(page.locator("[data-missing]")).to_have_text("Ready to submit")
    press(page, "f")
    expect(page.locator(":popover-open input").first).to_be_focused()
    press(page, "Space", "Escape")
    first = Slot.objects.get(state="leased")
    press(page, "Control+Enter")
    page.wait_for_url(lambda url: str(first.public_id) not in url)
    ranking = Ranking.objects.get()
    letters = shown(ranking.slot)
    ranks = dict(ranking.items.values_list("completion", "rank"))
    quality = dict(ranking.ratings.values_list("completion", "quality"))
    assert [ranks[letters[letter].pk] for letter in "ABCD"] == [1, 3, 3, 2]
    assert [quality[letters[letter].pk] for letter in "ABCD"] == [7, 2, 3, 6]
    assert sum(len(row.flags) for row in ranking.ratings.all()) == 1
    expect(page.locator("[data-recall]")).to_be_visible()
    press(page, "u")
    page.wait_for_url(lambda url: str(first.public_id) in url)
    assert order(page) == "A>D>B=C"
    assert Ranking.objects.count() == 0


def test_moving_tying_undoing_and_contradictions(open_work, project, labeler):
    compare(project, 4)
    page = open_work(project, labeler)
    press(page, "1", "2", "3", "4")
    page.locator("#resp-D").focus()
    press(page, "Alt+ArrowUp")
    assert order(page) == "A>B>D>C"
    press(page, "=")
    assert order(page) == "A>B=D>C"
    press(page, "u")
    assert order(page) == "A>B>D>C"
    press(page, "Control+z", "0")
    assert order(page) == "A>B>C"
    press(page, "j", "Shift+1", "k", "Shift+7")
    page.locator("#resp-A").focus()
    press(page, "Shift+2")
    page.locator("#resp-B").focus()
    press(page, "Shift+6")
    expect(page.locator("[data-note]")).to_contain_text("A is placed above")
    press(page, "d")
    expect(page.locator("[data-diffnote]")).to_have_text("Marked: words that C does not have.")
    press(page, "v", "v")
    expect(page.locator(".responses")).to_have_attribute("data-view", "one")
    expect(page.locator(".resp:visible")).to_have_count(1)
    page.locator("[data-single-keys]").evaluate(
        "box => { box.checked = false; box.dispatchEvent(new Event('change')); }"
    )
    before = order(page)
    press(page, "1")
    assert order(page) == before


def test_keys_pressed_before_the_scripts_are_there_count_and_a_held_key_counts_once(open_work, project, labeler):
    compare(project, 4)
    page = open_work(project, labeler)
    scripts: list[Any] = []
    page.route("**/rank*.js", lambda route: scripts.append(route))
    page.reload(wait_until="commit")
    page.wait_for_selector(".resp")
    press(page, "1", "3")
    for _ in range(3):
        page.keyboard.down("2")
    page.keyboard.up("2")
    press(page, "4")
    assert order(page) == ""
    scripts.pop().continue_()
    expect(page.locator("[data-order]")).to_have_text("A>C>B>D")


def test_wide_tables_and_long_formulas_scroll_in_their_response_and_no_place_is_cut_off(open_work, project, labeler):
    prompt = PromptFactory(project=project)
    table = "| " + " | ".join(["a heading of some length"] * 6) + " |\n" + "|---" * 6 + "|\n" + "| cell " * 6 + "|"
    group = completions_of(prompt, 9, text=f"{table}\n\n$$" + "x_1 + \\frac{1}{2} + " * 12 + "y$$")
    create_comparisons(project=project, groups=[group], by=None, overlap=1)
    page = open_work(project, labeler)
    for width in (1440, 1024, 390, 320):
        resize(page, width)
        check_fits(page)
        assert page.evaluate(CUT_OFF) == [], width


def test_dragging_onto_a_rung_ties_and_between_rungs_inserts(open_work, project, labeler):
    compare(project, 4)
    page = open_work(project, labeler, viewport={"width": 1440, "height": 1000})
    press(page, "1", "2", "3")

    def drag(letter: str, rung: int, dy: float) -> None:
        grip = page.locator(f"[data-chip={letter}] .grip").bounding_box()
        box = page.locator(f"[data-rung='{rung}']").bounding_box()
        page.mouse.move(grip["x"] + 5, grip["y"] + 10)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] + dy, steps=4)
        page.mouse.up()

    drag("D", 2, 30)
    assert order(page) == "A>B=D>C"
    drag("C", 1, 4)
    assert order(page) == "C>A>B=D"
    page.get_by_title("Move A up").click()
    assert order(page) == "A>C>B=D"


def test_drafts_survive_a_reload_and_a_lost_connection(open_work, project, labeler, console_errors):
    compare(project, 4)
    page = open_work(project, labeler)
    press(page, "2", "1")
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert {"rank-A": "2", "rank-B": "1"}.items() <= Slot.objects.get().draft.items()
    page.reload()
    assert order(page) == "B>A"
    page.context.set_offline(True)
    page.locator("#resp-C").focus()
    press(page, "3")
    expect(page.locator("[data-saved]")).to_have_text("Offline, kept on this device")
    assert "rank-C" not in Slot.objects.get().draft
    page.context.set_offline(False)
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    assert Slot.objects.get().draft["rank-C"] == "3"
    console_errors[:] = [error for error in console_errors if "ERR_INTERNET_DISCONNECTED" not in error]


def test_strength_of_two_and_skipping_by_keys(open_work, project, labeler):
    compare(project, 2, 2)
    page = open_work(project, labeler)
    press(page, "1", "2", "Shift+5", "Shift+3")
    press(page, "Control+Enter")
    expect(page.locator("[data-missing]")).to_have_text("To do: say how much better")
    expect(page.locator("[name=strength]").first).to_be_focused()
    press(page, "Space")
    first = page.url
    press(page, "Control+Enter")
    page.wait_for_url(lambda url: url != first)
    assert Ranking.objects.get().strength == 3
    page.get_by_role("link", name="Skip", exact=True).press("Enter")
    expect(page.locator("#skip")).to_be_visible()
    press(page, "Space", "Enter")
    page.wait_for_url("**/label/")
    assert Slot.objects.filter(state="open").count() == 1


def test_every_way_of_looking_at_it_is_accessible(open_work, project, labeler):
    compare(project, 2, 4, 9)
    for _ in (2, 4, 9):
        page = open_work(project, labeler)
        page.locator("input[name=rank-A][value='1']").check(force=True)
        page.locator("summary", has_text="better").click()
        check_looks(page)
        slot = Slot.objects.get(state="leased")
        skip_slot(slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, reason="other")
        page.context.close()


def test_without_script_the_radios_do_it(open_work, project, labeler):
    compare(project, 4)
    page = open_work(project, labeler, java_script_enabled=False)
    for letter, place in zip("ABCD", "1224", strict=True):
        page.locator(f"input[name=rank-{letter}][value='{place}']").check(force=True)
        page.locator(f"input[name=q-{letter}][value='4']").check(force=True)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/label/")
    assert sorted(Ranking.objects.get().items.values_list("rank", flat=True)) == [1, 2, 2, 3]


def test_a_better_answer_and_a_change_of_mind_by_keys(open_work, project, labeler):
    """K = 2 with a better answer written beside it; opened again, changed, and stored as a second revision."""
    compare(project, 2)
    page = open_work(project, labeler)
    work = page.url
    press(page, "1", "1", "Shift+4", "Shift+4", "b")
    expect(page.locator("#better")).to_be_focused()
    page.keyboard.type("Mine is better.")
    press(page, "Control+Enter")
    page.wait_for_url("**/label/")
    first = Ranking.objects.get()
    assert Demonstration.objects.get().text == "Mine is better."
    page.goto(work)
    expect(page.locator(".finish")).to_contain_text("You have submitted this.")
    assert (order(page), page.locator("#better").input_value()) == ("A=B", "Mine is better.")
    page.locator("#resp-B").focus()
    press(page, "2")
    page.locator("[name=strength]").first.check(force=True)
    expect(page.locator("[data-saved]")).to_have_text("Draft saved")
    page.reload()
    assert order(page) == "A>B"
    press(page, "Control+Enter")
    page.wait_for_url("**/label/")
    expect(page.get_by_text("saved as a new version")).to_be_visible()
    assert (first.superseded_by.strength, Demonstration.objects.count()) == (3, 1)


def test_what_may_distress_is_blurred_until_it_is_shown(open_work, project, labeler):
    project.warned_categories = ["violence"]
    project.save()
    labeler.memberships.update(takes_sensitive=True)
    group = completions_of(PromptFactory(project=project, category="violence"), 4)
    create_comparisons(project=project, groups=[group], by=None, overlap=1)
    page = open_work(project, labeler)
    expect(page.locator("[data-warning]")).to_contain_text("filed under “violence”")
    prose = page.locator("#resp-A .prose")
    look = "el => [getComputedStyle(el).filter, el.inert]"
    assert prose.evaluate(look) == ["blur(7.2px)", True]
    check_looks(page, "dark")
    page.reload()
    expect(page.locator("[data-reveal]")).to_be_focused()
    press(page, "Enter")
    expect(page.locator("[data-warning]")).to_have_count(0)
    assert prose.evaluate(look) == ["none", False]
    page.reload()
    expect(page.locator("[data-warning]")).to_have_count(0)
