"""The audit log: followed bit by bit, filtered, exported; sign-ins are in it."""

from __future__ import annotations

import csv

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from labeling.core import audit, chain
from labeling.core.models import Event
from labeling.core.spreadsheet import safe
from labeling.people.models import Role
from labeling.projects.models import Membership
from tests.factories import PASSWORD, MembershipFactory, UserFactory
from tests.labeling.conftest import at

pytestmark = pytest.mark.django_db


def log(place: Membership, *verbs: str) -> None:
    for verb in verbs:
        audit.record(verb, place.project, by=place.user, after={"n": 1})


def test_the_chain_is_followed_in_steps_and_then_anew(admin: Membership) -> None:
    log(admin, "a", "b", "c")
    audit.seal_events()
    total = Event.objects.count()
    assert chain.chain_state().complete_at is None
    assert chain.follow_chain(limit=total - 1) == total - 1
    assert chain.chain_state().complete_at is None
    assert chain.follow_chain(limit=total - 1) == 1
    state = chain.chain_state()
    assert (state.complete_until, state.broken_at, state.last) == (Event.objects.order_by("pk").last().pk, None, 0)


def test_a_changed_event_breaks_the_chain_and_the_page_says_where(client: Client, admin: Membership) -> None:
    log(admin, "a", "b", "c")
    audit.seal_events()
    changed = Event.objects.get(verb="b")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE core_event DISABLE TRIGGER events_are_append_only")
        cursor.execute("UPDATE core_event SET verb = 'z' WHERE id = %s", [changed.pk])
        cursor.execute("ALTER TABLE core_event ENABLE TRIGGER events_are_append_only")
    chain.follow_chain()
    assert chain.chain_state().broken_at == changed.pk
    client.force_login(admin.user)
    assert f"The chain is broken at event {changed.pk}" in client.get(at("audit", admin)).content.decode()


def test_events_are_filtered_and_stay_within_the_project(client: Client, admin: Membership) -> None:
    log(admin, "published", "published", "froze")
    other = MembershipFactory(role=Role.ADMIN)
    log(other, "published")
    client.force_login(admin.user)

    def seen(**wanted: str) -> list[str]:
        return [event.verb for event in client.get(at("audit", admin), wanted).context["page"]]

    assert seen() == ["froze", "published", "published"]
    assert seen(verb="published", actor="ada") == ["published", "published"]
    assert seen(actor="nobody") == []
    assert seen(until="2001-01-01") == []
    assert seen(since="2001-01-01", object_type="projects.project", object_id=str(admin.project_id)) == seen()
    assert seen(since="not a day") == seen()  # the form says what is wrong and filters nothing


def test_the_export_is_csv_that_runs_nothing(client: Client, admin: Membership) -> None:
    log(admin, "=cmd()")
    client.force_login(admin.user)
    answer = client.post(at("audit-export", admin))
    rows = list(csv.reader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()))
    assert rows[0][:4] == ["id", "at", "actor", "verb"]
    assert (rows[1][2], rows[1][3], rows[1][7]) == (admin.user.email, "'=cmd()", '{"n": 1}')
    assert [safe(cell) for cell in ("-1", -1, None, "plain", "@x")] == ["'-1", "-1", "", "plain", "'@x"]
    assert Event.objects.filter(verb="exported audit log").count() == 1


def test_only_admins_read_the_log(client: Client, admin: Membership) -> None:
    client.force_login(MembershipFactory(project=admin.project, role=Role.ENGINEER).user)
    assert client.get(at("audit", admin)).status_code == 403


def test_signing_in_failing_to_and_signing_out_are_events(client: Client) -> None:
    user = UserFactory()
    login = reverse("account_login")
    client.post(login, {"login": user.email, "password": "wrong"})
    client.post(login, {"login": "nobody@example.org", "password": "wrong"})
    client.post(login, {"login": user.email, "password": PASSWORD})
    client.post(reverse("account_logout"))
    told = Event.objects.filter(object_type="people.user", object_id=str(user.pk)).order_by("pk")
    assert list(told.values_list("verb", "actor")) == [
        ("failed sign-in", None), ("signed in", user.pk), ("signed out", user.pk)
    ]  # fmt: skip
    assert Event.objects.filter(verb="failed sign-in").count() == 1
