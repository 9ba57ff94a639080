"""Many prompts at once: change, export, saved views, quarantine."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from labeling.core import pagination
from labeling.core.errors import BadInput, Conflict
from labeling.core.models import Event
from labeling.people.models import Role
from labeling.projects.models import Membership, SavedView
from labeling.prompts import bulk, quarantine, selectors
from labeling.prompts.models import Prompt
from labeling.prompts.services import import_prompts
from tests.factories import MembershipFactory, PromptFactory, UserFactory
from tests.labeling.conftest import at

pytestmark = pytest.mark.django_db


def bring(place: Membership, *rows: dict[str, object]) -> list[Prompt]:
    import_prompts(project=place.project, lines=rows, fmt="objects", by=place.user, source="test")
    return list(Prompt.objects.filter(project=place.project).order_by("pk"))


# ---- bulk


def test_a_bulk_change_says_counts_first_and_touches_only_what_needs_it(as_admin: Client, admin: Membership) -> None:
    rows = PromptFactory.create_batch(3, project=admin.project, category="maths")
    PromptFactory(project=admin.project, category="maths", state="withdrawn")
    other = PromptFactory(category="maths")
    url = at("prompts-bulk", admin) + "?action=withdraw&scope=all&category=maths"
    asked = as_admin.get(url).content.decode()
    assert "4 prompts are chosen." in asked and "3 of them will change." in asked
    assert Prompt.objects.filter(state="withdrawn").count() == 1
    answer = as_admin.post(url)
    assert answer["Location"].endswith("/prompts/?category=maths")
    assert set(Prompt.objects.filter(state="withdrawn", project=admin.project).values_list("pk", flat=True)) >= {
        row.pk for row in rows
    }
    other.refresh_from_db()
    assert other.state == "active"
    event = Event.objects.get(verb="withdraw prompts")
    assert (event.after["prompts"], event.after["state"], len(event.after["first"])) == (3, "withdrawn", 3)


def test_ticked_prompts_get_a_category(as_admin: Client, admin: Membership) -> None:
    one, two, left = PromptFactory.create_batch(3, project=admin.project)
    url = at("prompts-bulk", admin) + f"?action=categorise&id={one.pk}&id={two.pk}&id=x"
    assert as_admin.post(url, {"category": "x" * 61}).status_code == 400
    as_admin.post(url, {"category": " travel "})
    got = dict(Prompt.objects.filter(project=admin.project).values_list("pk", "category"))
    assert got == {one.pk: "travel", two.pk: "travel", left.pk: ""}


def test_a_wrong_filter_refuses_to_act_where_it_would_match_everything(as_admin: Client, admin: Membership) -> None:
    PromptFactory(project=admin.project, category="maths")
    for name, parts in (("prompts-bulk", []), ("prompts-export", ["jsonl"])):
        url = at(name, admin, *parts) + "?action=withdraw&scope=all&category=renamed"
        answer = as_admin.post(url, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["field"]) == (400, "category")
    assert as_admin.get(at("prompts", admin) + "?category=renamed").status_code == 200
    assert Prompt.objects.get().state == "active"
    assert not Event.objects.exists()


def test_nothing_is_changed_by_an_unknown_action_or_an_engineer(client: Client, admin: Membership) -> None:
    PromptFactory(project=admin.project)
    with pytest.raises(BadInput):
        bulk.change(project=admin.project, rows=Prompt.objects.all(), action="delete", by=admin.user)
    engineer = MembershipFactory(project=admin.project, role=Role.ENGINEER)
    client.force_login(engineer.user)
    assert client.post(at("prompts-bulk", admin) + "?action=withdraw&scope=all").status_code == 403
    assert Prompt.objects.get().state == "active"


# ---- export


@pytest.mark.parametrize("fmt", ["jsonl", "csv"])
def test_an_export_is_imported_again_as_it_was(as_admin: Client, admin: Membership, fmt: str) -> None:
    turns = [{"role": "user", "content": 'Say "a, b"\nplease'}]
    bring(
        admin,
        {"messages": turns, "owner": "=c-1", "category": "@maths", "kind": "few_shot", "metadata": {"n": 1}},
        {"prompt": "What is rain?", "split": "test"},
        {"prompt": "Write to a@b.example"},
    )
    answer = as_admin.post(at("prompts-export", admin, fmt))
    assert answer["Content-Disposition"].endswith(f'prompts.{fmt}"')
    text = b"".join(answer.streaming_content).decode()
    assert (",'@maths,'=c-1," in text) == (fmt == "csv")  # nothing that a spreadsheet would run
    again = MembershipFactory(role=Role.ADMIN)
    report = import_prompts(
        project=again.project, lines=text.splitlines(keepends=True), fmt=fmt, by=again.user, source="again"
    ).report
    assert (report["rows"], report["accepted"]) == (2, 2)  # what is in quarantine stays behind
    same = ("messages", "kind", "category", "owner_key", "split", "content_hash")
    first, second = (
        list(Prompt.objects.filter(project=place.project, state="active").order_by("pk").values(*same))
        for place in (admin, again)
    )
    assert first == second


def test_an_export_follows_the_filters_and_reads_in_chunks(
    as_admin: Client, admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "CHUNK", 2)
    PromptFactory.create_batch(5, project=admin.project, category="maths")
    PromptFactory(project=admin.project)
    answer = as_admin.post(at("prompts-export", admin, "jsonl") + "?category=maths")
    with CaptureQueriesContext(connection) as queries:
        lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [json.loads(line)["category"] for line in lines] == ["maths"] * 5
    assert len(queries) == 4
    assert as_admin.post(at("prompts-export", admin, "xlsx")).status_code == 404


# ---- quarantine


def test_redaction_takes_the_findings_out_and_lets_the_prompt_in(admin: Membership) -> None:
    (prompt,) = bring(admin, {"prompt": "Write to maya@example.org and call 020 7946 0018"})
    assert (prompt.state, prompt.personal_data) == ("quarantined", ["e-mail", "phone"])
    counts = quarantine.decide(project=admin.project, prompts=[prompt.pk], decision="redact", by=admin.user)
    prompt.refresh_from_db()
    assert counts == {"redact": 1}
    assert prompt.messages == [{"role": "user", "content": "Write to [e-mail] and call [phone]"}]
    assert (prompt.state, prompt.personal_data, prompt.summary) == ("active", [], "Write to [e-mail] and call [phone]")
    said = json.dumps(list(Event.objects.values("before", "after")))
    assert "maya" not in said


def test_a_redacted_prompt_that_repeats_another_is_withdrawn(admin: Membership) -> None:
    rows = bring(admin, {"prompt": "Write to a@b.example"}, {"prompt": "Write to c@d.example"})
    counts = quarantine.decide(
        project=admin.project, prompts=[row.pk for row in rows], decision="redact", by=admin.user
    )
    assert counts == {"redact": 1, "same": 1}
    assert [row.state for row in Prompt.objects.order_by("pk")] == ["active", "withdrawn"]


def test_only_what_is_in_quarantine_is_decided(admin: Membership) -> None:
    fine = PromptFactory(project=admin.project)
    (_, first, second) = bring(admin, {"prompt": "Write to a@b.example"}, {"prompt": "Ask c@d.example"})
    wanted = [fine.pk, first.pk]
    assert quarantine.decide(project=admin.project, prompts=wanted, decision="reject", by=admin.user) == {"reject": 1}
    assert quarantine.decide(project=admin.project, prompts=[second.pk], decision="accept", by=admin.user) == {
        "accept": 1
    }
    assert [row.state for row in Prompt.objects.order_by("pk")] == ["active", "withdrawn", "active"]


def test_a_prompt_with_tasks_is_never_rewritten(admin: Membership) -> None:
    from labeling.demonstrations.services import create_demonstration_tasks

    (prompt,) = bring(admin, {"prompt": "Write to a@b.example"})
    Prompt.objects.update(state="active")
    create_demonstration_tasks(project=admin.project, prompts=[Prompt.objects.get()], by=None)
    Prompt.objects.update(state="quarantined")
    with pytest.raises(Conflict, match="has tasks already"):
        quarantine.decide(project=admin.project, prompts=[prompt.pk], decision="redact", by=admin.user)
    assert Prompt.objects.get().messages == prompt.messages


def test_findings_are_marked_and_everything_else_is_escaped() -> None:
    shown = quarantine.marked_text("<b> a@b.example & 8.8.8.8")
    assert shown == (
        '&lt;b&gt; <mark title="e-mail address">a@b.example<span class="vh"> (e-mail address)</span></mark> &amp; '
        '<mark title="IP address">8.8.8.8<span class="vh"> (IP address)</span></mark>'
    )


def test_the_quarantine_page_filters_by_kind_counts_and_decides(as_admin: Client, admin: Membership) -> None:
    bring(admin, {"prompt": "Write to a@b.example"}, {"prompt": "Ask 8.8.8.8"}, {"prompt": "Ask c@d.example"})
    page = as_admin.get(at("prompts-quarantine", admin) + "?kind=e-mail")
    assert len(page.context["rows"]) == 2
    url = at("quarantine-decide", admin) + "?decision=reject&kind=e-mail&scope=all"
    asked = as_admin.get(url).content.decode()
    assert "Withdraw 2 prompts?" in asked and "Found: e-mail address (2)." in asked
    assert Prompt.objects.filter(state="quarantined").count() == 3
    assert as_admin.post(url)["Location"] == at("prompts-quarantine", admin) + "?kind=e-mail"
    assert list(Prompt.objects.filter(state="quarantined").values_list("summary", flat=True)) == ["Ask 8.8.8.8"]
    assert as_admin.get(at("quarantine-decide", admin) + "?decision=burn").status_code == 400


def test_nothing_is_asked_about_where_nothing_is_ticked(as_admin: Client, admin: Membership) -> None:
    bring(admin, {"prompt": "Write to a@b.example"})
    for name, query in (("quarantine-decide", "?decision=redact"), ("prompts-bulk", "?action=withdraw")):
        page = as_admin.get(at(name, admin) + query, follow=True)
        assert [str(one) for one in page.context["messages"]] == ["Choose prompts first: none is ticked."]
    page = as_admin.get(at("prompts-bulk", admin) + "?action=restore&scope=all&kind=few_shot", follow=True)
    assert page.redirect_chain[0][0] == at("prompts", admin) + "?kind=few_shot"


# ---- filters and views


def test_text_is_found_in_any_turn_by_an_index(admin: Membership) -> None:
    turns = [
        {"role": "user", "content": 'Tell me of the Ürümqi "market"'},
        {"role": "assistant", "content": "Which year?"},
        {"role": "user", "content": "1990"},
    ]
    bring(admin, {"messages": turns}, {"prompt": "Something else"})
    for text in ("ürümqi", '"MARKET"', "which year"):
        assert selectors.prompts(admin.project, text=text).get().messages == turns
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = selectors.saying(Prompt.objects.order_by(), "market").explain()
    assert "prompt_text" in plan


def test_a_view_keeps_the_filters_for_its_owner_alone(as_admin: Client, admin: Membership) -> None:
    said = {"page": "prompts", "name": " Held out ", "query": "split=test&state=active&before=9&kind="}
    answer = as_admin.post(at("view-save", admin), said)
    assert answer["Location"] == at("prompts", admin) + "?split=test&state=active"
    assert "Held out" in as_admin.get(at("prompts", admin)).content.decode()
    as_admin.post(at("view-save", admin), {**said, "query": "split=valid"})
    view = SavedView.objects.get()
    assert (view.name, view.query) == ("Held out", "split=valid")
    answer = as_admin.post(at("view-rename", admin, view.pk), {"name": " For  checks"})
    assert answer["Location"] == at("prompts", admin) + "?split=valid"
    view.refresh_from_db()
    assert view.name == "For checks"
    as_admin.post(at("view-save", admin), said)
    assert as_admin.post(at("view-rename", admin, view.pk), {"name": "Held out"}).status_code == 400
    SavedView.objects.filter(name="Held out").delete()
    other = MembershipFactory(project=admin.project, role=Role.ADMIN)
    client = Client()
    client.force_login(other.user)
    assert "For checks" not in client.get(at("prompts", admin)).content.decode()
    assert client.post(at("view-rename", admin, view.pk), {"name": "Mine"}).status_code == 404
    client.post(at("view-delete", admin, view.pk))
    assert SavedView.objects.count() == 1
    as_admin.post(at("view-delete", admin, view.pk))
    assert SavedView.objects.count() == 0


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"page": "secrets", "name": "x", "query": "a=1"}, "page"),
        ({"page": "prompts", "name": " ", "query": "a=1"}, "name"),
        ({"page": "prompts", "name": "x", "query": "before=3"}, "query"),
    ],
)
def test_a_view_without_list_name_or_filter_is_refused(
    as_admin: Client, admin: Membership, said: dict[str, str], field: str
) -> None:
    answer = as_admin.post(at("view-save", admin), said, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert SavedView.objects.count() == 0


def test_everybody_who_may_not_change_prompts_sees_no_way_to(client: Client) -> None:
    engineer = MembershipFactory(role=Role.ENGINEER, user=UserFactory())
    PromptFactory(project=engineer.project)
    client.force_login(engineer.user)
    page = client.get(at("prompts", engineer)).content.decode()
    assert "Export JSONL" in page and 'name="action"' not in page
    assert client.get(at("prompts-quarantine", engineer)).status_code == 403
