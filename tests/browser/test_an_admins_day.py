"""What an admin does in a real browser: bring prompts in, hand tasks out, look after people, read the log, take files away."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.assignments.models import Slot, Task
from labeling.comparisons.models import Comparison
from labeling.people.models import Role
from labeling.projects.models import Project
from labeling.prompts.models import Prompt
from labeling.quality.models import ControlItem
from tests.factories import (
    CheckpointFactory,
    MembershipFactory,
    ProjectFactory,
    PromptFactory,
    completions_of,
    contractor_of,
)
from tests.labeling.quality.submitted import comparisons, rank_next

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def project(transactional_db: None) -> Project:
    project: Project = ProjectFactory(slug="day", completions_per_comparison=4)
    return project


@pytest.fixture
def desk(open_as, project):
    """The admin's page."""
    return open_as(MembershipFactory(project=project, role=Role.ADMIN).user)


def taken(page: Any, button: str) -> str:
    """The text of the file that a button hands over."""
    with page.expect_download() as found:
        page.get_by_role("button", name=button).click()
    return Path(found.value.path()).read_text(encoding="utf-8-sig")


def test_prompts_come_in_as_a_file_are_filtered_kept_as_a_view_and_exported(desk, project, tmp_path):
    rows = [{"prompt": f"What is {n} times {n}?", "owner": f"c-{n}", "category": "maths"} for n in range(4)]
    rows += [rows[0], {"prompt": "Why is the sky blue?", "category": "nature"}, {"prompt": "Write to maya@example.org"}]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    desk.goto("/p/day/prompts/import/")
    desk.locator("input[type=file]").set_input_files(file)
    desk.get_by_role("button", name="Import", exact=True).click()
    expect(desk.get_by_role("heading", level=1)).to_contain_text("5 of 7 prompts came in")
    expect(desk.locator("main")).to_contain_text("e-mail")
    desk.goto("/p/day/prompts/")
    desk.get_by_label("Category").select_option("maths")
    expect(desk.locator("tbody tr")).to_have_count(4)
    desk.get_by_label("Name of the view").fill("Sums")
    desk.get_by_role("button", name="Save view").click()
    expect(desk.locator("tbody tr")).to_have_count(4)
    lines = [json.loads(line) for line in taken(desk, "Export JSONL").splitlines()]
    assert {line["category"] for line in lines} == {"maths"} and len(lines) == 4
    desk.goto("/p/day/prompts/")
    desk.get_by_role("link", name="Sums").click()
    expect(desk.locator("tbody tr")).to_have_count(4)
    desk.get_by_role("button", name="Delete the view Sums").click()
    expect(desk.get_by_role("link", name="Sums")).to_have_count(0)
    assert Prompt.objects.filter(project=project, state="quarantined").count() == 1


def test_tasks_are_counted_created_moved_paused_resumed_and_withdrawn(desk, project):
    policy = CheckpointFactory(project=project, name="sft-2")
    for _ in range(3):
        completions_of(PromptFactory(project=project), 4, checkpoint=policy)
    desk.goto("/p/day/tasks/new/")
    desk.get_by_role("link", name="Comparisons").click()
    desk.get_by_label("sft-2").check()
    desk.get_by_label("Judgements per task").fill("2")
    desk.get_by_role("button", name="Count tasks").click()
    expect(desk.get_by_role("heading", name="This would create")).to_be_visible()
    assert Task.objects.count() == 0
    desk.get_by_role("button", name="Create 3 tasks").click()
    expect(desk.locator(".counts")).to_contain_text("6")
    assert Comparison.objects.count() == 3
    batch = desk.url
    desk.get_by_role("link", name="Priority…").click()
    desk.get_by_label("Priority").fill("7")
    desk.locator("form.confirm button").click()
    assert set(Slot.objects.values_list("priority", flat=True)) == {7}
    for ask, state in (("Pause…", "paused"), ("Withdraw…", "withdrawn")):
        desk.goto(batch)
        desk.get_by_role("link", name=ask).click()
        expect(desk.locator("form.confirm .facts")).to_contain_text("6")
        assert set(Task.objects.values_list("state", flat=True)) == {"open"}
        desk.locator("form.confirm button").click()
        expect(desk.locator("tbody")).to_contain_text(state.capitalize())
        assert set(Task.objects.values_list("state", flat=True)) == {state}
        if state == "paused":
            desk.get_by_role("button", name="Resume").click()
            expect(desk.get_by_role("link", name="Pause…")).to_be_visible()


def test_the_work_left_is_forecast_from_the_pace(desk, project):
    labeler = contractor_of(project)
    comparisons(project, 5)
    for _ in range(3):
        rank_next(project, labeler)
    desk.goto("/p/day/tasks/")
    card = desk.get_by_role("list", name="Forecast")
    expect(card).to_contain_text("2 judgements left")
    expect(card).to_contain_text("About 1 day at the present pace: 3 a day, 1 person in the last week")


def test_a_person_is_paused_with_a_reason_and_the_log_and_the_pay_report_say_so(desk, open_as, project):
    labeler = contractor_of(project, name="Maya Okafor")
    comparisons(project, 2)
    rank_next(project, labeler)
    desk.goto("/p/day/people/")
    desk.get_by_role("link", name="Maya Okafor", exact=True).click()
    desk.get_by_role("link", name="Pause").click()
    desk.get_by_label("Reason").fill("Answers came within two seconds.")
    desk.locator("form.confirm button").click()
    expect(desk.get_by_text("Maya Okafor is paused.")).to_be_visible()
    page = open_as(labeler)
    page.goto("/p/day/label/")
    expect(page.get_by_text("Answers came within two seconds.")).to_be_visible()
    expect(page.locator("[data-continue]")).to_have_count(0)
    page.get_by_role("link", name="Read more and appeal").click()
    page.locator("textarea").fill("I know the topic.")
    page.locator("form.form button[type=submit]").click()

    desk.goto("/p/day/people/work/")
    header, row = csv.reader(taken(desk, "Pay report (CSV)").splitlines())
    told = dict(zip(header, row, strict=True))
    assert (told["name"], told["comparisons"], told["active seconds"]) == ("Maya Okafor", "1", "12")
    desk.goto("/p/day/audit/")
    desk.get_by_role("link", name="exported pay report").click()
    expect(desk.locator("tbody tr")).to_have_count(1)
    log = taken(desk, "Export CSV")
    assert "exported pay report" in log and "Answers came" not in log
    desk.goto("/p/day/people/")
    desk.get_by_role("link", name="Maya Okafor", exact=True).click()
    expect(desk.get_by_text("I know the topic.")).to_be_visible()


def test_a_control_is_made_from_a_task(desk, project):
    comparisons(project, 1, k=3)
    desk.goto(f"/p/day/tasks/{project.batches.get().public_id}/")
    desk.get_by_role("link", name="Make a control").click()
    for letter, place in zip("ABC", "122", strict=True):
        desk.get_by_label(f"Place of {letter}").select_option(place)
    desk.get_by_role("button", name="Make the control").click()
    expect(desk.locator("tbody tr")).to_have_count(1)
    control = ControlItem.objects.get()
    assert sorted(control.known.values()) == [1, 2, 2]


def test_a_role_is_changed_and_holds_from_the_next_page(desk, open_as, project):
    labeler = contractor_of(project, name="Maya Okafor")
    page = open_as(labeler)
    page.goto("/p/day/label/")
    expect(page.get_by_role("link", name="Review", exact=True)).to_have_count(0)
    desk.goto("/p/day/people/")
    desk.get_by_role("link", name="Maya Okafor", exact=True).click()
    desk.get_by_role("link", name="Change the role").click()
    expect(desk.get_by_text("Now: Contractor.")).to_be_visible()
    desk.locator("form.confirm select").select_option("reviewer")
    desk.get_by_role("button", name="Change it").click()
    expect(desk.get_by_text("Maya Okafor has the role Reviewer.")).to_be_visible()
    page.goto("/p/day/review/")
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible()
