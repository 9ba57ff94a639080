"""How long the work will take, and moving a batch in the queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.assignments import forecast, services
from labeling.assignments.models import HIDDEN_PRIORITY, Slot, Task
from labeling.core.errors import BadInput
from labeling.people.models import Role, User
from labeling.projects.models import Project
from tests.factories import MembershipFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks

pytestmark = pytest.mark.django_db


def submit(slots: list[Slot], labeler: User, *, days_ago: float) -> None:
    """These slots were submitted then."""
    when = timezone.now() - timedelta(days=days_ago)
    for slot in slots:
        Slot.objects.filter(pk=slot.pk).update(state="submitted", labeler=labeler, submitted_at=when)


def test_days_left_follow_the_pace_of_the_last_week(project: Project, labeler: User) -> None:
    open_tasks(project, 30)
    slots = list(Slot.objects.order_by("pk"))
    submit(slots[:8], labeler, days_ago=2)
    submit(slots[8:12], contractor_of(project), days_ago=1)
    submit(slots[12:16], labeler, days_ago=20)
    Slot.objects.filter(pk=slots[-1].pk).update(priority=HIDDEN_PRIORITY)
    (told,) = forecast.forecasts(project)
    assert (told.kind.name, told.left, told.people) == ("demonstration", 13, 2)
    assert told.per_day == pytest.approx(6.0, abs=0.01)  # twelve in two days
    assert told.days == 3


def test_without_work_in_the_last_week_there_is_no_date(project: Project) -> None:
    open_tasks(project, 2)
    (told,) = forecast.forecasts(project)
    assert (told.left, told.people, told.days) == (2, 0, None)
    Slot.objects.update(state="withdrawn")
    assert forecast.forecasts(project) == []


def test_another_priority_moves_what_is_not_done_and_leaves_hidden_controls_hidden(
    project: Project, labeler: User
) -> None:
    batch = open_tasks(project, 3)
    done, hidden, waiting = Slot.objects.order_by("pk")
    submit([done], labeler, days_ago=1)
    Task.objects.filter(pk=done.task_id).update(state="done")
    Slot.objects.filter(pk=hidden.pk).update(priority=HIDDEN_PRIORITY)
    assert services.prioritise_batch(batch, priority=7, by=None) == 2
    got = dict(Slot.objects.values_list("pk", "priority"))
    assert got == {done.pk: 0, hidden.pk: HIDDEN_PRIORITY, waiting.pk: 7}
    with pytest.raises(BadInput):
        services.prioritise_batch(batch, priority=1001, by=None)


def test_pausing_and_prioritising_say_counts_first(client: Client, project: Project) -> None:
    batch = open_tasks(project, 3)
    client.force_login(MembershipFactory(project=project, role=Role.ENGINEER).user)
    pause = reverse("batch-pause", args=[project.slug, batch.public_id])
    assert "3 tasks will not be handed out" in client.get(pause).content.decode()
    assert Task.objects.filter(state="paused").count() == 0
    client.post(pause)
    assert Task.objects.filter(state="paused").count() == 3
    priority = reverse("batch-priority", args=[project.slug, batch.public_id])
    assert "3 tasks that are not done will move" in client.get(priority).content.decode()
    assert client.post(priority, {"priority": "5000"}).status_code == 400
    client.post(priority, {"priority": "5"})
    assert set(Task.objects.values_list("priority", flat=True)) == {5}
    page = client.get(reverse("batches", args=[project.slug])).content.decode()
    assert "Nobody has worked on these" not in page  # nothing is open while it is paused
