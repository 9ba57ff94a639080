"""A project with work."""

from __future__ import annotations

import pytest

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


def open_tasks(project: Project, n: int, **settings: object):
    """A batch of n demonstration tasks."""
    prompts = PromptFactory.create_batch(n, project=project)
    return demonstrations.create_demonstration_tasks(project=project, prompts=prompts, by=None, **settings)
