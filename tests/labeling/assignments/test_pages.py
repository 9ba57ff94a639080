"""A contractor's pages without script, and an admin's batches."""

from __future__ import annotations

import pytest
from django.urls import reverse

from labeling.assignments import claim
from labeling.assignments.models import QueueCursor, Skip, Slot, TaskBatch
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Project
from tests.factories import (
    GuidelineFactory,
    MembershipFactory,
    PromptFactory,
    UserFactory,
    completions_of,
    contractor_of,
)
from tests.labeling.assignments.conftest import open_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def contractor(client, labeler):
    client.force_login(labeler)
    return client


@pytest.fixture
def admin(client, project):
    user = UserFactory()
    MembershipFactory(project=project, user=user, role="admin")
    client.force_login(user)
    return client


def url(name: str, project: Project, *args: object) -> str:
    return reverse(name, args=[project.slug, *args])


def start(client, project, kind="demonstration") -> Slot:
    answer = client.post(url("next", project), {"kind": kind})
    slot = Slot.objects.get(state="leased")
    assert answer.url == url("work", project, slot.public_id)
    return slot


def hidden(client, project, slot) -> dict[str, str]:
    page = client.get(url("work", project, slot.public_id))
    return {name: str(page.context[name]) for name in ("token", "submission", "active_seconds")}


def test_looking_writes_nothing(contractor, project, labeler):
    open_tasks(project, 2)
    for name in ("queue", "next"):
        contractor.get(url(name, project), follow=True)
    assert set(Slot.objects.values_list("state", flat=True)) == {"open"}
    assert not QueueCursor.objects.exists()
    slot = start(contractor, project)
    before = Slot.objects.values().get(pk=slot.pk)
    assert contractor.get(url("work", project, slot.public_id)).status_code == 200
    assert contractor.get(url("next", project)).url == url("work", project, slot.public_id)
    assert Slot.objects.values().get(pk=slot.pk) == before


def test_a_demonstration_goes_through_without_script_and_leads_to_the_next(contractor, project, labeler):
    open_tasks(project, 2)
    slot = start(contractor, project)
    said = {**hidden(contractor, project, slot), "text": "Line one\r\n\r\nLine two", "check": ["0", "1", "2", "3"]}
    answer = contractor.post(url("work", project, slot.public_id), said)
    following = Slot.objects.get(state="leased")
    assert answer.url == url("work", project, following.public_id)
    made = Demonstration.objects.get()
    assert (made.text, made.labeler) == ("Line one\n\nLine two", labeler)
    page = contractor.get(answer.url)
    assert url("work-recall", project, slot.public_id) in page.content.decode()
    assert "1 of 40 today" in page.content.decode()
    contractor.post(url("work", project, slot.public_id), said)
    assert Demonstration.objects.count() == 1


def test_what_is_missing_is_said_and_everything_is_kept(contractor, project):
    open_tasks(project, 1)
    slot = start(contractor, project)
    said = {**hidden(contractor, project, slot), "text": "Half <b>an</b> answer", "check": ["1"]}
    page = contractor.post(url("work", project, slot.public_id), said)
    html = page.content.decode()
    assert page.status_code == 400
    assert "3 of 4 checks left" in html
    assert "Half &lt;b&gt;an&lt;/b&gt; answer" in html
    assert 'value="1" checked' in html
    assert said["submission"] in html
    assert not Demonstration.objects.exists()


def test_saving_and_previewing_without_script(contractor, project):
    open_tasks(project, 1)
    slot = start(contractor, project)
    said = {**hidden(contractor, project, slot), "text": "**Bold** <script>alert(1)</script>", "check": []}
    page = contractor.post(url("work", project, slot.public_id), {**said, "act": "preview"})
    assert "<strong>Bold</strong>" in page.content.decode()
    assert "<script>alert" not in page.content.decode()
    contractor.post(url("work", project, slot.public_id), {**said, "act": "save"})
    slot.refresh_from_db()
    assert slot.draft["text"].startswith("**Bold**")


def test_skipping_without_script(contractor, project, labeler):
    open_tasks(project, 1)
    slot = start(contractor, project)
    page = contractor.post(url("work-skip", project, slot.public_id), {"note": "?"})
    assert (page.status_code, Skip.objects.count()) == (400, 0)
    assert "Choose a reason" in page.content.decode()
    answer = contractor.post(url("work-skip", project, slot.public_id), {"reason": "unsafe", "note": ""})
    assert answer.url == url("queue", project)
    assert Skip.objects.get().reason == "unsafe"


def test_taking_back_opens_the_task_with_the_text(contractor, project):
    open_tasks(project, 1)
    slot = start(contractor, project)
    said = {**hidden(contractor, project, slot), "text": "Too soon", "check": ["0", "1", "2", "3"]}
    contractor.post(url("work", project, slot.public_id), said)
    answer = contractor.post(url("work-recall", project, slot.public_id))
    assert "Too soon" in contractor.get(answer.url).content.decode()


@pytest.mark.parametrize("field", ["token", "submission", "active_seconds"])
def test_damaged_hidden_fields_are_refused(contractor, project, field):
    open_tasks(project, 1)
    slot = start(contractor, project)
    said = {**hidden(contractor, project, slot), "text": "x", "check": ["0", "1", "2", "3"], field: "damaged"}
    page = contractor.post(url("work", project, slot.public_id), said)
    assert page.status_code == 400
    assert not Demonstration.objects.exists()


def test_the_work_of_others_is_not_shown(contractor, project):
    open_tasks(project, 1)
    other = contractor_of(project)
    slot = claim.claim_slot(project=project, labeler=other)
    assert contractor.get(url("work", project, slot.public_id)).url == url("queue", project)
    assert contractor.post(url("work", project, slot.public_id), {"text": "x"}).status_code == 404
    assert contractor.post(url("demonstration-preview", project, slot.public_id), {"text": "x"}).status_code == 404
    assert contractor.get(url("work-skip", project, slot.public_id)).status_code == 302


def test_without_the_current_guideline_the_way_leads_there(contractor, project):
    open_tasks(project, 1)
    GuidelineFactory(project=project, version=10_000)
    assert "Read and accept" in contractor.get(url("queue", project)).content.decode()
    assert contractor.post(url("next", project)).url == url("guideline", project)


def test_an_empty_queue_says_so(contractor, project):
    assert "Nothing to do right now" in contractor.get(url("queue", project)).content.decode()
    assert contractor.post(url("next", project)).url == url("queue", project)


def test_strangers_and_engineers_have_no_queue(client, project):
    client.force_login(UserFactory())
    assert client.get(url("queue", project)).status_code == 404
    engineer = UserFactory()
    MembershipFactory(project=project, user=engineer, role="engineer")
    client.force_login(engineer)
    assert client.post(url("next", project)).status_code == 403
    assert client.get(url("batches", project)).status_code == 200


# ---- batches


def test_contractors_see_no_batches(contractor, project):
    for name in ("batches", "batch-new"):
        assert contractor.get(url(name, project)).status_code == 403


def test_counts_come_before_creating(admin, project):
    PromptFactory.create_batch(3, project=project, category="maths")
    PromptFactory(project=project)
    choice = {"kind": "demonstration", "split": "train", "category": "maths", "overlap": "2"}
    page = admin.get(url("batch-new", project), choice)
    assert page.context["plan"].tasks == 3
    assert "6 demonstrations will be asked for" in page.content.decode()
    assert not TaskBatch.objects.exists()
    answer = admin.post(url("batch-new", project), choice)
    batch = TaskBatch.objects.get()
    assert answer.url == url("batch", project, batch.public_id)
    assert Slot.objects.filter(task__batch=batch).count() == 6
    assert admin.get(answer.url).status_code == 200
    assert admin.get(url("batch-new", project), choice).context["plan"].tasks == 0


def test_comparisons_are_created_from_stored_completions(admin, project):
    prompts = PromptFactory.create_batch(2, project=project)
    policy = completions_of(prompts[0], 4)[0].checkpoint
    choice = {
        "kind": "comparison",
        "split": "train",
        "checkpoints": [str(policy.public_id)],
        "k": "4",
        "purpose": "training",
    }
    page = admin.get(url("batch-new", project), choice)
    assert (page.context["plan"].tasks, page.context["form"].errors) == (1, {})
    admin.post(url("batch-new", project), choice)
    assert TaskBatch.objects.get().settings["purpose"] == "training"
    page = admin.get(url("batch-new", project), choice)
    assert "kind=sample" in page.content.decode()


@pytest.mark.parametrize(("purpose", "split"), [("evaluation", "train"), ("training", "test")])
def test_held_out_prompts_stay_apart(admin, project, purpose, split):
    policy = completions_of(PromptFactory(project=project, split=split), 4)[0].checkpoint
    choice = {
        "kind": "comparison",
        "split": split,
        "checkpoints": [str(policy.public_id)],
        "k": "4",
        "purpose": purpose,
    }
    page = admin.post(url("batch-new", project), choice)
    assert page.status_code == 400
    assert "split" in page.context["form"].errors
    assert not TaskBatch.objects.exists()


def test_pause_resume_withdraw(admin, project):
    batch = open_tasks(project, 2)
    admin.post(url("batch-pause", project, batch.public_id))
    assert set(Slot.objects.values_list("state", flat=True)) == {"paused"}
    admin.post(url("batch-resume", project, batch.public_id))
    page = admin.get(url("batch-withdraw", project, batch.public_id)).content.decode()
    assert "2 tasks that are not done" in page
    assert set(Slot.objects.values_list("state", flat=True)) == {"open"}
    admin.post(url("batch-withdraw", project, batch.public_id))
    assert set(Slot.objects.values_list("state", flat=True)) == {"withdrawn"}


def test_the_list_takes_the_same_queries_for_many_batches(admin, project, django_assert_max_num_queries):
    for _ in range(12):
        open_tasks(project, 1)
    address, filters = url("batches", project), {"kind": "demonstration", "state": "open"}
    admin.get(address, filters)  # the pace of the week is counted once a minute
    with django_assert_max_num_queries(11):
        page = admin.get(address, filters)
    assert len(page.context["rows"]) == 12
