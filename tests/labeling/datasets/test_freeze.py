"""Which rows a snapshot holds, and that it stays so."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import RestrictedError
from django.test import Client

from labeling.core.errors import BadInput, Conflict
from labeling.core.models import Event
from labeling.datasets import services
from labeling.datasets.models import Snapshot, SnapshotMember
from labeling.demonstrations.models import Demonstration
from labeling.people.models import Role
from labeling.projects.models import Project
from tests.factories import MembershipFactory, PromptFactory

Make = Callable[..., Any]


def test_freezing_takes_the_current_revisions_and_counts_the_rest(project: Project, demonstrate: Make) -> None:
    first = demonstrate("First try.")
    edited = Demonstration.objects.create(
        project=project,
        prompt=first.prompt,
        task=first.task,
        slot=first.slot,
        labeler=first.labeler,
        submission=uuid.uuid4(),
        text="Second try.",
        supersedes=first,
    )
    late = demonstrate("Too late.", late=True)
    held_out = demonstrate("Held out.", split="test")
    frozen = services.freeze(project=project, kind="demonstrations")
    assert [member.demonstration for member in frozen.members.all()] == [edited]
    assert frozen.rows == 1
    assert frozen.excluded == {"replaced by a later revision": 1, "late": 1, "in another split": 1}
    assert {late.pk, held_out.pk}.isdisjoint(frozen.members.values_list("demonstration", flat=True))
    assert Event.objects.get(verb="froze").after["rows"] == 1


def test_rankings_for_evaluation_are_never_in_a_training_snapshot(project: Project, rank: Make) -> None:
    trained = rank([1, 2])
    evaluated = rank([1, 2], split="test", purpose="evaluation")
    training = services.freeze(project=project, kind="rankings")
    held_out = services.freeze(project=project, kind="rankings", name="eval", rules={"purpose": "evaluation"})
    assert list(training.members.values_list("ranking", flat=True)) == [trained.pk]
    assert training.excluded == {"for another purpose": 1}
    assert list(held_out.members.values_list("ranking", "split")) == [(evaluated.pk, "test")]


def test_rules_narrow_and_the_limit_takes_the_oldest(project: Project, demonstrate: Make) -> None:
    rows = [demonstrate(f"Answer {n}.", round_number=n) for n in (1, 1, 2)]
    frozen = services.freeze(project=project, kind="demonstrations", rules={"round_number": 1, "limit": 1})
    assert list(frozen.members.values_list("demonstration", flat=True)) == [rows[0].pk]
    assert frozen.excluded == {"from another round": 1, "over the limit": 1}


def test_work_submitted_later_does_not_join(project: Project, demonstrate: Make) -> None:
    demonstrate()
    frozen = services.freeze(project=project, kind="demonstrations")
    demonstrate()
    assert frozen.members.count() == frozen.rows == 1


@pytest.mark.parametrize(
    ("kind", "rules", "field"),
    [
        ("images", {}, "kind"),
        ("prompts", {"purpose": "training"}, "purpose"),
        ("rankings", {"purpose": "fun"}, "purpose"),
        ("rankings", {"splits": ["dev"]}, "splits"),
        ("rankings", {"splits": "train"}, "splits"),
        ("rankings", {"limit": 0}, "limit"),
        ("rankings", {"limit": "7"}, "limit"),
        ("demonstrations", {"labeler__password": "x"}, "labeler__password"),
    ],
)
def test_wrong_rules_name_the_field_and_freeze_nothing(
    project: Project, kind: str, rules: dict[str, Any], field: str, demonstrate: Make, rank: Make
) -> None:
    demonstrate()
    rank([1, 2])
    with pytest.raises(BadInput) as refusal:
        services.freeze(project=project, kind=kind, rules=rules)
    assert refusal.value.field == field
    assert not Snapshot.objects.exists()


def test_the_work_of_people_who_are_left_out_stays_outside(client: Client, project: Project, demonstrate: Make) -> None:
    clicker = MembershipFactory(project=project)
    kept = demonstrate("Careful.")
    demonstrate("Careless.", author=clicker)
    engineer = MembershipFactory(project=project, role=Role.ENGINEER)
    client.force_login(engineer.user)
    said = {"kind": "demonstrations", "without_labelers": [str(clicker.labeler_key)]}
    assert client.post(f"/p/{project.slug}/snapshots/new/", said).status_code == 302
    frozen = Snapshot.objects.get()
    assert [member.demonstration for member in frozen.members.all()] == [kept]
    assert frozen.excluded == {"by people who are left out": 1}
    assert frozen.rules["without_labelers"] == [str(clicker.labeler_key)]
    page = client.get(f"/p/{project.slug}/snapshots/{frozen.public_id}/").content.decode()
    assert f"<dt>Without the work of</dt><dd>{clicker.labeler_key}</dd>" in page
    assert "<dt>Splits</dt><dd>Train, Validation</dd>" in page and "ithout_labelers" not in page
    stranger = str(MembershipFactory().labeler_key)  # of another project
    with pytest.raises(BadInput) as refused:
        services.freeze(project=project, kind="demonstrations", rules={"without_labelers": [stranger]})
    assert refused.value.field == "without_labelers"


def test_an_empty_snapshot_is_refused_and_leaves_nothing(project: Project) -> None:
    PromptFactory(project=project, split="test")
    with pytest.raises(Conflict, match="1 in another split"):
        services.freeze(project=project, kind="prompts")
    assert not Snapshot.objects.exists()


def test_a_name_is_used_once_per_project(project: Project, demonstrate: Make) -> None:
    demonstrate()
    services.freeze(project=project, kind="demonstrations", name="week 1")
    with pytest.raises(Conflict, match="week 1"):
        services.freeze(project=project, kind="demonstrations", name="week 1")
    assert Snapshot.objects.count() == 1


def test_frozen_work_can_not_be_deleted(project: Project, demonstrate: Make) -> None:
    row = demonstrate()
    services.freeze(project=project, kind="demonstrations")
    with pytest.raises(RestrictedError), transaction.atomic():
        row.delete()
    assert Demonstration.objects.filter(pk=row.pk).exists()


def test_a_member_is_exactly_one_thing(project: Project, demonstrate: Make) -> None:
    demonstrate()
    frozen = services.freeze(project=project, kind="demonstrations")
    with pytest.raises(IntegrityError, match="a_member_is_one_thing"), transaction.atomic():
        SnapshotMember.objects.create(snapshot=frozen, ordinal=9, split="train")
