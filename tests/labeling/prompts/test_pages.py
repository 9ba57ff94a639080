"""Pages and API of prompts."""

from __future__ import annotations

import io
import json

import pytest
from django.test import Client
from django.urls import reverse

from labeling.people import services as people
from labeling.people.models import Role
from labeling.projects.models import Membership
from labeling.prompts.models import Prompt, PromptImport
from tests.factories import MembershipFactory, PromptFactory
from tests.labeling.conftest import at

pytestmark = pytest.mark.django_db


def test_an_upload_leads_to_its_report(as_admin: Client, admin: Membership) -> None:
    file = io.BytesIO(b'{"prompt": "What is rain?"}\n{"prompt": "What is snow?"}\n')
    file.name = "prompts.jsonl"
    answer = as_admin.post(at("prompts-import", admin), {"file": file, "text": "", "fmt": ""}, follow=True)
    assert answer.status_code == 200
    assert "2 of 2 prompts came in" in answer.content.decode()
    assert Prompt.objects.filter(project=admin.project).count() == 2
    assert PromptImport.objects.get().source == "prompts.jsonl"


def test_bad_lines_are_listed_beside_the_form(as_admin: Client, admin: Membership) -> None:
    text = '{"prompt": "ok"}\n{"promt": "typo"}\n'
    answer = as_admin.post(at("prompts-import", admin), {"text": text, "fmt": "jsonl"})
    assert answer.status_code == 400
    body = answer.content.decode()
    assert "<code>promt</code>" in body and "nothing was imported" in body and "typo" in body
    assert not Prompt.objects.exists()


@pytest.mark.parametrize("data", [{"text": "", "fmt": ""}, {"text": "   ", "fmt": "csv"}])
def test_nothing_to_import_is_said_on_the_form(as_admin: Client, admin: Membership, data: dict[str, str]) -> None:
    answer = as_admin.post(at("prompts-import", admin), data)
    assert answer.status_code == 400
    assert "Choose a file or paste some lines." in answer.content.decode()


def test_a_file_of_unknown_ending_asks_for_the_format(as_admin: Client, admin: Membership) -> None:
    file = io.BytesIO(b"x")
    file.name = "prompts.xlsx"
    answer = as_admin.post(at("prompts-import", admin), {"file": file, "fmt": ""})
    assert answer.status_code == 400 and "choose JSONL or CSV" in answer.content.decode()


def test_filters_and_pages_keep_each_other(as_admin: Client, admin: Membership) -> None:
    PromptFactory.create_batch(60, project=admin.project, category="poem")
    other = PromptFactory(project=admin.project, category="code", text='Say "hi" to Ünal')
    foreign = PromptFactory(category="poem")
    first = as_admin.get(at("prompts", admin), {"category": "poem"})
    rows = first.context["page"].rows
    assert len(rows) == 50 and other not in rows and foreign not in rows
    assert "category=poem" in first.context["page"].older
    second = as_admin.get(at("prompts", admin) + first.context["page"].older)
    assert len(second.context["page"].rows) == 10
    assert not set(rows) & set(second.context["page"].rows)
    found = as_admin.get(at("prompts", admin), {"text": '"HI" to ünal'})
    assert found.context["page"].rows == [other]


def test_a_prompt_is_shown_without_running_what_is_in_it(as_admin: Client, admin: Membership) -> None:
    prompt = PromptFactory(
        project=admin.project, text="<script>alert(1)</script> <img src=x onerror=alert(1)> **bold**"
    )
    body = as_admin.get(at("prompt", admin, prompt.public_id)).content.decode()
    assert "<script>alert" not in body and "<img" not in body
    assert "<strong>bold</strong>" in body


def test_withdraw_and_restore_ask_first(as_admin: Client, admin: Membership) -> None:
    prompt = PromptFactory(project=admin.project)
    url = at("prompt-withdraw", admin, prompt.public_id)
    assert "0 tasks" in as_admin.get(url).content.decode()
    prompt.refresh_from_db()
    assert prompt.state == "active"
    as_admin.post(url)
    prompt.refresh_from_db()
    assert prompt.state == "withdrawn"
    assert as_admin.post(url).status_code == 409
    as_admin.post(at("prompt-restore", admin, prompt.public_id))
    prompt.refresh_from_db()
    assert prompt.state == "active"


@pytest.mark.parametrize(
    ("role", "read", "write"), [(Role.CONTRACTOR, 403, 403), (Role.REVIEWER, 403, 403), (Role.ENGINEER, 200, 403)]
)
def test_who_may_see_and_change_prompts(client: Client, role: Role, read: int, write: int) -> None:
    place = MembershipFactory(role=role)
    prompt = PromptFactory(project=place.project)
    client.force_login(place.user)
    assert client.get(at("prompts", place)).status_code == read
    assert client.get(at("prompt", place, prompt.public_id)).status_code == read
    assert client.get(at("prompts-import", place)).status_code == write
    assert client.post(at("prompt-withdraw", place, prompt.public_id)).status_code == write
    prompt.refresh_from_db()
    assert prompt.state == "active"


def test_prompts_of_another_project_do_not_exist(as_admin: Client, admin: Membership) -> None:
    foreign = PromptFactory()
    assert as_admin.get(at("prompt", admin, foreign.public_id)).status_code == 404
    assert as_admin.post(at("prompt-withdraw", admin, foreign.public_id)).status_code == 404
    assert as_admin.get(reverse("prompts", args=[foreign.project.slug])).status_code == 404


# ---- API


def token(place: Membership, *scopes: str) -> dict[str, str]:
    _, secret = people.create_token(user=place.user, name="test", scopes=list(scopes), days=1)
    return {"HTTP_AUTHORIZATION": f"Bearer {secret}"}


def test_the_api_imports_and_lists(client: Client, admin: Membership) -> None:
    key = token(admin, "prompts:write", "tasks:read")
    body = {"prompts": [{"prompt": "What is rain?", "owner": "c-1"}, {"prompt": "what is rain?"}], "source": "crm"}
    answer = client.post(at("api-prompts-import", admin), json.dumps(body), content_type="application/json", **key)
    assert answer.status_code == 201
    assert answer.json()["report"]["accepted"] == answer.json()["report"]["duplicates_exact"] == 1
    listed = client.get(at("api-prompts", admin), {"owner": "c-1"}, **key).json()
    assert [one["messages"] for one in listed["prompts"]] == [[{"role": "user", "content": "What is rain?"}]]
    assert listed["prompts"][0]["id"] == str(Prompt.objects.get().public_id)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"prompts": [{"prompt": "ok"}, {"prompt": ""}]}, {"code": "bad_input", "field": "prompts"}),
        ({"prompts": [], "source": "x"}, {"code": "bad_input"}),
        ({"prompts": [{"prompt": "ok"}], "sauce": "x"}, {"code": "bad_input"}),
        ({"prompts": "hello"}, {"code": "bad_input"}),
        ([], {"code": "bad_input"}),
    ],
)
def test_the_api_refuses_bad_bodies(client: Client, admin: Membership, body: object, said: dict[str, str]) -> None:
    key = token(admin, "prompts:write")
    answer = client.post(at("api-prompts-import", admin), json.dumps(body), content_type="application/json", **key)
    assert answer.status_code == 400
    assert said.items() <= answer.json().items()
    assert not Prompt.objects.exists()


def test_the_api_names_bad_rows_and_unknown_filters(client: Client, admin: Membership) -> None:
    key = token(admin, "prompts:write", "tasks:read")
    body = json.dumps({"prompts": [{"prompt": "ok"}, {"prompt": "a", "kind": "odd"}]})
    answer = client.post(at("api-prompts-import", admin), body, content_type="application/json", **key)
    assert [(one["line"], one["field"]) for one in answer.json()["errors"]] == [(2, "kind")]
    assert client.get(at("api-prompts", admin), {"splitt": "test"}, **key).json()["field"] == "splitt"
    assert client.get(at("api-prompts", admin), {"split": "dev"}, **key).json()["field"] == "split"


def test_the_api_wants_credentials_scope_role_and_project(client: Client, admin: Membership) -> None:
    url, body = at("api-prompts-import", admin), json.dumps({"prompts": [{"prompt": "x"}]})
    assert client.post(url, body, content_type="application/json").status_code == 401
    read_only = token(admin, "tasks:read")
    assert client.post(url, body, content_type="application/json", **read_only).status_code == 403
    engineer = MembershipFactory(project=admin.project, role=Role.ENGINEER)
    assert (
        client.post(url, body, content_type="application/json", **token(engineer, "prompts:write")).status_code == 403
    )
    stranger = MembershipFactory(role=Role.ADMIN)
    assert (
        client.post(url, body, content_type="application/json", **token(stranger, "prompts:write")).status_code == 404
    )
    assert not Prompt.objects.exists()
