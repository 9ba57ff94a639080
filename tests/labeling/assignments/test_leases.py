"""Drafts, leases, late work, skipping, taking back (DATA-1, DATA-5)."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from labeling.assignments import claim, leases, recall, services, skip
from labeling.assignments.models import KeptDraft, Skip, Slot, Task
from labeling.core.errors import BadInput, Conflict, LeaseLost, NotFound
from labeling.core.models import Event
from labeling.datasets.models import Snapshot, SnapshotMember
from labeling.demonstrations import services as demonstrations
from labeling.demonstrations.models import Demonstration
from tests.factories import contractor_of
from tests.labeling.assignments.conftest import open_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def slot(project, labeler) -> Slot:
    open_tasks(project, 1)
    return claim.claim_slot(project=project, labeler=labeler)


def save(slot, labeler, text="Half a", **changes):
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "draft": {"text": text}}
    return leases.save_draft(**(said | changes))


def submit(slot, labeler, text="An answer.", **changes):
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "submission": uuid.uuid4()}
    return demonstrations.submit_demonstration(**(said | {"text": text} | changes))


def expire() -> None:
    Slot.objects.filter(state="leased").update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    leases.expire_leases()


def test_saving_a_draft_renews_the_lease(slot, labeler):
    Slot.objects.update(lease_expires_at=timezone.now() + timedelta(seconds=5))
    saved = save(slot, labeler, active_seconds=12)
    assert (saved.draft, saved.active_seconds) == ({"text": "Half a"}, 12)
    assert saved.lease_expires_at > timezone.now() + timedelta(minutes=29)


def test_active_time_never_runs_backwards(slot, labeler):
    save(slot, labeler, active_seconds=40)
    assert save(slot, labeler, active_seconds=10).active_seconds == 40


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"draft": ["x"]}, "draft"),
        ({"draft": {"text": "x" * 600_000}}, "draft"),
        ({"active_seconds": -1}, "active_seconds"),
    ],
)
def test_a_bad_draft_is_refused_by_field(slot, labeler, changes, field):
    with pytest.raises(BadInput) as refused:
        save(slot, labeler, **changes)
    assert refused.value.field == field
    assert Slot.objects.get().draft is None


def test_strangers_find_nothing_to_save(slot, project):
    with pytest.raises(NotFound):
        save(slot, contractor_of(project))
    assert not KeptDraft.objects.exists()


def test_expiry_opens_the_slot_and_keeps_the_draft(slot, labeler):
    save(slot, labeler)
    expire()
    slot.refresh_from_db()
    assert (slot.state, slot.labeler, slot.draft) == ("open", None, None)
    assert KeptDraft.objects.get(labeler=labeler).draft == {"text": "Half a"}
    assert leases.expire_leases() == 0


def test_a_live_lease_does_not_expire(slot):
    assert leases.expire_leases() == 0
    slot.refresh_from_db()
    assert slot.state == "leased"


def test_typing_on_after_expiry_takes_a_free_slot_up_again(slot, labeler):
    expire()
    assert save(slot, labeler, "More").state == "leased"
    assert not KeptDraft.objects.exists()


def test_typing_on_after_somebody_else_took_it_keeps_the_draft(slot, labeler, project):
    expire()
    other = contractor_of(project)
    claim.claim_slot(project=project, labeler=other)
    with pytest.raises(LeaseLost):
        save(slot, labeler, "Too late")
    assert KeptDraft.objects.get(labeler=labeler).draft == {"text": "Too late"}
    slot.refresh_from_db()
    assert (slot.labeler, slot.draft) == (other, None)


def test_work_after_expiry_is_accepted_while_the_slot_is_free(slot, labeler):
    expire()
    made = submit(slot, labeler)
    slot.refresh_from_db()
    assert (made.late, slot.state, slot.labeler) == (False, "submitted", labeler)
    assert Task.objects.get().state == "done"


def test_work_after_somebody_else_took_it_is_stored_late(slot, labeler, project):
    expire()
    other = contractor_of(project)
    theirs = claim.claim_slot(project=project, labeler=other)
    late = submit(slot, labeler, "Late but whole")
    assert (late.late, late.text) == (True, "Late but whole")
    in_time = submit(theirs, other)
    assert in_time.late is False
    assert Slot.objects.get().labeler == other
    with pytest.raises(Conflict, match="already"):
        submit(slot, labeler, "Once more")
    assert Demonstration.objects.count() == 2


def test_late_work_is_not_offered_again(slot, labeler, project):
    services.create_tasks(project=project, kind="demonstration", prompts=[slot.task.prompt], overlap=1)
    expire()
    other = contractor_of(project)
    while (theirs := claim.claim_slot(project=project, labeler=other)).task_id != slot.task_id:
        skip.skip_slot(slot_id=theirs.public_id, labeler=other, token=theirs.lease_token, reason="other")
    submit(slot, labeler)
    skip.skip_slot(slot_id=theirs.public_id, labeler=other, token=theirs.lease_token, reason="other")
    offered = claim.claim_slot(project=project, labeler=labeler)
    assert offered.task_id != slot.task_id


def test_who_never_held_a_task_cannot_submit_it(slot, project):
    with pytest.raises(NotFound):
        submit(slot, contractor_of(project))
    assert not Demonstration.objects.exists()


def test_skipping_gives_the_task_to_others(slot, labeler, project):
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token}
    skip.skip_slot(**said, reason="unclear", note="Which year?")
    skip.skip_slot(**said, reason="unclear")
    assert Skip.objects.get().note == "Which year?"
    assert claim.claim_slot(project=project, labeler=labeler) is None
    assert claim.claim_slot(project=project, labeler=contractor_of(project)).pk == slot.pk
    with pytest.raises(Conflict):
        submit(slot, labeler)


@pytest.mark.parametrize("changes", [{"reason": "bored"}, {"reason": ""}, {"reason": "other", "note": "x" * 501}])
def test_a_skip_needs_a_known_reason(slot, labeler, changes):
    with pytest.raises(BadInput):
        skip.skip_slot(**{"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token} | changes)
    slot.refresh_from_db()
    assert slot.state == "leased"


def test_a_fresh_submission_can_be_taken_back(slot, labeler):
    submit(slot, labeler, "Oops")
    again = recall.recall_slot(slot_id=slot.public_id, labeler=labeler)
    assert (again.state, again.draft, again.task.state) == ("leased", {"text": "Oops"}, "open")
    assert not Demonstration.objects.exists()
    assert Event.objects.filter(verb="recalled").count() == 1
    assert submit(again, labeler, "Better").text == "Better"


def test_taking_back_releases_the_work_in_hand(slot, labeler, project):
    open_tasks(project, 1)
    submit(slot, labeler)
    second = claim.claim_slot(project=project, labeler=labeler)
    save(second, labeler, "Begun")
    recall.recall_slot(slot_id=slot.public_id, labeler=labeler)
    second.refresh_from_db()
    assert second.state == "open"
    assert KeptDraft.objects.get(task=second.task).draft == {"text": "Begun"}


def test_taking_back_ends_after_seconds(slot, labeler):
    submit(slot, labeler)
    Slot.objects.update(submitted_at=timezone.now() - timedelta(seconds=recall.ALLOWED_SECONDS + 1))
    with pytest.raises(Conflict, match="too late"):
        recall.recall_slot(slot_id=slot.public_id, labeler=labeler)
    assert Demonstration.objects.count() == 1


def test_frozen_work_cannot_be_taken_back(slot, labeler, project):
    made = submit(slot, labeler)
    snapshot = Snapshot.objects.create(project=project, kind="demonstrations", name="one")
    SnapshotMember.objects.create(snapshot=snapshot, ordinal=1, split="train", demonstration=made)
    with pytest.raises(Conflict, match="dataset"):
        recall.recall_slot(slot_id=slot.public_id, labeler=labeler)
    slot.refresh_from_db()
    assert (slot.state, Demonstration.objects.count()) == ("submitted", 1)


def test_nobody_takes_back_the_work_of_others(slot, labeler, project):
    submit(slot, labeler)
    with pytest.raises(NotFound):
        recall.recall_slot(slot_id=slot.public_id, labeler=contractor_of(project))
    assert Demonstration.objects.count() == 1
