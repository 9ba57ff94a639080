"""An admin, their browser, and the addresses of a project's pages."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from labeling.people.models import Role, User
from labeling.projects.models import Membership
from tests.factories import MembershipFactory, UserFactory


@pytest.fixture
def admin(db: None) -> Membership:
    """Ada, the admin of a new project."""
    return MembershipFactory(role=Role.ADMIN, user=UserFactory(name="Ada"))


@pytest.fixture
def as_admin(client: Client, admin: Membership) -> Client:
    """A client in which the admin is signed in."""
    client.force_login(admin.user)
    return client


def signed_in(person: User) -> Client:
    """A client of its own in which this person is signed in."""
    client = Client()
    client.force_login(person)
    return client


def at(name: str, place: Membership, *parts: object) -> str:
    """The address of a page of this member's project."""
    return reverse(name, args=[place.project.slug, *parts])
