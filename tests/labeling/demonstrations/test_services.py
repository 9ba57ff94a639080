"""Submitting demonstrations: once, whole, by the right person (DATA-1)."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, transaction

from labeling.assignments import claim
from labeling.assignments.models import Slot
from labeling.core.errors import BadInput, Conflict, Reused
from labeling.demonstrations import clarity, selectors, services
from labeling.demonstrations.checks import DEFAULT, checks_of, without_checks
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.services import create_demonstration_tasks, revise_demonstration, submit_demonstration
from tests.factories import ProjectFactory, PromptFactory, contractor_of
from tests.labeling.assignments.conftest import had_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return ProjectFactory()


@pytest.fixture
def labeler(project):
    return contractor_of(project)


@pytest.fixture
def said(project, labeler):
    """What a good submission says."""
    prompts = [PromptFactory(project=project) for _ in range(2)]
    create_demonstration_tasks(project=project, prompts=prompts, by=None)
    slot = had_for(claim.claim_slot(project=project, labeler=labeler), minutes=5)
    same = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token}
    return {**same, "submission": uuid.uuid4(), "text": "An answer.", "active_seconds": 31}


def test_a_submission_closes_its_slot_and_carries_the_guideline(said, labeler, project):
    made = submit_demonstration(**said)
    slot = Slot.objects.get(public_id=said["slot_id"])
    assert (slot.state, slot.active_seconds, slot.task.state) == ("submitted", 31, "done")
    assert (made.slot, made.labeler, made.guideline, made.active_seconds) == (slot, labeler, slot.guideline, 31)
    assert list(selectors.current(project)) == [made]


def test_submitting_twice_returns_the_first_demonstration(said):
    assert submit_demonstration(**said) == submit_demonstration(**said)
    assert Demonstration.objects.count() == 1


def test_doubts_about_the_prompt_are_kept_and_come_back_as_the_draft(said, labeler):
    made = submit_demonstration(**said, prompt_flags=["unclear_intent"])
    assert made.prompt_flags == ["unclear_intent"]
    with pytest.raises(Reused):
        submit_demonstration(**said)
    assert services.said(made.slot)["prompt_flag"] == ["unclear_intent"]
    revised = revise_demonstration(
        slot_id=made.slot.public_id, labeler=labeler, submission=uuid.uuid4(), text="Better."
    )
    assert revised.prompt_flags == [] and "prompt_flag" not in services.said(made.slot)


def test_an_unknown_flag_is_refused_and_nothing_is_submitted(said):
    with pytest.raises(BadInput, match="There is no prompt flag 'odd'"):
        submit_demonstration(**said, prompt_flags=["odd"])
    assert Demonstration.objects.count() == 0


def test_the_switch_asks_what_the_project_asks(said, project):
    slot = Slot.objects.select_related("project").get(public_id=said["slot_id"])
    assert [(value, on) for value, _, on in clarity.choices(slot, {})] == [
        ("", True), ("unclear_intent", False), ("sensitive", False),
    ]  # fmt: skip
    slot.project.prompt_flags = ["sensitive"]
    assert [(value, on) for value, _, on in clarity.choices(slot, {"prompt_flag": ["sensitive"]})] == [
        ("", False), ("sensitive", True),
    ]  # fmt: skip
    slot.project.prompt_flags = ["ambiguous"]
    assert clarity.choices(slot, {}) == []


def test_the_same_key_with_another_text_is_refused(said):
    submit_demonstration(**said)
    with pytest.raises(Reused):
        submit_demonstration(**{**said, "text": "Another answer."})
    assert Demonstration.objects.get().text == "An answer."


def test_the_same_key_for_another_slot_is_refused(said, labeler, project):
    submit_demonstration(**said)
    other = claim.claim_slot(project=project, labeler=labeler)
    with pytest.raises(Reused):
        submit_demonstration(**{**said, "slot_id": other.public_id, "token": other.lease_token})
    other.refresh_from_db()
    assert other.state == "leased"


def test_the_key_of_somebody_else_is_refused(said, project):
    submit_demonstration(**said)
    with pytest.raises(Conflict):
        submit_demonstration(**{**said, "labeler": contractor_of(project)})


def test_a_second_answer_to_a_submitted_task_is_refused(said):
    submit_demonstration(**said)
    with pytest.raises(Conflict, match="already submitted"):
        submit_demonstration(**{**said, "submission": uuid.uuid4()})
    assert Demonstration.objects.count() == 1


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 100_001, "a\x00b"])
def test_text_that_cannot_be_an_answer_is_refused(said, text):
    with pytest.raises(BadInput) as refused:
        submit_demonstration(**{**said, "text": text})
    assert refused.value.field == "text"
    assert Slot.objects.get(public_id=said["slot_id"]).state == "leased"


def test_a_demonstration_cannot_be_changed(said):
    submit_demonstration(**said)
    with pytest.raises(IntegrityError), transaction.atomic():
        Demonstration.objects.update(text="Changed.")


def test_prompts_are_asked_once_unless_withdrawn(project):
    one, two = PromptFactory.create_batch(2, project=project)
    create_demonstration_tasks(project=project, prompts=[one], by=None)
    PromptFactory(project=project, split="test")
    assert list(selectors.prompts_without_task(project=project, split="train")) == [two]


def test_checks_come_from_the_guideline():
    body = "# How to write\n\n- [ ] It is true.\n- [ ] It is kind.\n\nBe brief."
    assert checks_of(body) == ["It is true.", "It is kind."]
    assert without_checks(body) == "# How to write\n\nBe brief."
    assert checks_of("No list here.") == DEFAULT
