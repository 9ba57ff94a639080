"""A project with work."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labeling.assignments.models import Slot
from labeling.core.clock import db_now
from labeling.demonstrations import services as demonstrations
from labeling.people.models import User
from labeling.projects.models import Project
from tests.factories import ProjectFactory, PromptFactory, contractor_of


@pytest.fixture
def project(db: None) -> Project:
    """A project without tasks."""
    return ProjectFactory()


@pytest.fixture
def labeler(project: Project) -> User:
    """A contractor who may work."""
    return contractor_of(project)


def had_for(slot: Slot, **length: float) -> Slot:
    """The slot, claimed that long ago."""
    Slot.objects.filter(pk=slot.pk).update(leased_at=db_now() - timedelta(**length))
    return slot


def open_tasks(project: Project, n: int, **settings: object):
    """A batch of n demonstration tasks."""
    prompts = PromptFactory.create_batch(n, project=project)
    return demonstrations.create_demonstration_tasks(project=project, prompts=prompts, by=None, **settings)
