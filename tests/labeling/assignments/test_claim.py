"""Claiming: who gets what, once, in which order (DATA-3, LOAD-1, LOAD-2)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from labeling.assignments import claim, leases, skip
from labeling.assignments.models import KeptDraft, QueueCursor, Slot
from labeling.core.errors import BadInput, NotAllowed
from labeling.demonstrations import services as demonstrations
from labeling.people.models import Role
from labeling.projects.models import Membership
from tests.factories import GuidelineFactory, MembershipFactory, ProjectFactory, UserFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks

pytestmark = pytest.mark.django_db


def test_a_claim_leases_one_slot_under_the_accepted_guideline(project, labeler):
    open_tasks(project, 3)
    slot = claim.claim_slot(project=project, labeler=labeler)
    slot.refresh_from_db()
    assert (slot.state, slot.labeler, slot.guideline.version) == ("leased", labeler, project.guidelines.first().version)
    assert slot.lease_token is not None
    assert slot.lease_expires_at - slot.leased_at == timedelta(minutes=project.lease_minutes)
    assert Slot.objects.filter(state="leased").count() == 1


def test_asking_again_gives_the_same_slot_and_renews_it(project, labeler):
    open_tasks(project, 3)
    first = claim.claim_slot(project=project, labeler=labeler)
    Slot.objects.update(lease_expires_at=timezone.now() + timedelta(minutes=1))
    again = claim.claim_slot(project=project, labeler=labeler, kinds=["comparison"])
    assert (again.pk, again.lease_token) == (first.pk, first.lease_token)
    assert again.lease_expires_at > timezone.now() + timedelta(minutes=20)
    assert Slot.objects.filter(state="leased").count() == 1


def test_the_same_person_never_gets_a_task_twice(project, labeler):
    open_tasks(project, 2, overlap=3)
    seen = []
    while slot := claim.claim_slot(project=project, labeler=labeler):
        seen.append(slot.task_id)
        submit(slot, labeler)
    assert len(seen) == 2 == len(set(seen))
    assert Slot.objects.filter(state="open").count() == 4


def submit(slot: Slot, labeler) -> None:
    demonstrations.submit_demonstration(
        slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, submission=slot.public_id, text="An answer."
    )


def test_higher_priority_comes_first_also_when_it_comes_later(project, labeler):
    open_tasks(project, 3)
    submit(claim.claim_slot(project=project, labeler=labeler), labeler)
    urgent = open_tasks(project, 2, priority=5)
    claimed = []
    for _ in range(2):
        claimed.append(claim.claim_slot(project=project, labeler=labeler))
        submit(claimed[-1], labeler)
    assert {slot.task.batch_id for slot in claimed} == {urgent.pk}
    assert claim.claim_slot(project=project, labeler=labeler).task.batch_id != urgent.pk


def test_skipped_tasks_never_come_back(project, labeler):
    open_tasks(project, 2, overlap=2)
    slot = claim.claim_slot(project=project, labeler=labeler)
    skip.skip_slot(slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, reason="outside")
    other = claim.claim_slot(project=project, labeler=labeler)
    assert other.task_id != slot.task_id
    submit(other, labeler)
    assert claim.claim_slot(project=project, labeler=labeler) is None


def test_the_search_wraps_around_past_the_cursor(project, labeler):
    open_tasks(project, 5)
    last = Slot.objects.order_by("rnd").last()
    QueueCursor.objects.create(labeler=labeler, project=project, kind="demonstration", priority=0, rnd=last.rnd)
    order = []
    while slot := claim.claim_slot(project=project, labeler=labeler):
        order.append(slot.pk)
        submit(slot, labeler)
    by_rnd = list(Slot.objects.order_by("rnd").values_list("pk", flat=True))
    assert order == [by_rnd[-1], *by_rnd[:-1]]


def test_work_behind_many_judged_tasks_is_found_window_by_window(project, labeler, monkeypatch):
    monkeypatch.setattr(claim, "WINDOW", 4)
    open_tasks(project, 10, overlap=2)
    for _ in range(10):
        submit(claim.claim_slot(project=project, labeler=labeler), labeler)
    late = open_tasks(project, 1)
    Slot.objects.filter(task__batch=late).update(rnd=claim.RND_RANGE - 1)
    QueueCursor.objects.all().delete()
    assert claim.claim_slot(project=project, labeler=labeler).task.batch_id == late.pk


def test_a_claim_that_runs_out_of_windows_goes_on_where_it_stopped(project, labeler, monkeypatch):
    monkeypatch.setattr(claim, "WINDOW", 2)
    monkeypatch.setattr(claim, "MAX_WINDOWS", 2)
    open_tasks(project, 6, overlap=2)
    other = contractor_of(project)
    monkeypatch.setattr(claim, "MAX_WINDOWS", 50)
    for _ in range(6):
        submit(claim.claim_slot(project=project, labeler=labeler), labeler)
    fresh = open_tasks(project, 1)
    Slot.objects.filter(task__batch=fresh).update(rnd=claim.RND_RANGE - 1)
    QueueCursor.objects.all().delete()
    monkeypatch.setattr(claim, "MAX_WINDOWS", 2)
    assert claim.claim_slot(project=project, labeler=labeler) is None
    assert claim.claim_slot(project=project, labeler=labeler).task.batch_id == fresh.pk
    assert claim.claim_slot(project=project, labeler=other) is not None


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda project, user: Membership.objects.filter(user=user).update(state="paused"), "not_active"),
        (lambda project, user: Membership.objects.filter(user=user).update(role=Role.ADMIN), "not_a_contractor"),
        (lambda project, user: Membership.objects.filter(user=user).delete(), "not_a_contractor"),
        (lambda project, user: type(project).objects.update(is_paused=True), "paused"),
        (lambda project, user: GuidelineFactory(project=project, version=10_000), "guideline_required"),
    ],
)
def test_who_may_not_work_gets_nothing(project, labeler, spoil, code):
    open_tasks(project, 1)
    spoil(project, labeler)
    with pytest.raises(NotAllowed) as refused:
        claim.claim_slot(project=project, labeler=labeler)
    assert refused.value.extra["code"] == code
    assert Slot.objects.get().state == "open"


def test_without_a_published_guideline_there_is_no_work():
    project, user = ProjectFactory(), UserFactory()
    MembershipFactory(project=project, user=user)
    open_tasks(project, 1)
    with pytest.raises(NotAllowed) as refused:
        claim.claim_slot(project=project, labeler=user)
    assert refused.value.extra["code"] == "no_guideline"


def test_an_unknown_kind_is_named(project, labeler):
    with pytest.raises(BadInput, match="Known: demonstration, own_prompt, comparison"):
        claim.claim_slot(project=project, labeler=labeler, kinds=["essay"])


def test_a_kept_draft_comes_back_with_the_task(project, labeler):
    open_tasks(project, 1)
    slot = claim.claim_slot(project=project, labeler=labeler)
    leases.save_draft(slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, draft={"text": "Half a"})
    Slot.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert leases.expire_leases() == 1
    again = claim.claim_slot(project=project, labeler=labeler)
    assert (again.pk, again.draft) == (slot.pk, {"text": "Half a"})
    assert not KeptDraft.objects.exists()


def test_the_claim_reads_the_partial_index_and_few_rows(project, labeler):
    open_tasks(project, 600)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE assignments_slot")
        cursor.execute("SET LOCAL enable_seqscan = off")
        values = {"project": project.pk, "kind": "demonstration", "priority": 0, "rnd": 0, "id": -1, "window": 200}
        values["unwanted"] = []
        values |= {"until": claim.RND_RANGE, "labeler": labeler.pk, "guideline": None, "minutes": 30}
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + claim.CLAIM, values)
        plan = cursor.fetchone()[0]
    plan = json.loads(plan) if isinstance(plan, str) else plan
    scans = [node for node in nodes(plan[0]["Plan"]) if node.get("Index Name") == "slot_queue"]
    assert len(scans) == 1
    assert scans[0]["Actual Rows"] <= 200
    assert "rnd" in scans[0]["Index Cond"] and "kind" in scans[0]["Index Cond"]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
