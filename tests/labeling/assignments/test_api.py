"""Batches and drafts over REST."""

from __future__ import annotations

import pytest

from labeling.assignments import claim
from labeling.assignments.models import Slot, TaskBatch
from tests.factories import MembershipFactory, PromptFactory, UserFactory, completions_of, contractor_of
from tests.labeling.assignments.conftest import open_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer(client, project):
    user = UserFactory()
    MembershipFactory(project=project, user=user, role="engineer")
    client.force_login(user)
    return client


def post(client, address, body):
    return client.post(address, body, content_type="application/json")


def test_batches_are_created_and_listed(engineer, project):
    PromptFactory.create_batch(2, project=project)
    address = f"/api/v1/projects/{project.slug}/tasks/"
    made = post(engineer, address, {"kind": "demonstration", "split": "train", "overlap": 2, "title": "First"})
    assert made.status_code == 201
    counts = {"open": 4, "paused": 0, "leased": 0, "submitted": 0, "withdrawn": 0}
    assert (made.json()["title"], made.json()["judgements"]) == ("First", counts)
    listed = engineer.get(address, {"kind": "demonstration"}).json()
    assert [row["id"] for row in listed["results"]] == [made.json()["id"]]


def test_comparisons_over_the_api(engineer, project):
    policy = completions_of(PromptFactory(project=project), 3)[0].checkpoint
    body = {
        "kind": "comparison",
        "split": "train",
        "checkpoints": [str(policy.public_id)],
        "k": 3,
        "purpose": "training",
    }
    made = post(engineer, f"/api/v1/projects/{project.slug}/tasks/", body)
    assert (made.status_code, made.json()["settings"]["held_back"]) == (201, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "demonstration", "split": "train", "colour": "red"}, "colour"),
        ({"kind": "demonstration", "split": "train", "k": 4}, "k"),
        ({"kind": "demonstration", "split": "everything"}, "split"),
        ({"kind": "demonstration", "split": "train", "overlap": 99}, "overlap"),
        ({"kind": "demonstration", "split": "valid"}, "prompts"),
        ({"kind": "essay", "split": "train"}, "kind"),
        ({"kind": "comparison", "split": "train", "k": 4, "purpose": "training"}, "checkpoints"),
    ],
)
def test_bad_batches_are_refused_by_field(engineer, project, body, field):
    PromptFactory(project=project)
    answer = post(engineer, f"/api/v1/projects/{project.slug}/tasks/", body)
    said = answer.json()
    assert answer.status_code == 400
    assert said.get("field") == field or field in said["fields"]
    assert not TaskBatch.objects.exists()


def test_contractors_create_nothing(client, project, labeler):
    client.force_login(labeler)
    PromptFactory(project=project)
    answer = post(client, f"/api/v1/projects/{project.slug}/tasks/", {"kind": "demonstration", "split": "train"})
    assert answer.status_code == 403
    assert not TaskBatch.objects.exists()


def test_a_script_claims_and_saves(client, project, labeler):
    open_tasks(project, 1)
    client.force_login(labeler)
    claimed = post(client, f"/api/v1/projects/{project.slug}/next/", {}).json()
    slot = Slot.objects.get()
    assert (claimed["slot"], claimed["kind"]) == (str(slot.public_id), "demonstration")
    address = f"/api/v1/projects/{project.slug}/slots/{slot.public_id}/draft/"
    body = {"token": str(slot.lease_token), "draft": {"text": "Begun", "check": ["1"]}, "active_seconds": 4}
    saved = client.put(address, body, content_type="application/json")
    slot.refresh_from_db()
    assert (saved.status_code, slot.draft, slot.active_seconds) == (200, {"text": "Begun", "check": ["1"]}, 4)
    assert 1790 <= saved.json()["lease_seconds"] <= 1800
    for spoiled in ({"draft": {"text": 7}}, {"draft": []}, {"token": "x"}, {"extra": 1}):
        assert client.put(address, {**body, **spoiled}, content_type="application/json").status_code == 400


def test_a_lost_lease_answers_409(client, project, labeler):
    open_tasks(project, 1)
    slot = claim.claim_slot(project=project, labeler=labeler)
    Slot.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    from labeling.assignments import leases

    leases.expire_leases()
    claim.claim_slot(project=project, labeler=contractor_of(project))
    client.force_login(labeler)
    address = f"/api/v1/projects/{project.slug}/slots/{slot.public_id}/draft/"
    body = {"token": str(slot.lease_token), "draft": {"text": "Late"}}
    answer = client.put(address, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")


def test_work_needs_a_session(client, project):
    assert post(client, f"/api/v1/projects/{project.slug}/next/", {}).status_code in {401, 403}
