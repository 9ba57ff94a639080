"""What changed between versions of the guideline."""

from __future__ import annotations

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from labeling.people.models import Role
from labeling.projects import services
from labeling.projects.guideline_diff import Line, Span, compare
from tests.factories import MembershipFactory, ProjectFactory


def said(lines: list[Line]) -> list[tuple[str, str]]:
    """Kind and text, changed words in brackets."""
    return [
        (
            line.kind,
            "".join(f"[{span.text}]" if span.is_changed else span.text for span in line.spans) or str(line.hidden),
        )
        for line in lines
    ]


def test_changed_words_are_marked_inside_their_line() -> None:
    assert said(compare("Be kind.\nBe brief.", "Be kind.\nBe very brief!")) == [
        ("same", "Be kind."),
        ("removed", "Be brief[.]"),
        ("added", "Be [very ]brief[!]"),
    ]


def test_unchanged_lines_far_from_a_change_are_counted_not_shown() -> None:
    before = [f"line {n}" for n in range(12)]
    after = [*before[:6], "line six", *before[7:]]
    assert said(compare("\n".join(before), "\n".join(after))) == [
        ("gap", "4"),
        ("same", "line 4"),
        ("same", "line 5"),
        ("removed", "line [6]"),
        ("added", "line [six]"),
        ("same", "line 7"),
        ("same", "line 8"),
        ("gap", "3"),
    ]


def test_added_and_removed_lines_stand_alone() -> None:
    assert compare("a\nc", "a\nb\nc") == [
        Line("same", (Span("a", False),)),
        Line("added", (Span("b", True),)),
        Line("same", (Span("c", False),)),
    ]
    assert said(compare("a\n\nb", "a\nb")) == [("same", "a"), ("removed", "0"), ("same", "b")]


def test_chinese_is_compared_sign_by_sign() -> None:
    assert said(compare("回答要简短。", "回答要很简短。")) == [
        ("removed", "回答要简短。"),
        ("added", "回答要[很]简短。"),
    ]


def test_equal_texts_have_no_changes() -> None:
    assert compare("a\nb", "a\nb\n") == []


@given(st.text(alphabet="ab \n回", max_size=40), st.text(alphabet="ab \n回", max_size=40))
def test_both_texts_can_be_read_back(before: str, after: str) -> None:
    lines = compare(before, after, context=100)
    for text, kinds in ((before, {"same", "removed"}), (after, {"same", "added"})):
        read = ["".join(span.text for span in line.spans) for line in lines if line.kind in kinds]
        assert not lines or read == text.splitlines()


@pytest.fixture
def project(db: None):
    project = ProjectFactory()
    admin = MembershipFactory(project=project, role=Role.ADMIN).user
    for body in ("Be kind.\nBe brief.", "Be kind.\nBe very brief."):
        services.save_guideline_draft(project=project, body=body, by=admin)
        services.publish_guideline(project=project, by=admin)
    services.save_guideline_draft(project=project, body="Be <b>.", by=admin)
    project.admin = admin
    return project


def test_members_read_what_changed_and_admins_the_draft_too(project) -> None:
    contractor, client = MembershipFactory(project=project).user, Client()
    client.force_login(contractor)
    where = f"/p/{project.slug}/guideline/"
    page = client.get(f"{where}2/changes/1/").content.decode()
    assert "Be<ins> very</ins> brief." in page
    assert f"{where}2/changes/1/" in client.get(where).content.decode()
    for address in ("0/changes/2/", "2/changes/0/", "2/changes/2/", "3/changes/1/"):
        assert client.get(where + address).status_code == 404
    client.force_login(project.admin)
    assert "&lt;" in client.get(f"{where}0/changes/2/").content.decode()


def test_who_accepted_an_earlier_version_is_led_to_the_changes(project) -> None:
    contractor, client = MembershipFactory(project=project).user, Client()
    client.force_login(contractor)
    project.guidelines.get(version=1).acceptances.create(user=contractor)
    page = client.get(f"/p/{project.slug}/guideline/").content.decode()
    assert "See what changed since version 1, which you accepted" in page
    services.accept_guideline(guideline=project.guidelines.get(version=2), user=contractor)
    assert "See what changed since" not in client.get(f"/p/{project.slug}/guideline/").content.decode()
