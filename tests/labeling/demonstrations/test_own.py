"""Prompts of one's own: three kinds, checked like an import, changed as revisions."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from labeling.assignments import claim, recall
from labeling.assignments.models import Slot, TaskBatch
from labeling.core.errors import BadInput, Conflict, Reused
from labeling.datasets import services as datasets
from labeling.datasets.render import records
from labeling.demonstrations import own, parts
from labeling.demonstrations.models import Demonstration
from labeling.prompts import writing
from labeling.prompts.models import Prompt
from tests.factories import MembershipFactory, ProjectFactory, PromptFactory, UserFactory, completions_of, contractor_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return ProjectFactory()


@pytest.fixture
def labeler(project):
    return contractor_of(project)


def ask(project, kind="plain", number=1, text="About the sea.") -> TaskBatch:
    brief = writing.brief(project=project, kind=kind, text=text, category="sea", split="train")
    return own.create_own_prompt_tasks(project=project, brief=brief, number=number, by=None)


def turns(*texts):
    return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]


@pytest.fixture
def said(project, labeler):
    ask(project, number=2)
    slot = claim.claim_slot(project=project, labeler=labeler)
    same = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "submission": uuid.uuid4()}
    return {
        **same,
        "messages": turns("Why is the sea salty?"),
        "parts": {"prompt": "Why is the sea salty?"},
        "text": "Rivers.",
    }


def test_prompt_and_answer_are_stored_together_and_trained_on(said, project):
    made = own.submit_own(**said)
    prompt = made.prompt
    assert (prompt.kind, prompt.category, prompt.split, prompt.state) == ("plain", "sea", "train", "active")
    assert made.task.prompt.state == "brief"
    snapshot = datasets.freeze(project=project, kind="demonstrations", write_now=True)
    assert [row["messages"] for row in records(snapshot)] == [turns("Why is the sea salty?", "Rivers.")]
    prompts = datasets.freeze(project=project, kind="prompts", write_now=True)
    assert [row["messages"] for row in records(prompts)] == [turns("Why is the sea salty?")]


def test_repeating_a_submission_writes_one_prompt(said):
    assert own.submit_own(**said) == own.submit_own(**said)
    assert Prompt.objects.exclude(state="brief").count() == 1
    with pytest.raises(Reused):
        own.submit_own(**{**said, "messages": turns("Another?")})


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (turns(" "), "empty"),
        (turns("Write to anna.berg@company.com for me."), "personal data"),
        (turns("word " * 2000), "too long"),
        (turns("Known already."), "a prompt like this"),
    ],
)
def test_what_an_import_would_leave_out_is_refused_with_the_reason(said, project, messages, words):
    from labeling.prompts.services import import_prompts

    import_prompts(project=project, lines=[{"prompt": "Known already."}], fmt="objects", by=None, source="test")
    with pytest.raises(BadInput, match=words) as refused:
        own.submit_own(**{**said, "messages": messages})
    assert refused.value.field == "prompt"
    assert Slot.objects.get(public_id=said["slot_id"]).state == "leased"
    assert not Demonstration.objects.exists()


def test_a_changed_prompt_is_another_row_and_the_old_one_is_retired(said):
    first = own.submit_own(**said)
    change = {name: value for name, value in said.items() if name != "token"}
    same = own.revise_own(**change | {"submission": uuid.uuid4(), "text": "Rivers carry salt."})
    assert same.prompt == first.prompt
    other = own.revise_own(**change | {"submission": uuid.uuid4(), "messages": turns("Why are lakes not salty?")})
    first.prompt.refresh_from_db()
    assert (first.prompt.state, other.prompt.state, other.supersedes) == ("withdrawn", "active", same)


def test_a_prompt_in_use_outlives_its_author_changing_their_mind(said):
    first = own.submit_own(**said)
    completions_of(first.prompt, 2)
    change = {name: value for name, value in said.items() if name != "token"}
    own.revise_own(**change | {"submission": uuid.uuid4(), "messages": turns("Why are lakes not salty?")})
    first.prompt.refresh_from_db()
    assert first.prompt.state == "active"


def test_taking_back_takes_the_prompt_too_unless_it_is_used(said, labeler):
    made = own.submit_own(**said)
    again = recall.recall_slot(slot_id=said["slot_id"], labeler=labeler)
    assert (again.draft["prompt"], again.draft["text"]) == ("Why is the sea salty?", "Rivers.")
    assert set(Prompt.objects.values_list("state", flat=True)) == {"brief"}
    made = own.submit_own(**{**said, "token": again.lease_token})
    completions_of(made.prompt, 1)
    with pytest.raises(Conflict):
        recall.recall_slot(slot_id=said["slot_id"], labeler=labeler)
    assert Demonstration.objects.count() == 1


def test_a_brief_is_no_prompt(project):
    ask(project)
    with pytest.raises(BadInput):
        own.create_own_prompt_tasks(project=project, brief=PromptFactory(), number=1, by=None)
    with pytest.raises(BadInput) as refused:
        writing.brief(project=project, kind="user_based", text=" ", category="", split="train")
    assert refused.value.field == "brief"
    with pytest.raises(Conflict):
        datasets.freeze(project=project, kind="prompts", write_now=True)


def test_few_shot_prompts_are_one_turn_with_examples():
    fields = {"instruction": "Translate.", "query-0": "cat", "answer-0": "Katze", "query-2": "dog", "answer-2": "Hund"}
    told = parts.messages("few_shot", {**fields, "prompt": "cow"})
    text = "Translate.\n\nInput: cat\nOutput: Katze\n\nInput: dog\nOutput: Hund\n\nInput: cow\nOutput:"
    assert told == [{"role": "user", "content": text}]


def test_earlier_turns_come_first():
    fields = {"user-0": "Hi", "assistant-0": "Hello", "prompt": "Bye?"}
    assert parts.messages("plain", fields) == turns("Hi", "Hello", "Bye?")


@pytest.mark.parametrize(
    ("kind", "fields", "wrong"),
    [
        ("plain", {}, {"prompt"}),
        ("plain", {"prompt": "x", "user-0": "Hi"}, {"assistant-0"}),
        ("few_shot", {"prompt": "x"}, {"instruction", "query-0"}),
        ("few_shot", {"prompt": "x", "instruction": "y", "query-1": "a", "answer-1": "b"}, set()),
        ("user_based", {"prompt": "x"}, set()),
    ],
)
def test_what_is_missing_is_named(kind, fields, wrong):
    assert set(parts.problems(kind, fields)) == wrong


# ---- pages


def url(name, project, *args):
    return reverse(name, args=[project.slug, *args])


def test_a_few_shot_prompt_goes_through_without_script(client, project, labeler):
    ask(project, "few_shot", text="")
    client.force_login(labeler)
    address = client.post(url("next", project), {"kind": "own_prompt"}).url
    page = client.get(address)
    hidden = {name: str(page.context[name]) for name in ("token", "submission", "active_seconds")}
    fields = {
        **hidden,
        "instruction": "Translate.",
        "query-0": "cat",
        "answer-0": "Katze",
        "check": ["0", "1", "2", "3"],
    }
    wider = client.post(address, {**fields, "act": "more"}).content.decode()
    assert wider.count('<div class="part-row" data-row>') == 2
    unfinished = client.post(address, {**fields, "text": "Kuh", "query-1": "dog"})
    assert unfinished.status_code == 400
    assert (
        "Write both halves" in unfinished.content.decode() and "Write the prompt first." in unfinished.content.decode()
    )
    seen = client.post(address, {**fields, "prompt": "cow", "text": "**Kuh**", "act": "preview"}).content.decode()
    assert "<strong>Kuh</strong>" in seen and "Input: cow" in seen
    assert client.post(address, {**fields, "prompt": "cow", "text": "Kuh"}).status_code == 302
    made = Demonstration.objects.get()
    assert made.prompt.messages[0]["content"].endswith("Input: cow\nOutput:")
    assert 'name="query-0"' in client.get(address).content.decode()  # open to be changed


def test_the_preview_of_a_conversation_is_sanitised(client, project, labeler):
    ask(project)
    client.force_login(labeler)
    slot = Slot.objects.get(public_id=client.post(url("next", project)).url.split("/")[-2])
    said = {"prompt": "<script>alert(1)</script>", "user-0": "Hi", "text": "[x](javascript:alert(1))"}
    html = client.post(url("own-preview", project, slot.public_id), said).content.decode()
    assert "<script" not in html and 'href="javascript' not in html and "Hi" in html
    client.force_login(contractor_of(project))
    assert client.post(url("own-preview", project, slot.public_id), said).status_code == 404


def test_engineers_ask_for_prompts_on_a_page_and_over_the_api(client, project):
    user = UserFactory()
    MembershipFactory(project=project, user=user, role="engineer")
    client.force_login(user)
    choice = {"kind": "own_prompt", "split": "train", "prompt_kind": "user_based", "limit": "3"}
    assert client.post(url("batch-new", project), choice).status_code == 400
    choice |= {"brief": "A nurse plans shifts."}
    assert "3 prompts with their answers" in client.get(url("batch-new", project), choice).content.decode()
    client.post(url("batch-new", project), choice)
    assert Slot.objects.filter(kind="own_prompt", state="open").count() == 3
    body = {**choice, "limit": 2}
    made = client.post(f"/api/v1/projects/{project.slug}/tasks/", body, content_type="application/json")
    assert (made.status_code, made.json()["judgements"]["open"]) == (201, 2)
    assert Prompt.objects.filter(state="brief").count() == 1
