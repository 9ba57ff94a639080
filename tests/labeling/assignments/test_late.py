"""Two tabs, and work whose time ran out: nothing is lost, and the person is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.assignments import claim, leases
from labeling.assignments.models import KeptDraft, Slot
from labeling.core.errors import DraftChanged
from labeling.demonstrations.models import Demonstration
from tests.factories import contractor_of
from tests.labeling.assignments.conftest import had_for, open_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def slot(project, labeler) -> Slot:
    open_tasks(project, 1)
    return had_for(claim.claim_slot(project=project, labeler=labeler), days=2)


def save(slot, labeler, text, **changes):
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "draft": {"text": text}}
    return leases.save_draft(**said | changes)


def test_a_draft_is_not_written_over_a_newer_one(slot, labeler):
    nothing = leases.Base(None)
    first = save(slot, labeler, "From tab one", base=nothing)
    with pytest.raises(DraftChanged) as refused:
        save(slot, labeler, "From tab two", base=nothing)
    assert refused.value.extra == {"draft": {"text": "From tab one"}, "saved_at": first.draft_saved_at}
    assert Slot.objects.get().draft == {"text": "From tab one"}
    save(slot, labeler, "From tab one", base=nothing)  # the same text again: its answer was lost
    known = leases.Base(Slot.objects.get().draft_saved_at)
    assert save(slot, labeler, "Tab two, knowingly", base=known).draft == {"text": "Tab two, knowingly"}


def test_the_other_tabs_draft_comes_with_the_refusal(client, project, slot, labeler):
    client.force_login(labeler)
    address = reverse("api-draft", args=[project.slug, slot.public_id])
    body = {"token": str(slot.lease_token), "base": None}
    saved = client.put(address, {**body, "draft": {"text": "One"}}, content_type="application/json").json()
    refused = client.put(address, {**body, "draft": {"text": "Two"}}, content_type="application/json")
    assert refused.status_code == 409
    assert (refused.json()["code"], refused.json()["draft"]) == ("draft_changed", {"text": "One"})
    assert refused.json()["saved_at"] == saved["saved_at"]
    body |= {"base": saved["saved_at"]}
    assert client.put(address, {**body, "draft": {"text": "Two"}}, content_type="application/json").status_code == 200


def lose(slot, project, labeler) -> Slot:
    """Let the lease run out with a draft, and somebody else take the slot and write."""
    save(slot, labeler, "Mine, unfinished")
    Slot.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    leases.expire_leases()
    other = contractor_of(project)
    theirs = claim.claim_slot(project=project, labeler=other)
    save(theirs, other, "A secret of the other")
    return theirs


def test_work_whose_time_ran_out_opens_and_is_submitted_late(client, project, slot, labeler):
    theirs = lose(slot, project, labeler)
    client.force_login(labeler)
    address = reverse("work", args=[project.slug, slot.public_id])
    page = client.get(address)
    html = page.content.decode()
    assert "Mine, unfinished</textarea>" in html and "Your time for this task ran out" in html
    assert "A secret" not in html and str(Slot.objects.get().lease_token) not in html
    hidden = {name: str(page.context[name]) for name in ("token", "submission")} | {"active_seconds": "9" * 12}
    answer = client.post(address, {**hidden, "text": "Mine, done", "check": ["0", "1", "2", "3"]}, follow=True)
    assert "kept as late work" in answer.content.decode()
    made = Demonstration.objects.get()
    assert (made.text, made.late, made.active_seconds) == ("Mine, done", True, leases.MAX_ACTIVE_SECONDS)
    theirs.refresh_from_db()
    assert (theirs.state, theirs.draft) == ("leased", {"text": "A secret of the other"})
    assert "You submitted that task late" in client.get(address, follow=True).content.decode()


def test_work_that_nobody_took_meanwhile_is_in_time(client, project, slot, labeler):
    save(slot, labeler, "Mine")
    Slot.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    leases.expire_leases()
    client.force_login(labeler)
    page = client.get(reverse("work", args=[project.slug, slot.public_id]))
    hidden = {name: str(page.context[name]) for name in ("token", "submission", "active_seconds")}
    client.post(page.request["PATH_INFO"], {**hidden, "text": "Mine, done", "check": ["0", "1", "2", "3"]})
    assert (Demonstration.objects.get().late, Slot.objects.get().state) == (False, "submitted")
    assert not KeptDraft.objects.exists()


def test_drafts_that_went_back_are_all_listed_by_page(client, project, labeler):
    open_tasks(project, 23)
    for n, slot in enumerate(Slot.objects.order_by("pk")):
        KeptDraft.objects.create(task=slot.task, slot=slot, labeler=labeler, draft={"text": f"Draft {n}"})
    KeptDraft.objects.filter(draft={"text": "Draft 22"}).update(late_at=timezone.now())
    client.force_login(labeler)
    address = reverse("queue", args=[project.slug])
    first = client.get(address).context["kept"]
    rest = client.get(address + first.older).context["kept"]
    assert [draft.draft["text"] for draft in first] == [f"Draft {n}" for n in range(21, 1, -1)]
    assert [draft.draft["text"] for draft in rest] == ["Draft 1", "Draft 0"]
