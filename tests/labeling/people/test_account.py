"""The account page: name, browsers, tokens."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from labeling.core.errors import BadInput, NotAllowed, NotFound
from labeling.core.models import Event
from labeling.people import services
from labeling.people.browsers import browser_name
from labeling.people.models import ApiToken, Role, User
from labeling.projects.models import Membership
from tests.factories import PASSWORD, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_rate_limits(db: None) -> None:
    cache.clear()


@pytest.fixture
def engineer() -> Membership:
    return MembershipFactory(role=Role.ENGINEER)


def signed_in(user: User) -> Client:
    client = Client()
    client.post("/account/login/", {"login": user.email, "password": PASSWORD})
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    return client


def test_the_name_is_saved_and_blank_ones_are_refused(client: Client) -> None:
    user = UserFactory(name="Old")
    client.force_login(user)
    assert client.post("/account/", {"name": "  New   Name "}).status_code == 302
    user.refresh_from_db()
    assert user.name == "New Name"
    assert client.post("/account/", {"name": " "}).status_code == 400
    user.refresh_from_db()
    assert user.name == "New Name"


def test_browsers_are_listed_and_others_can_be_signed_out() -> None:
    user = UserFactory()
    here, there = signed_in(user), signed_in(user)
    listed = [entry for entry, _ in here.get("/account/").context["sessions"]]
    assert len(listed) == 2 and listed[0].session_key == here.session.session_key
    assert here.post(f"/account/browsers/{listed[1].pk}/end/").status_code == 302
    assert there.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200


def test_nobody_ends_another_persons_browser(client: Client) -> None:
    victim = UserFactory()
    theirs = signed_in(victim)
    entry, _ = theirs.get("/account/").context["sessions"][0]
    client.force_login(UserFactory())
    assert client.post(f"/account/browsers/{entry.pk}/end/").status_code == 404
    assert theirs.get("/account/").status_code == 200


def test_a_token_is_shown_once_and_only_its_hash_is_kept(engineer: Membership) -> None:
    client = signed_in(engineer.user)
    answer = client.post("/account/tokens/new/", {"name": "nightly", "scopes": ["tasks:read"], "days": 30})
    found = re.search(r"hf_[0-9a-f]{8}_[\w-]{43}", answer.content.decode())
    assert found is not None
    secret = found[0]
    token = ApiToken.objects.get()
    assert token.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in client.get("/account/").content.decode()
    assert "no-store" in answer["Cache-Control"]
    with connection.cursor() as cursor:  # what a dump would hold
        cursor.execute(
            "SELECT row_to_json(t)::text FROM people_apitoken t UNION ALL SELECT row_to_json(e)::text FROM core_event e"
        )
        dump = "".join(row[0] for row in cursor.fetchall())
    assert secret.rsplit("_", 1)[1] not in dump and secret[12:] not in dump


def test_making_a_token_asks_for_the_password_again(client: Client, engineer: Membership) -> None:
    client.force_login(engineer.user)
    answer = client.post("/account/tokens/new/", {"name": "n", "scopes": ["tasks:read"], "days": 30})
    assert answer.status_code == 302 and "/account/reauthenticate/" in answer["Location"]
    assert client.post(answer["Location"], {"password": "not the password"}).status_code == 200
    assert not ApiToken.objects.exists()
    assert "hf_" in client.post(answer["Location"], {"password": PASSWORD}).content.decode()  # goes on where it stopped
    assert ApiToken.objects.count() == 1


def test_people_who_only_label_get_no_tokens() -> None:
    contractor = MembershipFactory(role=Role.CONTRACTOR)
    with pytest.raises(NotAllowed):
        services.create_token(user=contractor.user, name="n", scopes=["tasks:read"], days=1)
    client = signed_in(contractor.user)
    assert client.post("/account/tokens/new/", {"name": "n", "scopes": ["tasks:read"], "days": 1}).status_code == 403
    assert "API tokens" not in client.get("/account/").content.decode()
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("scopes", "days", "field"),
    [([], 1, "scopes"), (["all"], 1, "scopes"), (["tasks:read"], 91, "days"), (["tasks:read"], 0, "days")],
)
def test_bad_tokens_are_refused(engineer: Membership, scopes: list[str], days: int, field: str) -> None:
    with pytest.raises(BadInput) as problem:
        services.create_token(user=engineer.user, name="n", scopes=scopes, days=days)
    assert problem.value.field == field and not ApiToken.objects.exists()


def test_revoked_expired_and_wrong_tokens_do_not_work(client: Client, engineer: Membership) -> None:
    url = f"/api/v1/projects/{engineer.project.slug}/prompts/"
    token, secret = services.create_token(user=engineer.user, name="n", scopes=["tasks:read"], days=1)

    def status(value: str) -> int:
        return client.get(url, HTTP_AUTHORIZATION=f"Bearer {value}").status_code

    assert status(secret) == 200
    assert ApiToken.objects.get().last_used_at is not None
    for wrong in (secret[:-1] + ("A" if secret[-1] != "A" else "B"), secret[:11], "hf_x_y", "", token.digest):
        assert status(wrong) == 401, wrong
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert status(secret) == 401
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    services.revoke_token(user=engineer.user, token_id=token.pk)
    assert status(secret) == 401
    assert client.get(url + f"?token={secret}").status_code == 401


def test_a_token_of_somebody_else_cannot_be_revoked(engineer: Membership) -> None:
    token, _ = services.create_token(user=engineer.user, name="n", scopes=["tasks:read"], days=1)
    with pytest.raises(NotFound):
        services.revoke_token(user=UserFactory(), token_id=token.pk)
    assert signed_in(UserFactory()).post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


def test_revoking_asks_first(engineer: Membership) -> None:
    token, _ = services.create_token(user=engineer.user, name="nightly", scopes=["tasks:read"], days=1)
    client = signed_in(engineer.user)
    assert "never used" in client.get(f"/account/tokens/{token.pk}/revoke/").content.decode()
    token.refresh_from_db()
    assert token.revoked_at is None
    client.post(f"/account/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_a_token_never_does_more_than_its_owners_role(client: Client, engineer: Membership) -> None:
    _, secret = services.create_token(user=engineer.user, name="n", scopes=["tasks:read"], days=1)
    engineer.role = Role.CONTRACTOR
    engineer.save(update_fields=["role"])
    url = f"/api/v1/projects/{engineer.project.slug}/prompts/"
    assert client.get(url, HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 403


def test_a_token_is_no_session(client: Client, engineer: Membership) -> None:
    _, secret = services.create_token(user=engineer.user, name="n", scopes=["tasks:read"], days=1)
    assert client.get("/account/", HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 302


def test_nobody_deactivates_themselves() -> None:
    user = UserFactory(is_staff=True)
    with pytest.raises(NotAllowed):
        services.deactivate(user=user, by=user)
    user.refresh_from_db()
    assert user.is_active


def test_reactivation_lets_in_again_but_tokens_stay_dead(engineer: Membership) -> None:
    admin = UserFactory(is_staff=True)
    services.create_token(user=engineer.user, name="n", scopes=["tasks:read"], days=1)
    services.deactivate(user=engineer.user, by=admin)
    services.reactivate(user=engineer.user, by=admin)
    assert signed_in(engineer.user).get("/account/").status_code == 200
    assert ApiToken.objects.get().revoked_at is not None
    verbs = list(Event.objects.filter(actor=admin).values_list("verb", flat=True))
    assert sorted(verbs) == ["deactivated", "reactivated"]


def test_the_first_person_comes_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, email="root@example.org", verbosity=0)
    user = User.objects.get(email="root@example.org")
    assert user.is_staff and user.is_superuser
    assert signed_in(user).get("/account/").status_code == 200


def test_addresses_are_unique_whatever_their_case() -> None:
    from django.db import IntegrityError

    UserFactory(email="a@example.org")
    with pytest.raises(IntegrityError, match="one_user_per_email"):
        UserFactory(email="A@Example.org")


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
            "Chrome on Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.1", "curl/8.1"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_are_called_what_people_call_them(agent: str, name: str) -> None:
    assert browser_name(agent) == name
