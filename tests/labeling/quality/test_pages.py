"""The quality page and the disputed comparisons: who sees them and what they say."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from labeling.people.models import Role
from labeling.quality import page, services
from labeling.quality.charts import Scale, dot_plot, trend
from labeling.quality.models import ControlItem
from tests.factories import MembershipFactory, ProjectFactory
from tests.labeling.quality.judging import answers, comparison_of, rank


@pytest.fixture
def project(db):
    """Three people, two comparisons: one disputed, one a control."""
    project = ProjectFactory()
    people = [MembershipFactory(project=project, user__name=name).user for name in ("Ada", "Ben", "Cleo")]
    disputed, control = comparison_of(project), comparison_of(project, round_number=2)
    ControlItem.objects.create(
        comparison=control, ranks={str(row.pk): at for at, row in enumerate(answers(control), start=1)}
    )
    for person, ranks in zip(people, ((1, 2, 3), (3, 2, 1), (1, 2, 3)), strict=True):
        rank(disputed, person, *ranks)
        rank(control, person, 1, 2, 3, qualities=(7, 4, 2))
    return project


@pytest.fixture
def show(project, client):
    """`show(name, role)`: the text of a page for a member of that role."""

    def shown(name="quality", role=Role.ADMIN, query=""):
        client.force_login(MembershipFactory(project=project, role=role).user)
        answer = client.get(reverse(name, args=[project.slug]) + query)
        assert answer.status_code == 200
        return re.sub(r"\s+", " ", answer.content.decode())

    return shown


def test_reviewers_engineers_and_admins_see_it_contractors_do_not(project, client, show):
    for role in (Role.ADMIN, Role.REVIEWER, Role.ENGINEER):
        assert "Labelers agree" in show(role=role)
    client.force_login(project.memberships.filter(role=Role.CONTRACTOR)[0].user)
    for name in ("quality", "disputes"):
        assert client.get(reverse(name, args=[project.slug])).status_code == 403


def test_the_page_says_what_was_counted(show):
    said = show()
    # disputed: Ada–Ben 0, Ada–Cleo 3, Ben–Cleo 0 of 3; control: 9 of 9
    assert "66.7 %" in said
    assert "18 pairs on 2 prompts" in said
    assert "3 controls judged" in said
    assert "Computed just now from 6 rankings." in said
    assert "Nobody stands out" in said
    assert "Round 2" in said and "Round 1" in said


def test_stored_figures_say_when_they_were_computed(project, client, show):
    services.refresh(project=project)
    project.memberships.update(role=Role.CONTRACTOR)
    assert (
        re.search(r"Computed \d+ \w+ 20\d\d, \d\d:\d\d from 6 rankings\.", show(role=Role.ADMIN))
        or "just now" in show()
    )


def test_disputes_open_with_both_answers_and_who_put_what_where(project, show):
    services.refresh(project=project)
    said = show("disputes")
    assert said.count("<details") == 1
    assert "66.7 % disagreement, 3 people" in said
    assert "better for 2" in said and "better for 1" in said
    assert "Ada" in said and "Ben" in said
    assert "Nothing is disputed here" in show("disputes", query="?round=2")
    assert "Clear" in show("disputes", query="?round=2")
    assert "Nothing is disputed here" not in show("disputes", query="?round=nonsense")


def test_reasons_are_sentences():
    found = {"probability": 1e-9, "value": 0.512, "expected": 0.741, "detail": {"at_chance": True, "chance": 0.5}}
    assert page.reason({"kind": "agreement", **found}) == (
        "Agrees with others on 51.2\u00a0% of pairs, as by chance (50.0\u00a0%); the others agree on 74.1\u00a0%. (p < 0.0001)"
    )
    found = {"probability": 0.0031, "value": 0.9, "expected": 0.25, "detail": {"place": 3, "k": 4}}
    assert page.reason({"kind": "place", **found}) == (
        "Ranks C best 90.0\u00a0% of the time; without bias it is 25.0\u00a0%. (p = 0.0031)"
    )


def test_scales_hold_what_they_show():
    scale = Scale(0.4, 0.8, 100.0, 300.0)
    assert [scale(value) for value in (0.4, 0.6, 0.8, 0.1)] == [100.0, 200.0, 300.0, 100.0]
    assert [tick["text"] for tick in scale.ticks()] == ["40", "50", "60", "70", "80"]


def test_a_dot_stands_between_the_ends_of_its_interval():
    plot = dot_plot(
        [("Ada", {"value": 0.7, "low": 0.6, "high": 0.8}), ("Ben", {"value": 0.5, "low": 0.45, "high": 0.6})], 0.65
    )
    one, other = plot["rows"]
    assert one["low"] < one["x"] < one["high"]
    assert other["x"] < plot["reference"] < one["x"]
    assert one["y"] < other["y"] < plot["floor"]
    assert dot_plot([], 0.5) is None


def test_a_trend_needs_two_weeks_and_rises_with_its_values():
    weeks = [
        ("5 Jan", {"value": 0.6, "low": 0.5, "high": 0.7}),
        ("12 Jan", None),
        ("19 Jan", {"value": 0.7, "low": 0.6, "high": 0.8}),
    ]
    drawn = trend(weeks, 0.5)
    first, last = drawn["points"]
    assert (first["label"], last["label"]) == ("5 Jan", "19 Jan")
    assert last["y"] < first["y"]  # up is less
    assert first["high"] < first["y"] < first["low"]
    assert trend(weeks[:2]) is None
