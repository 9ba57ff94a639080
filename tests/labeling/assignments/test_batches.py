"""Creating, pausing, resuming, withdrawing batches."""

from __future__ import annotations

import pytest

from labeling.assignments import claim, leases, selectors, services
from labeling.assignments.models import KeptDraft, Slot, Task, TaskBatch
from labeling.core.errors import BadInput
from labeling.demonstrations import services as demonstrations
from tests.factories import PromptFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks

pytestmark = pytest.mark.django_db


def test_every_task_gets_its_slots(project):
    prompts = PromptFactory.create_batch(3, project=project)
    batch = services.create_tasks(project=project, kind="demonstration", prompts=prompts, overlap=2, priority=4)
    assert [task.prompt for task in batch.tasks.order_by("id")] == prompts
    assert list(Slot.objects.order_by("id").values_list("ordinal", "priority")) == [(1, 4), (2, 4)] * 3
    assert selectors.slot_counts([batch])[batch.pk] == {"open": 6}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"overlap": 0}, "overlap"),
        ({"overlap": 21}, "overlap"),
        ({"priority": 1001}, "priority"),
        ({"prompts": []}, "prompts"),
        ({"kind": "essay"}, "kind"),
    ],
)
def test_a_bad_batch_is_refused_by_field(project, changes, field):
    good = {"project": project, "kind": "demonstration", "prompts": [PromptFactory(project=project)], "overlap": 1}
    with pytest.raises(BadInput) as refused:
        services.create_tasks(**(good | changes))
    assert refused.value.field == field
    assert not TaskBatch.objects.exists()


def test_prompts_of_others_and_quarantined_ones_get_no_tasks(project):
    for prompt in (PromptFactory(), PromptFactory(project=project, state="quarantined")):
        with pytest.raises(BadInput):
            services.create_tasks(project=project, kind="demonstration", prompts=[prompt], overlap=1)
    assert not Task.objects.exists()


def test_a_paused_batch_hands_out_nothing_but_takes_work_in(project, labeler):
    batch = open_tasks(project, 3)
    slot = claim.claim_slot(project=project, labeler=labeler)
    assert services.pause_batch(batch, None) == 3
    other = contractor_of(project)
    assert claim.claim_slot(project=project, labeler=other) is None
    demonstrations.submit_demonstration(
        slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, submission=slot.public_id, text="Fine."
    )
    assert selectors.task_counts(batch) == {"paused": 2, "done": 1}
    assert services.resume_batch(batch, None) == 2
    assert claim.claim_slot(project=project, labeler=other) is not None
    assert selectors.task_counts(batch) == {"open": 2, "done": 1}


def test_a_lease_that_ends_while_paused_waits_with_its_task(project, labeler):
    batch = open_tasks(project, 1)
    claim.claim_slot(project=project, labeler=labeler)
    services.pause_batch(batch, None)
    Slot.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    leases.expire_leases()
    assert Slot.objects.get().state == "paused"
    services.resume_batch(batch, None)
    assert Slot.objects.get().state == "open"


def test_withdrawing_keeps_submitted_work_and_drafts(project, labeler):
    batch = open_tasks(project, 3)
    done = claim.claim_slot(project=project, labeler=labeler)
    demonstrations.submit_demonstration(
        slot_id=done.public_id, labeler=labeler, token=done.lease_token, submission=done.public_id, text="Fine."
    )
    begun = claim.claim_slot(project=project, labeler=labeler)
    leases.save_draft(slot_id=begun.public_id, labeler=labeler, token=begun.lease_token, draft={"text": "Begun"})
    assert services.withdraw_batch(batch, None) == {"tasks": 2, "slots": 2}
    assert selectors.slot_counts([batch])[batch.pk] == {"submitted": 1, "withdrawn": 2}
    assert KeptDraft.objects.get().draft == {"text": "Begun"}
    late = demonstrations.submit_demonstration(
        slot_id=begun.public_id,
        labeler=labeler,
        token=begun.lease_token,
        submission=begun.public_id,
        text="Begun, done.",
    )
    assert late.late is True
    assert services.withdraw_batch(batch, None) == {"tasks": 0, "slots": 0}
