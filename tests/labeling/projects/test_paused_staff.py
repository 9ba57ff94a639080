"""Paused reviewers, engineers and admins open nothing, by page or by token, but where they can appeal."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from labeling.people import services as people
from labeling.people.models import Role
from labeling.projects import services
from labeling.projects.models import Membership
from tests.factories import MembershipFactory, RunFactory
from tests.labeling.conftest import at, signed_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "page"), [(Role.REVIEWER, "reviews"), (Role.ENGINEER, "prompts"), (Role.ADMIN, "people")]
)
def test_paused_staff_are_led_to_the_appeal_and_back_in_when_reinstated(
    admin: Membership, role: Role, page: str
) -> None:
    place = MembershipFactory(project=admin.project, role=role)
    services.pause_member(membership=place, reason="On leave", by=admin.user)
    browser = signed_in(place.user)
    for answer in (browser.get(at(page, place)), browser.post(at(page, place))):
        assert (answer.status_code, answer.headers.get("Location")) == (302, at("appeal", place))
    shown = browser.get(at("appeal", place)).content.decode()
    assert "On leave" in shown and at(page, place) not in shown
    assert browser.post(at("appeal", place), {"text": "I am back."}).status_code == 302
    services.resume_member(membership=place, by=admin.user)
    assert browser.get(at(page, place)).status_code == 200


def test_a_paused_admin_cannot_reinstate_themselves(admin: Membership) -> None:
    other = MembershipFactory(project=admin.project, role=Role.ADMIN)
    services.pause_member(membership=other, reason="On leave", by=admin.user)
    signed_in(other.user).post(at("person-resume", other, other.pk))
    other.refresh_from_db()
    assert other.state == "paused"


def test_their_tokens_reach_nothing_of_the_project(admin: Membership) -> None:
    place = MembershipFactory(project=admin.project, role=Role.ENGINEER)
    MembershipFactory(user=place.user, role=Role.ENGINEER)  # elsewhere they are at work
    run = RunFactory(project=admin.project)
    _, secret = people.create_token(user=place.user, name="n", scopes=["runs:read", "tasks:read"], days=1)
    slug = admin.project.slug
    urls = [f"/api/v1/projects/{slug}/runs/", f"/api/v1/runs/{run.pk}/", f"/api/v1/projects/{slug}/tasks/"]
    asked = {"headers": {"Authorization": f"Bearer {secret}"}}
    assert [Client().get(url, **asked).status_code for url in urls] == [200, 200, 200]
    services.pause_member(membership=place, reason="On leave", by=admin.user)
    refused = [Client().get(url, **asked) for url in urls]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(403, "paused")] * 3
    assert "On leave" in refused[0].json()["detail"]


def test_paused_contractors_keep_their_own_pages(admin: Membership) -> None:
    place = MembershipFactory(project=admin.project)
    services.pause_member(membership=place, reason="On leave", by=admin.user)
    browser = signed_in(place.user)
    assert [browser.get(at(name, place)).status_code for name in ("queue", "own-work", "own-hours")] == [200] * 3


def test_the_confirmation_says_what_a_pause_means_for_this_role(as_admin: Client, admin: Membership) -> None:
    told = {}
    for role in (Role.CONTRACTOR, Role.ENGINEER):
        place = MembershipFactory(project=admin.project, role=role)
        told[role] = as_admin.get(reverse("person-pause", args=[admin.project.slug, place.pk])).content.decode()
    assert "They get no new work." in told[Role.CONTRACTOR] and "API tokens" not in told[Role.CONTRACTOR]
    assert "They and their API tokens can open nothing of this project." in told[Role.ENGINEER]
