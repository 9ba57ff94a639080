"""Error pages say what to do, and every page carries the policy that stops foreign code."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path

from labeling.core.errors import BadInput, Conflict
from labeling.urls import urlpatterns as real
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def refuse(request: HttpRequest) -> HttpResponse:
    raise Conflict("Somebody else was faster: take the next one.")


def wrong(request: HttpRequest) -> HttpResponse:
    raise BadInput("K is 2 to 9.", field="k", errors=[{"line": 3, "field": "k", "detail": "twelve"}])


def crash(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("secret detail")


urlpatterns = [path("refuse", refuse), path("wrong", wrong), path("crash", crash), *real]
handler500 = "labeling.core.views.server_error"
handler404 = "labeling.core.views.not_found"
here = override_settings(ROOT_URLCONF=__name__)


@here
def test_our_errors_become_a_page_or_json(client: Client) -> None:
    page = client.get("/refuse")
    assert page.status_code == 409
    assert "Somebody else was faster" in page.content.decode() and "That is not possible now" in page.content.decode()
    data = client.get("/refuse", headers={"Accept": "application/json"})
    assert data.json() == {"detail": "Somebody else was faster: take the next one.", "code": "conflict"}


@here
def test_a_wrong_field_is_named_with_its_line(client: Client) -> None:
    body = client.get("/wrong").content.decode()
    assert "Line 3, <code>k</code>: twelve" in body and "<code>k</code>" in body


@here
def test_a_crash_shows_a_number_and_no_detail(client: Client) -> None:
    client.raise_request_exception = False
    answer = client.get("/crash")
    assert answer.status_code == 500
    body = answer.content.decode()
    assert "secret detail" not in body and answer["X-Request-Id"] in body


@here
def test_a_crash_page_asks_the_database_nothing(client: Client, django_assert_num_queries: object) -> None:
    from labeling.core.views import server_error

    request = RequestFactory().get("/")
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert server_error(request).status_code == 500


def test_unknown_addresses_get_our_page(client: Client) -> None:
    answer = client.get("/no/such/page")
    assert answer.status_code == 404 and "There is nothing here" in answer.content.decode()


def test_a_form_without_token_gets_our_page() -> None:
    answer = Client(enforce_csrf_checks=True).post("/account/login/", {"login": "a@b.example", "password": "x"})
    assert answer.status_code == 403 and "open for too long" in answer.content.decode()


def test_every_page_carries_the_policy_and_no_inline_code(client: Client) -> None:
    client.force_login(UserFactory())
    for address in ("/projects/", "/account/", "/no/such/page"):
        answer = client.get(address)
        policy = answer["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy
        assert "camera=()" in answer["Permissions-Policy"]
        body = answer.content.decode()
        assert " style=" not in body and " onclick=" not in body and "<style" not in body
        assert body.count("<script") == body.count("<script src=") + body.count('<script type="module" src=')


def test_pages_of_people_are_never_cached(client: Client) -> None:
    client.force_login(UserFactory())
    assert "no-store" in client.get("/projects/")["Cache-Control"]


def test_keyset_pages_survive_nonsense(client: Client) -> None:
    from labeling.core.pagination import paginate
    from labeling.people.models import User

    UserFactory.create_batch(3)
    for query in ("?before=abc", "?after=-1", "?before=99999999999999999999", "?before=²"):
        rows = paginate(RequestFactory().get("/" + query), User.objects.all(), size=2).rows
        assert len(rows) == 2
