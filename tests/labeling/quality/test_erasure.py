"""Erasing a person: nothing says any more who they were, and nothing of their work changes."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.db import connection
from django.test import Client
from django.urls import reverse

from labeling.assignments import claim
from labeling.assignments.models import KeptDraft, Slot
from labeling.core.errors import BadInput, Conflict
from labeling.core.models import Event
from labeling.datasets import services as datasets
from labeling.datasets import write
from labeling.people import erasure
from labeling.people import services as people
from labeling.people.models import Role, User
from labeling.projects import invitations, services
from labeling.projects.models import Project, SavedView
from tests.factories import (
    PASSWORD,
    AcceptanceFactory,
    GuidelineFactory,
    MembershipFactory,
    ProjectFactory,
    UserFactory,
)
from tests.labeling.quality.submitted import comparisons, rank_next, write_next

pytestmark = pytest.mark.django_db
NAME, EMAIL, ADDRESS = "Ixchel Quetzal", "ixchel@example.org", "203.0.113.77"


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


@pytest.fixture
def admin(project: Project) -> User:
    return MembershipFactory(project=project, role=Role.ADMIN, user=UserFactory(is_staff=True)).user


@pytest.fixture
def person(project: Project, admin: User, client: Client) -> User:
    """A labeler who was invited, signed in from ADDRESS, renamed, worked, holds a task, left a draft and appealed."""
    _row, secret = invitations.invite(
        project=project, email=EMAIL, role=Role.CONTRACTOR, by=admin, languages=["sw"], pay_rate=None
    )
    user = invitations.accept_invitation(secret=secret, name=NAME, password=PASSWORD)
    client.post(reverse("account_login"), {"login": EMAIL, "password": PASSWORD}, REMOTE_ADDR=ADDRESS)
    people.rename(user=user, name=f"{NAME} the second")
    AcceptanceFactory(guideline=GuidelineFactory(project=project), user=user)
    comparisons(project, 3)
    rank_next(project, user)
    write_next(project, user, "A blue sky.")
    slot = claim.claim_slot(project=project, labeler=user, kinds=["comparison"])
    assert slot is not None
    KeptDraft.objects.create(task=slot.task, slot=slot, labeler=user, draft={"reason": f"I, {NAME}"})
    place = user.memberships.get()
    services.pause_member(membership=place, reason="Too fast.", by=admin)
    services.appeal(membership=place, text=f"{NAME} asks why.", by=user)
    SavedView.objects.create(project=project, user=user, page="reviews", name=f"{NAME}'s", query="state=waiting")
    return user


def told_anywhere(*words: str) -> list[str]:
    """The tables of the database that have one of these words in a row."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f'SELECT count(*) FROM "{table}" AS row WHERE row::text ILIKE ANY(%s)', [[f"%{w}%" for w in words]]
            )
            if cursor.fetchone()[0]:
                found.append(table)
    return found


def test_nothing_says_who_it_was_and_the_work_stays_as_it_is(
    project: Project, admin: User, person: User, client: Client
) -> None:
    assert {"people_user", "projects_invitation", "projects_membership"} <= set(told_anywhere("Quetzal", EMAIL))
    assert "usersessions_usersession" in told_anywhere(ADDRESS)
    frozen = [datasets.freeze(project=project, kind=kind, write_now=True) for kind in ("demonstrations", "rankings")]
    assert [one.rows for one in frozen] == [1, 1]
    key, held = person.memberships.get().labeler_key, Slot.objects.get(labeler=person, state="leased")
    people.deactivate(user=person, by=admin)
    erased = erasure.erase(user=person, by=admin, typed=f" {EMAIL.upper()} ")
    assert told_anywhere("Quetzal", EMAIL) == []
    assert told_anywhere(ADDRESS) == ["core_cache"], "for some minutes: how often it tried to sign in"
    assert all(write.rebuilds_identically(one) for one in frozen), "the same bytes from the same rows"
    said = "".join(path.read_text("utf-8") for one in frozen for path in write.shard_paths(one))
    assert str(key) in said and erased.memberships.get().labeler_key == key and NAME not in said and EMAIL not in said
    assert Slot.objects.filter(labeler=person, state="submitted").count() == 2
    held.refresh_from_db()
    assert (held.state, held.labeler) == ("open", None)
    assert str(erased) == f"Erased person {person.public_id.hex[:4]}"
    assert authenticate(None, email=EMAIL, password=PASSWORD) is None
    assert client.get(reverse("queue", args=[project.slug])).status_code == 302, "signed out"
    last = Event.objects.filter(verb="erased").get()
    assert (last.actor, last.object_id, last.before, last.after) == (admin, str(person.pk), {}, {})


def test_it_is_asked_for_by_address_and_happens_once(admin: User, person: User) -> None:
    for somebody in (person, admin):
        with pytest.raises(Conflict, match="Close the account first"):
            erasure.erase(user=somebody, by=admin, typed=somebody.email)
    people.deactivate(user=person, by=admin)
    with pytest.raises(BadInput, match=EMAIL):
        erasure.erase(user=person, by=admin, typed=NAME)
    person.refresh_from_db()
    assert (person.email, person.erased_at) == (EMAIL, None)
    erased = erasure.erase(user=person, by=admin, typed=EMAIL)
    with pytest.raises(Conflict):
        erasure.erase(user=erased, by=admin, typed=erased.email)
    with pytest.raises(Conflict):
        people.reactivate(user=erased, by=admin)
    again = User.objects.create_user(EMAIL, PASSWORD)
    assert again.pk != person.pk, "the address is free"


def test_platform_admins_erase_a_closed_account_on_the_persons_page(
    project: Project, admin: User, person: User, client: Client
) -> None:
    place = person.memberships.get()
    page, url = (reverse(name, args=[project.slug, place.pk]) for name in ("person", "person-erase"))
    client.force_login(admin)
    assert url not in client.get(page).content.decode(), "the account is closed first"
    people.deactivate(user=person, by=admin)
    assert url in client.get(page).content.decode()
    assert "snapshots do not change. " in client.get(url).content.decode().replace("</li>", " ")
    wrong = client.post(url, {"typed": "somebody@example.org"})
    assert wrong.status_code == 400 and EMAIL in wrong.content.decode()
    said = client.post(url, {"typed": EMAIL}, follow=True).content.decode()
    assert "The person is erased." in said and "Erased on" in said and "Quetzal" not in said
    assert url not in said and "Open the account again" not in said
