"""Lists as files: what the filters match, for whoever may see the list; every taking away is an event, none by looking."""

from __future__ import annotations

import csv

import pytest
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from labeling.core import pagination
from labeling.core.models import Event
from labeling.people.models import Role
from labeling.projects import services as projects
from labeling.projects.models import Membership, Project
from labeling.quality.models import Review
from tests.factories import MembershipFactory, UserFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks
from tests.labeling.conftest import at, signed_in
from tests.labeling.quality.submitted import sample, write_next

pytestmark = pytest.mark.django_db
EXPORTS = {
    "audit-export": ([], "exported audit log"),
    "pay-report": ([], "exported pay report"),
    "people-export": ([], "exported people"),
    "reviews-export": ([], "exported reviews"),
    "batches-export": ([], "exported tasks"),
    "prompts-export": (["jsonl"], "exported prompts"),
}


def cells(answer: StreamingHttpResponse) -> list[dict[str, str]]:
    return list(csv.DictReader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EXPORTS)
def test_taking_a_list_away_is_an_event_and_looking_is_none(as_admin: Client, admin: Membership, name: str) -> None:
    parts, verb = EXPORTS[name]
    before = Event.objects.count()
    assert as_admin.get(at(name, admin, *parts)).status_code == 405
    assert Event.objects.count() == before
    query = "?kind=demonstration&text=" if name == "batches-export" else "?text="
    assert as_admin.post(at(name, admin, *parts) + query).status_code == 200
    (event,) = Event.objects.filter(verb=verb)
    assert (event.actor, event.project_id) == (admin.user, admin.project_id)
    if name == "batches-export":
        assert event.after == {"filters": "kind=demonstration"}


@pytest.mark.parametrize("name", ["people-export", "batches-export"])
def test_who_may_not_see_a_list_cannot_take_it_away(admin: Membership, name: str) -> None:
    person = MembershipFactory(project=admin.project, role=Role.REVIEWER).user
    assert signed_in(person).post(at(name, admin)).status_code == 403
    assert not Event.objects.filter(verb__startswith="exported").exists()


def test_people_are_exported_as_filtered_and_in_short_statements(
    as_admin: Client, admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "CHUNK", 2)
    places = [MembershipFactory(project=admin.project, user=UserFactory(name=f"=Maya {n}")) for n in range(3)]
    projects.pause_member(membership=places[1], reason="On leave", by=admin.user)
    cells(as_admin.post(at("people-export", admin)))  # hours are counted once a minute
    answer = as_admin.post(at("people-export", admin) + "?role=contractor")
    with CaptureQueriesContext(connection) as queries:
        rows = cells(answer)
    assert len(queries) == 2 + 2 * 2 + 1  # two chunks, each with its scores and the hours kept, and the end
    assert [(row["name"], row["state"], row["paused because"]) for row in rows] == [
        ("'=Maya 0", "active", ""), ("'=Maya 1", "paused", "On leave"), ("'=Maya 2", "active", "")
    ]  # fmt: skip
    assert (rows[0]["labeler key"], rows[0]["account"], rows[0]["simulated"]) == (
        str(places[0].labeler_key),
        "open",
        "no",
    )


def test_reviews_are_exported_as_filtered_the_waiting_ones_unless_said(as_admin: Client, admin: Membership) -> None:
    Project.objects.filter(pk=admin.project_id).update(review_percent=100)
    ada, bob = contractor_of(admin.project, name="Ada"), contractor_of(admin.project, name="Bob")
    works = [write_next(admin.project, person) for person in (ada, bob)]
    sample(admin.project)
    Review.objects.filter(labeler=bob).update(
        state="returned", note="Too short", reviewer=admin.user, decided_at="2026-03-01T00:00Z"
    )
    (row,) = cells(as_admin.post(at("reviews-export", admin)))
    assert (row["labeler"], row["state"], row["prompt"]) == ("Ada", "waiting", works[0].prompt.summary)
    (row,) = cells(as_admin.post(at("reviews-export", admin) + "?state=returned"))
    assert (row["labeler"], row["note"], row["reviewer"]) == ("Bob", "Too short", "Ada")
    assert row["decided"] == "2026-03-01T00:00:00+00:00"


def test_batches_are_exported_with_their_counts(as_admin: Client, admin: Membership) -> None:
    open_tasks(admin.project, 3, title="First", overlap=2)
    open_tasks(admin.project, 1, title="Second", round_number=4)
    rows = cells(as_admin.post(at("batches-export", admin)))
    assert [(row["title"], row["kind"], row["round"], row["open"], row["submitted"]) for row in rows] == [
        ("First", "demonstration", "", "6", "0"), ("Second", "demonstration", "4", "1", "0")
    ]  # fmt: skip
    assert cells(as_admin.post(at("batches-export", admin) + "?state=done")) == []


@pytest.mark.parametrize(
    ("page", "query"), [("reviews", "state=any"), ("people", "role=contractor"), ("batches", "state=done")]
)
def test_filters_of_every_list_are_kept_under_a_name(
    as_admin: Client, admin: Membership, page: str, query: str
) -> None:
    shown = as_admin.get(at(page, admin) + f"?{query}").content.decode()
    assert 'name="page" value="' + page in shown
    said = {"page": page, "name": "Mine", "query": query}
    answer = as_admin.post(at("view-save", admin), said)
    assert answer["Location"] == at(page, admin) + f"?{query}"
    assert (
        f'<a href="{at(page, admin)}?{query}" aria-current="true">Mine</a>'
        in as_admin.get(answer["Location"]).content.decode()
    )
