"""Changing submitted work: a new revision each time, until a dataset holds the newest one."""

from __future__ import annotations

import re
import uuid

import pytest
from django.urls import reverse

from labeling.assignments import claim, recall
from labeling.assignments.models import Slot
from labeling.core.errors import BadInput, Conflict, Frozen, NotFound, Reused
from labeling.core.models import Event
from labeling.datasets import services as datasets
from labeling.datasets.models import Snapshot, SnapshotMember
from labeling.datasets.render import records
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.services import revise_demonstration, submit_demonstration
from tests.factories import UserFactory, contractor_of
from tests.labeling.assignments.conftest import had_for, open_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(project, labeler) -> Demonstration:
    open_tasks(project, 1)
    slot = had_for(claim.claim_slot(project=project, labeler=labeler), minutes=10)
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "submission": uuid.uuid4()}
    return submit_demonstration(**said, text="First.", active_seconds=30)


def revise(made, text="Second.", **changes):
    said = {"slot_id": made.slot.public_id, "labeler": made.labeler, "submission": uuid.uuid4(), "text": text}
    return revise_demonstration(**said | changes)


def freeze(made) -> None:
    snapshot = Snapshot.objects.create(project=made.project, kind="demonstrations", name=str(uuid.uuid4()))
    SnapshotMember.objects.create(snapshot=snapshot, ordinal=0, split="train", demonstration=made)


def test_an_edit_is_a_new_revision_and_the_old_one_stays(made):
    second = revise(made, active_seconds=45)
    third = revise(made, "Third.")
    assert (second.supersedes, third.supersedes) == (made, second)
    assert list(Demonstration.objects.order_by("id").values_list("text", flat=True)) == ["First.", "Second.", "Third."]
    slot = Slot.objects.get()
    assert (slot.state, slot.active_seconds, third.guideline) == ("submitted", 45, made.guideline)


def test_a_repeated_edit_is_one_revision(made):
    key = uuid.uuid4()
    assert revise(made, submission=key) == revise(made, submission=key)
    with pytest.raises(Reused):
        revise(made, "Something else.", submission=key)
    assert Demonstration.objects.count() == 2


def test_snapshots_take_the_newest_revision_and_freeze_it(made, project):
    revise(made)
    snapshot = datasets.freeze(project=project, kind="demonstrations", write_now=True, rules={"splits": ["train"]})
    assert [row["messages"][-1]["content"] for row in records(snapshot)] == ["Second."]
    assert snapshot.excluded == {"replaced by a later revision": 1}
    with pytest.raises(Frozen, match="part of a dataset"):
        revise(made, "Third.")
    assert Demonstration.objects.count() == 2


def test_only_the_author_edits_and_only_submitted_work(made, project, labeler):
    with pytest.raises(NotFound):
        revise(made, labeler=contractor_of(project))
    open_tasks(project, 1)
    held = claim.claim_slot(project=project, labeler=labeler)
    with pytest.raises(Conflict, match="not submitted"):
        revise(made, slot_id=held.public_id)
    with pytest.raises(BadInput):
        revise(made, " ")
    assert Demonstration.objects.count() == 1


def test_a_reviewers_edit_stays_the_authors_work(made):
    reviewer = UserFactory()
    assert revise(made, by=reviewer).labeler == made.labeler
    assert Event.objects.get(verb="revised").actor == reviewer


def test_what_a_reviewer_replaced_is_no_longer_the_authors_to_change(made):
    theirs = {"project": made.project, "prompt": made.prompt, "task": made.task, "slot": made.slot}
    Demonstration.objects.create(
        **theirs, labeler=UserFactory(), supersedes=made, submission=uuid.uuid4(), text="Reviewed."
    )
    with pytest.raises(Conflict, match="A reviewer"):
        revise(made)


def test_taking_back_takes_every_revision(made, labeler):
    revise(made)
    again = recall.recall_slot(slot_id=made.slot.public_id, labeler=labeler)
    assert (again.state, again.draft["text"], Demonstration.objects.count()) == ("leased", "Second.", 0)


# ---- the same on the pages


@pytest.fixture
def address(client, labeler, made):
    client.force_login(labeler)
    return reverse("work", args=[made.project.slug, made.slot.public_id])


def hidden(client, address) -> dict[str, str]:
    context = client.get(address).context
    return {name: str(context[name]) for name in ("token", "submission", "active_seconds", "opened")} | {
        "revising": "1"
    }


def test_submitted_work_opens_with_its_text_and_is_changed(client, address, made):
    html = client.get(address).content.decode()
    assert "First.</textarea>" in html and "You have submitted this." in html
    assert len(re.findall(r'name="check" value="\d" checked', html)) == html.count('name="check"') == 4
    said = {**hidden(client, address), "text": "Changed.", "check": ["0", "1", "2", "3"]}
    answer = client.post(address, said, follow=True)
    assert "saved as a new version" in answer.content.decode()
    assert Demonstration.objects.get(superseded_by=None).text == "Changed."


def test_the_draft_of_an_edit_is_kept_and_can_be_dropped(client, address, made):
    draft = reverse("api-draft", args=[made.project.slug, made.slot.public_id])
    body = {"token": hidden(client, address)["token"], "draft": {"text": "Half changed"}}
    refused = client.put(draft, body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert client.put(draft, {**body, "revising": True}, content_type="application/json").status_code == 200
    assert "Half changed</textarea>" in client.get(address).content.decode()
    assert Slot.objects.get().state == "submitted"
    client.post(address, {**hidden(client, address), "act": "discard"})
    assert "First.</textarea>" in client.get(address).content.decode()
    assert Demonstration.objects.count() == 1


def test_frozen_work_does_not_open(client, address, made):
    freeze(made)
    answer = client.get(address, follow=True)
    assert "part of a dataset" in answer.content.decode()
    assert client.post(address, {**said_of(made), "text": "Changed."}).status_code == 409
    assert Demonstration.objects.count() == 1


def said_of(made) -> dict[str, object]:
    hidden = {"token": str(made.slot.lease_token), "submission": str(uuid.uuid4()), "revising": "1"}
    return {**hidden, "check": ["0", "1", "2", "3"]}


def test_a_script_is_told_where_to_go(client, address, made):
    said = {**hidden(client, address), "text": "Changed.", "check": ["0", "1", "2", "3"]}
    answer = client.post(address, said, headers={"Accept": "application/json"})
    assert answer.json() == {"next": reverse("queue", args=[made.project.slug])}
    freeze(Demonstration.objects.get(superseded_by=None))
    refused = client.post(address, {**said, "submission": str(uuid.uuid4())}, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (409, "frozen")
