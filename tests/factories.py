"""Rows for tests. Every factory makes something that could exist: constraints and triggers hold here too."""

from __future__ import annotations

import uuid
from typing import Any

import factory
from django.utils import timezone

from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Completion
from labeling.core.files import artifact_path
from labeling.datasets.models import Snapshot
from labeling.people.models import Role, User
from labeling.projects.models import Acceptance, Guideline, Membership, Project
from labeling.prompts.models import Prompt
from labeling.runs.models import Run
from training.configs import config_for
from training.contracts import canonical_json, sha256_of, write_atomic

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


class CheckpointFactory(factory.django.DjangoModelFactory[Checkpoint]):
    """A policy without files; `kind` and `path` make it something else."""

    class Meta:
        model = Checkpoint

    project = factory.SubFactory(ProjectFactory)
    kind = Checkpoint.Kind.POLICY
    name = factory.Sequence(lambda n: f"checkpoint-{n}")
    path = factory.LazyAttribute(lambda checkpoint: f"runs/{checkpoint.name}/output")


class SnapshotFactory(factory.django.DjangoModelFactory[Snapshot]):
    """A ready snapshot whose one file holds `records` (rows of the contract), written under the artifact root."""

    class Meta:
        model = Snapshot

    class Params:
        records = factory.LazyFunction(list)

    project = factory.SubFactory(ProjectFactory)
    kind = Snapshot.Kind.PROMPTS
    name = factory.Sequence(lambda n: f"snapshot-{n}")
    rows = factory.LazyAttribute(lambda snapshot: len(snapshot.records) or 1)
    state = Snapshot.State.READY
    path = factory.LazyAttribute(lambda snapshot: f"snapshots/{snapshot.name}-{uuid.uuid4().hex[:8]}")
    files = factory.LazyAttribute(lambda snapshot: write_records(snapshot.path, snapshot.kind, snapshot.records))


def write_records(path: str, kind: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A JSONL file of these rows; returns what Snapshot.files says of it."""
    folder = artifact_path(path)
    folder.mkdir(parents=True)
    file = folder / f"{kind}.jsonl"
    write_atomic(file, "".join(canonical_json(record) + "\n" for record in records))
    return [{"path": file.name, "size": file.stat().st_size, "sha256": sha256_of(file), "rows": len(records)}]


class RunFactory(factory.django.DjangoModelFactory[Run]):
    """A queued PPO run without inputs or data: for lists and pages, not for starting."""

    class Meta:
        model = Run

    project = factory.SubFactory(ProjectFactory)
    kind = Run.Kind.PPO
    name = factory.Sequence(lambda n: f"run-{n}")
    config = factory.LazyAttribute(lambda run: config_for(run.kind, {}).to_dict())


def contractor_of(project: Project, **fields: Any) -> User:
    """A new active contractor who has accepted the project's newest guideline; one is published when there is none."""
    user = UserFactory(**fields)
    MembershipFactory(project=project, user=user)
    guideline = project.guidelines.filter(version__gt=0).first() or GuidelineFactory(project=project)
    AcceptanceFactory(guideline=guideline, user=user)
    return user


class CompletionFactory(factory.django.DjangoModelFactory[Completion]):
    """A short completion that its policy ended by itself."""

    class Meta:
        model = Completion

    prompt = factory.SubFactory(PromptFactory)
    project = factory.SelfAttribute("prompt.project")
    checkpoint = factory.SubFactory(CheckpointFactory, project=factory.SelfAttribute("..project"))
    text = factory.Sequence(lambda n: f"Answer number {n}.")
    finish_reason = "stop"
    token_count = 7
    logprob = -3.5
    temperature = 1.0
    top_p = 1.0
    max_new_tokens = 64


def completions_of(prompt: Prompt, k: int, **fields: Any) -> list[Completion]:
    """K completions of one prompt by one policy."""
    fields.setdefault("checkpoint", CheckpointFactory(project=prompt.project))
    return [CompletionFactory(prompt=prompt, **fields) for _ in range(k)]
