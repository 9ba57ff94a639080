"""Keyset pages: every row once, in both orders, and two lists beside each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict
from django.test import RequestFactory

from labeling.core.pagination import Page, paginate
from labeling.people.models import Role
from labeling.projects.models import Invitation, Membership
from labeling.quality import screening_results
from tests.factories import MembershipFactory, ProjectFactory, UserFactory
from tests.labeling.conftest import at

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return ProjectFactory()


@pytest.fixture
def keys(project) -> list[int]:
    return [MembershipFactory(project=project).pk for _ in range(5)]


def page(project, query: str = "", **settings) -> Page[Membership]:
    request = RequestFactory().get("/" + query)
    return paginate(request, Membership.objects.filter(project=project), size=2, **settings)


def walk(project, way: str, query: str = "", **settings) -> list[list[int]]:
    """The keys of every page from `query` on, following the links of one name."""
    found = []
    while True:
        now = page(project, query, **settings)
        found.append([row.pk for row in now])
        if not (query := getattr(now, way)):
            return found


def test_the_newest_come_first_unless_asked_otherwise(project, keys):
    a, b, c, d, e = keys
    assert walk(project, "older") == [[e, d], [c, b], [a]]
    assert walk(project, "newer", oldest_first=True) == [[a, b], [c, d], [e]]


def test_the_way_back_is_the_same_pages(project, keys):
    a, b, c, d, e = keys
    assert walk(project, "newer", f"?before={b}") == [[a], [c, b], [e, d]]
    assert walk(project, "older", f"?after={d}", oldest_first=True) == [[e], [c, d], [a, b]]


def test_a_first_page_that_holds_all_has_no_links(project):
    MembershipFactory(project=project)
    assert [(one.older, one.newer) for one in (page(project), page(project, oldest_first=True))] == [("", ""), ("", "")]


def test_lists_of_one_page_have_cursors_of_their_own(project, keys):
    a, b, c, d, e = keys
    query = f"?before={d}&kept-before={c}&role=admin"
    assert [row.pk for row in page(project, query)] == [c, b]
    kept = page(project, query, name="kept")
    assert [row.pk for row in kept] == [b, a]
    assert QueryDict(kept.newer[1:]).dict() == {"before": str(d), "kept-after": str(b), "role": "admin"}


def test_people_who_qualify_are_all_listed_the_longest_waiting_first(as_admin, admin):
    waiting = [
        MembershipFactory(project=admin.project, role=Role.CONTRACTOR, state="qualifying", user__name=f"New {n:02}")
        for n in range(53)
    ]
    first = as_admin.get(at("screening", admin))
    assert [place.pk for place, _ in first.context["people"]] == [place.pk for place in waiting[:50]]
    assert first.content.decode().count('rel="next"') == 1
    rest = as_admin.get(at("screening", admin) + first.context["page"].newer)
    assert [place.pk for place, _ in rest.context["people"]] == [place.pk for place in waiting[50:]]
    assert 'rel="prev"' in rest.content.decode() and 'rel="next"' not in rest.content.decode()
    assert screening_results.people(admin.project).count() == 53


def test_open_invitations_are_all_listed(as_admin, admin):
    MembershipFactory.create_batch(60, project=admin.project)
    soon = datetime.now(UTC) + timedelta(hours=1)
    Invitation.objects.bulk_create(
        Invitation(
            project=admin.project, email=f"p{n:02}@example.org", role="contractor", digest=str(n), expires_at=soon,
            invited_by=UserFactory() if n == 0 else admin.user,
        )
        for n in range(53)
    )  # fmt: skip
    first = as_admin.get(at("people", admin))
    assert [row.email for row in first.context["invitations"]][::19] == ["p52@example.org", "p33@example.org"]
    members = [row.pk for row in first.context["page"]]
    rest = as_admin.get(at("people", admin) + first.context["invitations"].older)
    assert [row.email for row in rest.context["invitations"]] == [f"p{n}@example.org" for n in range(32, 12, -1)]
    assert [row.pk for row in rest.context["page"]] == members, "the members stay where they are"
