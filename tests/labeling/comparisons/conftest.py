"""A comparison to be ranked."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from labeling.assignments import claim
from labeling.comparisons.models import Completion
from labeling.comparisons.services import create_comparisons
from labeling.people.models import User
from labeling.projects.models import Project
from tests.factories import ProjectFactory, PromptFactory, completions_of, contractor_of
from tests.labeling.assignments.conftest import had_for


@pytest.fixture
def project(db: None) -> Project:
    """A project without tasks."""
    return ProjectFactory()


@pytest.fixture
def labeler(project: Project) -> User:
    """A contractor who may work."""
    return contractor_of(project)


@pytest.fixture
def four(project: Project) -> list[Completion]:
    """Four completions of one prompt."""
    return completions_of(PromptFactory(project=project), 4)


@pytest.fixture
def said(project: Project, labeler: User, four: list[Completion]) -> dict[str, Any]:
    """What a good ranking of the four says: first > fourth > second = third."""
    create_comparisons(project=project, groups=[four], by=None, overlap=1)
    slot = had_for(claim.claim_slot(project=project, labeler=labeler), minutes=5)
    a, b, c, d = (row.pk for row in four)
    return {
        "slot_id": slot.public_id,
        "labeler": labeler,
        "token": slot.lease_token,
        "submission": uuid.uuid4(),
        "tiers": [[a], [d], [b, c]],
        "ratings": {a: {"quality": 7, "flags": []}, c: {"quality": 2, "flags": ["opinion", "off_task"]}},
        "reason": " Clearer. ",
        "prompt_flags": ["ambiguous"],
        "active_seconds": 20,
    }
