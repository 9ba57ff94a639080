"""Work with a content warning comes only to people who said that they take it, and they can take that back."""

from __future__ import annotations

import pytest
from django.test import Client

from labeling.assignments import claim, selectors
from labeling.core.errors import NotAllowed
from labeling.core.models import Event
from labeling.demonstrations import services as demonstrations
from labeling.people.models import User
from labeling.projects import services
from labeling.projects.models import Membership, Project
from tests.factories import PromptFactory, contractor_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def warned(project: Project) -> Project:
    """A project whose category `violence` comes with a warning, and one such task."""
    project.warned_categories = ["violence"]
    project.save()
    prompts = [PromptFactory(project=project, category="violence")]
    demonstrations.create_demonstration_tasks(project=project, prompts=prompts, by=None)
    return project


def place(project: Project, user: User) -> Membership:
    return Membership.objects.get(project=project, user=user)


def test_it_is_not_handed_out_unasked(warned: Project, labeler: User) -> None:
    assert claim.claim_slot(project=warned, labeler=labeler) is None
    assert not selectors.has_work(project=warned, labeler=labeler, kind="demonstration")
    prompts = [PromptFactory(project=warned, category="cooking")]
    demonstrations.create_demonstration_tasks(project=warned, prompts=prompts, by=None, priority=-1)
    slot = claim.claim_slot(project=warned, labeler=labeler)
    assert slot is not None and slot.task.prompt.category == "cooking"


def test_who_takes_it_gets_it_until_they_say_no(warned: Project, labeler: User, client: Client) -> None:
    client.force_login(labeler)
    queue = f"/p/{warned.slug}/label/"
    assert "You are not given such work." in client.get(queue).content.decode()
    client.post(queue + "sensitive/", {"takes": "yes"})
    assert selectors.has_work(project=warned, labeler=labeler, kind="demonstration")
    assert claim.claim_slot(project=warned, labeler=labeler) is not None
    client.post(queue + "sensitive/", {"takes": "no"})
    assert not place(warned, labeler).takes_sensitive
    assert list(Event.objects.filter(verb__endswith="_sensitive").order_by("id").values_list("verb", flat=True)) == [
        "takes_sensitive",
        "leaves_sensitive",
    ]


def test_nobody_decides_it_for_another(warned: Project, labeler: User) -> None:
    other = contractor_of(warned)
    with pytest.raises(NotAllowed):
        services.take_sensitive_work(membership=place(warned, labeler), takes=True, by=other)
    assert not place(warned, labeler).takes_sensitive


def test_a_project_without_warnings_asks_nobody(project: Project, labeler: User, client: Client) -> None:
    client.force_login(labeler)
    assert "content warning" not in client.get(f"/p/{project.slug}/label/").content.decode()
