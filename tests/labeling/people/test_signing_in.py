"""Who gets in, who does not, and what strangers can learn."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from cryptography.fernet import InvalidToken
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client

from labeling.people import services
from labeling.people.models import Role, User
from tests.factories import PASSWORD, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
LOGIN = "/account/login/"


@pytest.fixture(autouse=True)
def fresh_rate_limits(db: None) -> None:
    cache.clear()


def sign_in(client: Client, user: User, password: str = PASSWORD) -> Any:
    return client.post(LOGIN, {"login": user.email, "password": password})


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_the_right_password_gets_in_whatever_the_case_of_the_address(client: Client) -> None:
    user = UserFactory(email="Maya@Example.org")
    client.post(LOGIN, {"login": "mAYA@eXAMPLE.ORG", "password": PASSWORD})
    assert is_in(client)
    client.post("/account/logout/")
    assert not is_in(client)
    assert user.email == "maya@example.org"


def test_a_wrong_password_and_an_unknown_address_answer_alike(client: Client) -> None:
    user = UserFactory()
    bodies = []
    for login in (user.email, "nobody@example.org"):
        answer = client.post(LOGIN, {"login": login, "password": "wrong wrong wrong"})
        assert answer.status_code == 200 and not is_in(client)
        body = answer.content.decode().replace(login, "")
        bodies.append(re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", body))
    assert bodies[0] == bodies[1]


def test_a_reset_answers_alike_whether_or_not_there_is_an_account(client: Client) -> None:
    user = UserFactory()
    answers = [
        client.post("/account/password/reset/", {"email": email}) for email in (user.email, "nobody@example.org")
    ]
    assert [one.status_code for one in answers] == [302, 302] and answers[0]["Location"] == answers[1]["Location"]
    link = re.search(
        r"/account/password/reset/key/\S+", next(one.body for one in mail.outbox if one.to == [user.email])
    )
    assert link is not None
    client.get(link[0])
    page = client.get(link[0], follow=True)
    answer = client.post(
        page.redirect_chain[-1][0] if page.redirect_chain else link[0],
        {"password1": "a brand new one 42", "password2": "a brand new one 42"},
    )
    assert answer.status_code == 302
    assert sign_in(Client(), user, "a brand new one 42").status_code == 302


def test_nobody_can_register(client: Client) -> None:
    before = User.objects.count()
    for address in ("/account/signup/", "/account/email/", "/account/password/set/"):
        assert client.get(address).status_code == 404
        assert client.post(
            address, {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}
        ).status_code in {404, 405}
    assert User.objects.count() == before


def test_simulated_people_never_get_in(client: Client) -> None:
    user = UserFactory(is_simulated=True)
    sign_in(client, user)
    assert not is_in(client)
    client.force_login(user)  # even with a session
    assert not is_in(client)


def test_guessing_is_slowed_down_and_the_victim_is_not_locked_out_elsewhere(client: Client) -> None:
    user = UserFactory()
    answers = [sign_in(client, user, f"wrong guess {n}") for n in range(12)]
    assert any("Too many" in one.content.decode() or one.status_code == 429 for one in answers[5:])
    sign_in(client, user)
    assert not is_in(client)  # the guesser's next try does not count, even when right


def test_deactivation_ends_sessions_and_tokens_at_the_next_request(client: Client) -> None:
    admin = UserFactory(is_staff=True)
    place = MembershipFactory(role=Role.ENGINEER)
    sign_in(client, place.user)
    _, secret = services.create_token(user=place.user, name="t", scopes=["tasks:read"], days=1)
    url = f"/api/v1/projects/{place.project.slug}/prompts/"
    assert is_in(client) and client.get(url, HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 200
    services.deactivate(user=place.user, by=admin)
    assert not is_in(client)
    assert client.get(url, HTTP_AUTHORIZATION=f"Bearer {secret}").status_code == 401
    assert not is_in(signed := Client()) and sign_in(signed, place.user).status_code == 302 and not is_in(signed)


def test_the_back_door_uses_the_same_login(client: Client) -> None:
    assert client.get("/back-door/").status_code == 302
    assert LOGIN in client.get("/back-door/login/")["Location"]
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    for address in (
        "/back-door/",
        "/back-door/people/user/",
        "/back-door/projects/membership/",
        "/back-door/prompts/prompt/",
    ):
        assert client.get(address).status_code == 200


def second_factor(user: User) -> str:
    """Give a person an authenticator app; returns its secret."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret


@pytest.mark.parametrize(
    ("role", "sent_away"), [(Role.ADMIN, True), (Role.ENGINEER, True), (Role.REVIEWER, False), (Role.CONTRACTOR, False)]
)
def test_where_it_is_required_admins_and_engineers_need_a_second_factor(
    client: Client, settings: Any, role: Role, sent_away: bool
) -> None:
    settings.REQUIRE_MFA = True
    place = MembershipFactory(role=role)
    client.force_login(place.user)
    answer = client.get("/projects/")
    assert (answer.status_code == 302) is sent_away
    if sent_away:
        assert answer["Location"] == "/account/2fa/totp/activate/"
        assert client.get("/api/v1/schema/").status_code == 403
        second_factor(place.user)
    assert client.get("/projects/").status_code == 200


def test_platform_admins_need_one_too_and_nobody_does_where_it_is_off(client: Client, settings: Any) -> None:
    client.force_login(UserFactory(is_staff=True))
    settings.REQUIRE_MFA = False
    assert client.get("/projects/").status_code == 200
    settings.REQUIRE_MFA = True
    assert client.get("/projects/").status_code == 302


def test_a_code_is_asked_for_and_works_once(client: Client) -> None:
    user = UserFactory()
    secret = second_factor(user)
    assert sign_in(client, user)["Location"].startswith("/account/2fa/authenticate/")
    assert not is_in(client)
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    assert (
        client.post("/account/2fa/authenticate/", {"code": "000000" if code != "000000" else "111111"}).status_code
        == 200
    )
    client.post("/account/2fa/authenticate/", {"code": code})
    assert is_in(client)
    again = Client()
    sign_in(again, user)
    again.post("/account/2fa/authenticate/", {"code": code})
    assert not is_in(again)
    assert Authenticator.objects.filter(user=user).count() >= 1


@pytest.mark.parametrize(
    "address",
    [
        "login/",
        "password/reset/",
        "password/reset/done/",
        "password/reset/key/x-y/",
        "password/reset/key/done/",
        "inactive/",
    ],
)
def test_pages_for_strangers_are_ours(client: Client, address: str) -> None:
    body = client.get("/account/" + address, follow=True).content.decode()
    assert 'class="brand"' in body and "<h1>" in body and "Menu:" not in body


@pytest.mark.parametrize(
    "address",
    ["logout/", "password/change/", "reauthenticate/", "2fa/", "2fa/totp/activate/"],
)
def test_pages_of_the_account_are_ours(client: Client, address: str) -> None:
    sign_in(client, UserFactory())
    if address != "reauthenticate/":
        client.post("/account/reauthenticate/", {"password": PASSWORD})
    answer = client.get("/account/" + address)
    body = answer.content.decode()
    assert answer.status_code == 200
    assert 'class="brand"' in body and "<h1>" in body and " style=" not in body and "data:image" not in body


def test_pages_of_the_second_factor_are_ours(client: Client) -> None:
    user = UserFactory()
    sign_in(client, user)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    page = client.get("/account/2fa/totp/activate/")
    assert "<svg" in page.content.decode() and "issuer=Loop" in page.context["totp_url"]
    secret = page.context["form"].secret
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    answer = client.post("/account/2fa/totp/activate/", {"code": code}, follow=True)
    assert answer.status_code == 200 and Authenticator.objects.filter(user=user, type="totp").exists()
    for address in ("2fa/", "2fa/recovery-codes/", "2fa/recovery-codes/generate/", "2fa/totp/deactivate/"):
        body = client.get("/account/" + address).content.decode()
        assert 'class="brand"' in body and "<h1>" in body and " style=" not in body


def test_a_changed_password_signs_the_other_browsers_out(client: Client) -> None:
    user = UserFactory()
    other = Client()
    sign_in(client, user)
    sign_in(other, user)
    fresh = "another long password 7"
    said = {"oldpassword": PASSWORD, "password1": fresh, "password2": fresh}
    assert client.post("/account/password/change/", said).status_code == 302
    assert is_in(client) and not is_in(other)


def test_limits_hold_for_all_web_processes_together(client: Client) -> None:
    with connection.cursor() as cursor:
        for _ in range(2):
            sign_in(client, UserFactory(), "a wrong guess")
        cursor.execute("SELECT count(*) FROM core_cache")
        assert cursor.fetchone()[0] > 0


def test_a_copy_of_the_database_makes_no_codes_and_keys_can_rotate(client: Client, settings: Any) -> None:
    user = UserFactory()
    secret = second_factor(user)
    kept = Authenticator.objects.get(user=user, type="totp")
    assert secret not in str(kept.data)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 60, [settings.SECRET_KEY]
    assert kept.wrap().validate_code(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(InvalidToken):
        kept.wrap().validate_code("000000")
