"""Active time is what the browser reports, and people are paid by it: never more of it counts than has really passed."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from labeling.assignments import claim, leases, screen
from labeling.assignments.models import KeptDraft, Slot
from labeling.comparisons.models import Ranking
from labeling.comparisons.services import create_comparisons, revise_ranking, submit_ranking
from labeling.core.clock import db_now
from labeling.demonstrations.models import Demonstration
from labeling.demonstrations.services import submit_demonstration
from tests.factories import PromptFactory, completions_of, contractor_of
from tests.labeling.assignments.conftest import open_tasks

pytestmark = pytest.mark.django_db
CHECKS = ["0", "1", "2", "3"]


@pytest.fixture
def clock(monkeypatch):
    """Now, for whatever counts active time; `pass_by` moves it on from when the last lease began."""

    def pass_by(slot: Slot, **length: float) -> None:
        moment = Slot.objects.get(pk=slot.pk).leased_at + timedelta(**length)
        monkeypatch.setattr(leases, "db_now", lambda: moment)
        monkeypatch.setattr(screen, "db_now", lambda: moment)

    return pass_by


@pytest.fixture
def slot(project, labeler) -> Slot:
    open_tasks(project, 1)
    return claim.claim_slot(project=project, labeler=labeler)


def submit(slot, labeler, **said) -> Demonstration:
    whose = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "submission": uuid.uuid4()}
    return submit_demonstration(**whose, text="Done.", **said)


def test_an_hour_claimed_a_minute_after_the_claim_is_a_minute(slot, labeler, clock):
    clock(slot, seconds=60)
    made = submit(slot, labeler, active_seconds=3600)
    assert (made.active_seconds, Slot.objects.get().active_seconds) == (60, 60)


def test_less_than_has_passed_counts_as_reported(slot, labeler, clock):
    clock(slot, seconds=60)
    assert submit(slot, labeler, active_seconds=45).active_seconds == 45


def test_what_a_draft_reported_is_capped_too(slot, labeler, clock):
    clock(slot, seconds=60)
    leases.save_draft(
        slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, draft={"text": "D"}, active_seconds=3600
    )
    assert submit(slot, labeler, active_seconds=5).active_seconds == 60


def test_a_claim_of_long_ago_still_gives_a_day_at_most(slot, labeler, clock):
    clock(slot, days=3)
    assert submit(slot, labeler, active_seconds=10**6).active_seconds == 86_400


def test_rankings_and_their_edits_are_capped_at_the_time_since_the_claim(project, labeler, clock):
    rows = completions_of(PromptFactory(project=project), 2)
    create_comparisons(project=project, groups=[rows], by=None, overlap=1)
    slot = claim.claim_slot(project=project, labeler=labeler)
    said = {"slot_id": slot.public_id, "labeler": labeler, "tiers": [[rows[0].pk], [rows[1].pk]]}
    clock(slot, seconds=60)
    submit_ranking(**said, token=slot.lease_token, submission=uuid.uuid4(), active_seconds=3600)
    clock(slot, seconds=90)
    revise_ranking(**said, submission=uuid.uuid4(), reason="Clearer.", active_seconds=3600)
    assert list(Ranking.objects.order_by("pk").values_list("active_seconds", flat=True)) == [60, 90]


def test_late_work_counts_from_when_its_author_had_the_task(project, slot, labeler, clock):
    token = slot.lease_token
    Slot.objects.update(leased_at=db_now() - timedelta(hours=2), lease_expires_at=db_now() - timedelta(seconds=1))
    began = Slot.objects.get().leased_at
    leases.expire_leases()
    theirs = claim.claim_slot(project=project, labeler=contractor_of(project))
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": token, "draft": {"text": "Still mine"}}
    with pytest.raises(leases.LeaseLost):
        leases.save_draft(**said)
    assert KeptDraft.objects.get().leased_at == began, "not since when the other has it"
    Slot.objects.filter(pk=slot.pk).update(leased_at=began)
    clock(slot, minutes=125)
    Slot.objects.filter(pk=slot.pk).update(leased_at=theirs.leased_at)
    made = submit(slot, labeler, active_seconds=10**9)
    assert (made.late, made.active_seconds) == (True, 125 * 60)
    assert Slot.objects.get().active_seconds == 0, "the other's time is their own"


def edit(client, project, slot, labeler, text, **hidden):
    client.force_login(labeler)
    address = reverse("work", args=[project.slug, slot.public_id])
    context = client.get(address).context
    said = {name: str(context[name]) for name in ("token", "submission", "opened")} | hidden
    return lambda: client.post(
        address, {**said, "revising": "1", "text": text, "check": CHECKS, "active_seconds": 3600}
    )


def test_an_edit_adds_no_more_than_its_page_was_open(client, project, slot, labeler, clock):
    clock(slot, seconds=60)
    submit(slot, labeler, active_seconds=40)
    clock(slot, hours=5)
    send = edit(client, project, slot, labeler, "Changed.")
    clock(slot, hours=5, seconds=30)
    assert send().status_code == 302
    assert Demonstration.objects.get(superseded_by=None).active_seconds == 40 + 30


@pytest.mark.parametrize("opened", ["", "2020-01-01T00:00:00+00:00", "forged:1:2"])
def test_an_edit_that_does_not_prove_when_its_page_was_opened_adds_nothing(
    client, project, slot, labeler, clock, opened
):
    clock(slot, seconds=60)
    submit(slot, labeler, active_seconds=40)
    clock(slot, hours=5)
    assert edit(client, project, slot, labeler, "Changed.", opened=opened)().status_code == 302
    assert Demonstration.objects.get(superseded_by=None).active_seconds == 40


def test_the_opening_of_another_tasks_page_proves_nothing(client, project, slot, labeler, clock):
    submit(slot, labeler, active_seconds=0)
    open_tasks(project, 1)
    other = claim.claim_slot(project=project, labeler=labeler)
    opened = screen.opened_now(other)
    clock(slot, hours=5)
    assert edit(client, project, slot, labeler, "Changed.", opened=opened)().status_code == 302
    assert Demonstration.objects.get(superseded_by=None).active_seconds == 0
