"""The language of the pages: one's own choice, this browser's choice, what the browser asks for, English."""

from __future__ import annotations

import pytest
from django.test import Client

from labeling.core.errors import BadInput
from labeling.people import services
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

LOGIN = "/account/login/"
ASKS_CHINESE = {"headers": {"accept-language": "zh-CN,zh;q=0.9"}}


def lang(response) -> str:
    return response.content.decode().partition('<html lang="')[2].partition('"')[0]


def test_strangers_read_what_their_browser_asks_for(client: Client) -> None:
    assert lang(client.get(LOGIN)) == "en"
    assert lang(client.get(LOGIN, headers={"accept-language": "de"})) == "en"
    chinese = client.get(LOGIN, **ASKS_CHINESE)
    assert lang(chinese) == chinese["Content-Language"] == "zh-hans"
    assert "登录" in chinese.content.decode()
    assert {"Accept-Language", "Cookie"} <= {part.strip() for part in chinese["Vary"].split(",")}


def test_a_stranger_chooses_for_this_browser(client: Client) -> None:
    answer = client.post("/account/language/", {"language": "zh-hans", "next": LOGIN})
    assert answer.url == LOGIN
    assert client.cookies["language"].value == "zh-hans" and client.cookies["language"]["httponly"]
    assert lang(client.get(LOGIN)) == "zh-hans"
    client.post("/account/language/", {"language": "en", "next": LOGIN})
    assert lang(client.get(LOGIN, **ASKS_CHINESE)) == "en"


def test_a_persons_choice_goes_with_them_and_can_be_left_to_the_browser(client: Client) -> None:
    person = UserFactory(language="")
    client.force_login(person)
    client.post("/account/language/", {"language": "zh-hans", "next": "/account/"})
    person.refresh_from_db()
    assert person.language == "zh-hans"
    other = Client()
    other.force_login(person)
    assert lang(other.get("/account/")) == "zh-hans"
    client.post("/account/language/", {"language": "", "next": "/account/"})
    person.refresh_from_db()
    assert person.language == "" and lang(client.get("/account/")) == "en"
    assert lang(client.get("/account/", **ASKS_CHINESE)) == "zh-hans"


def test_nobody_is_led_away_or_into_a_language_without_pages(client: Client) -> None:
    assert client.post("/account/language/", {"language": "en", "next": "https://evil.example/"}).url == "/"
    person = UserFactory()
    client.force_login(person)
    assert client.post("/account/language/", {"language": "fr"}).status_code == 400
    assert client.get("/account/language/").status_code == 405
    with pytest.raises(BadInput, match="English, 简体中文"):
        services.choose_language(user=person, language="fr")
    person.refresh_from_db()
    assert person.language == ""


def test_errors_speak_the_language_too(client: Client) -> None:
    page = client.get("/no/such/page/", **ASKS_CHINESE)
    assert page.status_code == 404 and lang(page) == "zh-hans" and "这里什么也没有" in page.content.decode()
