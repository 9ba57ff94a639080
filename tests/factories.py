"""Rows for tests. Every factory makes something that could exist: constraints and triggers hold here too."""

from __future__ import annotations

from typing import Any

import factory
from django.utils import timezone

from labeling.people.models import Role, User
from labeling.projects.models import Acceptance, Guideline, Membership, Project
from labeling.prompts.models import Prompt

PASSWORD = "correct horse battery staple"


class UserFactory(factory.django.DjangoModelFactory[User]):
    """Somebody who can log in with PASSWORD."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.org")
    name = factory.Sequence(lambda n: f"Person {n}")

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **fields: Any) -> User:
        password = fields.pop("password", PASSWORD)
        return model_class.objects.create_user(fields.pop("email"), password, **fields)


class ProjectFactory(factory.django.DjangoModelFactory[Project]):
    """A project without members."""

    class Meta:
        model = Project

    name = factory.Sequence(lambda n: f"Project {n}")
    slug = factory.Sequence(lambda n: f"project-{n}")
    seed = 7


class MembershipFactory(factory.django.DjangoModelFactory[Membership]):
    """An active contractor of a new project."""

    class Meta:
        model = Membership

    project = factory.SubFactory(ProjectFactory)
    user = factory.SubFactory(UserFactory)
    role = Role.CONTRACTOR
    state = Membership.State.ACTIVE


class GuidelineFactory(factory.django.DjangoModelFactory[Guideline]):
    """A published version; `published=False` makes the draft."""

    class Meta:
        model = Guideline

    class Params:
        published = True

    project = factory.SubFactory(ProjectFactory)
    version = factory.Maybe("published", factory.Sequence(lambda n: n + 1), 0)
    body = "Be helpful, truthful and harmless."
    published_at = factory.Maybe("published", factory.LazyFunction(timezone.now), None)


class AcceptanceFactory(factory.django.DjangoModelFactory[Acceptance]):
    """Somebody has accepted a guideline."""

    class Meta:
        model = Acceptance

    guideline = factory.SubFactory(GuidelineFactory)
    user = factory.SubFactory(UserFactory)


class PromptFactory(factory.django.DjangoModelFactory[Prompt]):
    """An active one-turn prompt of the train split."""

    class Meta:
        model = Prompt

    class Params:
        text = factory.Sequence(lambda n: f"Explain number {n} to a child.")

    project = factory.SubFactory(ProjectFactory)
    messages = factory.LazyAttribute(lambda prompt: [{"role": "user", "content": prompt.text}])
    summary = factory.LazyAttribute(lambda prompt: prompt.text[:200])
    split = Prompt.Split.TRAIN
    content_hash = factory.Sequence(lambda n: f"{n:064x}")
