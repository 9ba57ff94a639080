"""Invitations: hashed, for one address, used once, 72 hours at most."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone, translation

from labeling.core.errors import BadInput, Conflict, LoopError, NotAllowed, NotFound
from labeling.people.models import User
from labeling.projects import services
from labeling.projects.models import Invitation, Membership, Project
from tests.factories import PASSWORD, MembershipFactory, ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db
NEW = {"name": "Maya Okafor", "password": PASSWORD}


def invite(
    project: Project | None = None, email: str = "maya@example.org", role: str = "contractor"
) -> tuple[Invitation, str]:
    return services.invite(project=project or ProjectFactory(), email=email, role=role, by=UserFactory())


def test_the_secret_is_not_in_the_database() -> None:
    invitation, secret = invite()
    assert len(secret) >= 43
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_to_json(i)::text FROM projects_invitation i UNION ALL SELECT row_to_json(e)::text FROM core_event e"
        )
        assert secret not in "".join(row[0] for row in cursor.fetchall())
    assert timezone.now() + timedelta(hours=71) < invitation.expires_at <= timezone.now() + timedelta(hours=72)


def test_an_invitation_makes_an_account_in_the_project() -> None:
    invitation, secret = invite(role="engineer")
    user = services.accept_invitation(secret=secret, **NEW)
    assert (user.email, user.name, user.is_staff) == ("maya@example.org", "Maya Okafor", False)
    assert user.check_password(PASSWORD)
    place = Membership.objects.get(user=user)
    assert (place.project, place.role, place.state) == (invitation.project, "engineer", "active")


def test_it_works_once() -> None:
    _, secret = invite()
    services.accept_invitation(secret=secret, **NEW)
    before = User.objects.count()
    with pytest.raises(NotFound):
        services.accept_invitation(secret=secret, name="Eve", password=PASSWORD)
    assert User.objects.count() == before and Membership.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_account() -> None:
    _, secret = invite()
    barrier, results = threading.Barrier(2), []

    def accept(name: str) -> None:
        barrier.wait()
        try:
            services.accept_invitation(secret=secret, name=name, password=PASSWORD)
            results.append("in")
        except LoopError:
            results.append("out")
        finally:
            connection.close()

    threads = [threading.Thread(target=accept, args=(name,)) for name in ("One", "Two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["in", "out"]
    assert User.objects.filter(email="maya@example.org").count() == Membership.objects.count() == 1


def test_wrong_old_used_and_withdrawn_links_answer_alike(client: Client) -> None:
    project = ProjectFactory()
    old, old_secret = invite(project, "old@example.org")
    Invitation.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    gone, gone_secret = invite(project, "gone@example.org")
    services.revoke_invitation(invitation=gone, by=UserFactory())
    _, used_secret = invite(project, "used@example.org")
    services.accept_invitation(secret=used_secret, **NEW)
    bodies = set()
    for secret in (old_secret, gone_secret, used_secret, "never-existed"):
        with pytest.raises(NotFound):
            services.accept_invitation(secret=secret, **NEW)
        answer = client.get(f"/invitation/{secret}/")
        assert answer.status_code == 404
        bodies.add(answer.content.decode())
    assert len(bodies) == 1


def test_a_second_invitation_ends_the_first() -> None:
    project = ProjectFactory()
    _, first = invite(project)
    _, second = invite(project, "MAYA@example.org")
    with pytest.raises(NotFound):
        services.accept_invitation(secret=first, **NEW)
    services.accept_invitation(secret=second, **NEW)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": " ", "password": PASSWORD}, "name"),
        ({"name": "Maya", "password": "short"}, "password"),
        ({"name": "Maya", "password": "password1234"}, "password"),
        ({"name": "Maya", "password": "maya@example.org"}, "password"),
    ],
)
def test_a_weak_password_leaves_the_invitation_open(said: dict[str, str], field: str) -> None:
    _, secret = invite()
    with pytest.raises(BadInput) as problem:
        services.accept_invitation(secret=secret, **said)
    assert problem.value.field == field
    assert not User.objects.filter(email="maya@example.org").exists() and not Membership.objects.exists()
    services.accept_invitation(secret=secret, **NEW)


def test_a_short_password_is_refused_in_the_readers_language() -> None:
    _, secret = invite()
    with translation.override("zh-hans"), pytest.raises(BadInput) as problem:
        services.accept_invitation(secret=secret, name="Maya", password="short")
    assert problem.value.detail == "密码太短：请至少使用 12 个字符。"


def test_an_account_that_exists_joins_only_when_signed_in_as_itself() -> None:
    known = UserFactory(email="maya@example.org")
    _, secret = invite()
    for user in (None, UserFactory()):
        with pytest.raises(NotAllowed, match="sign in"):
            services.accept_invitation(secret=secret, user=user, name="Eve", password="another long password")
    known.refresh_from_db()
    assert known.check_password(PASSWORD) and not Membership.objects.exists()
    assert services.accept_invitation(secret=secret, user=known) == known
    assert Membership.objects.get().user == known


def test_bad_invitations_are_refused() -> None:
    project = ProjectFactory()
    place = MembershipFactory(project=project)
    with pytest.raises(BadInput):
        invite(project, "no address")
    with pytest.raises(BadInput):
        invite(project, role="owner")
    with pytest.raises(Conflict, match="already"):
        invite(project, place.user.email.upper())
    assert not Invitation.objects.exists()


def test_a_used_invitation_cannot_be_withdrawn() -> None:
    invitation, secret = invite()
    services.accept_invitation(secret=secret, **NEW)
    with pytest.raises(Conflict):
        services.revoke_invitation(invitation=invitation, by=UserFactory())


def test_from_the_link_to_the_first_page(client: Client) -> None:
    _, secret = invite()
    assert "maya@example.org" in client.get(f"/invitation/{secret}/").content.decode()
    assert client.post(f"/invitation/{secret}/", {"name": "Maya", "password": "short"}).status_code == 400
    assert client.post(f"/invitation/{secret}/", NEW)["Location"] == "/account/login/"
    client.post("/account/login/", {"login": "maya@example.org", "password": PASSWORD})
    assert "Project" in client.get("/projects/").content.decode()


def test_looking_at_the_link_uses_nothing_up(client: Client) -> None:
    _, secret = invite()
    for _ in range(3):
        assert client.get(f"/invitation/{secret}/").status_code == 200
    assert Invitation.objects.get().accepted_at is None
