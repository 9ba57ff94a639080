"""A labeler who sees personal data in a prompt takes it out of everybody's hands at once (PRIV-1)."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client

from labeling.assignments import claim, selectors
from labeling.assignments.models import Skip, Slot
from labeling.assignments.skip import skip_slot
from labeling.core.models import Event
from labeling.datasets.rules import candidates, check_rules
from labeling.demonstrations.services import submit_demonstration
from labeling.people.models import Role, User
from labeling.projects.models import Project
from labeling.prompts import quarantine
from labeling.prompts.models import Prompt
from tests.factories import MembershipFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks
from tests.labeling.conftest import at, signed_in

pytestmark = pytest.mark.django_db


def report(project: Project, labeler: User) -> Slot:
    slot = claim.claim_slot(project=project, labeler=labeler)
    assert slot is not None
    answer = signed_in(labeler).post(f"/p/{project.slug}/work/{slot.public_id}/skip/", {"reason": "personal"})
    assert answer.status_code == 302
    return slot


def test_nobody_gets_it_before_a_person_has_decided(project: Project, labeler: User) -> None:
    open_tasks(project, 1, overlap=2)
    report(project, labeler)
    prompt = Prompt.objects.get()
    assert (prompt.state, prompt.personal_data, Skip.objects.get().reason) == ("quarantined", ["reported"], "personal")
    assert Event.objects.get(verb="reported personal data in").actor == labeler
    other = contractor_of(project)
    assert claim.claim_slot(project=project, labeler=other) is None
    assert not selectors.has_work(project=project, labeler=other, kind="demonstration")
    quarantine.decide(project=project, prompts=[prompt.pk], decision="accept", by=labeler)
    prompt.refresh_from_db()
    assert (prompt.state, prompt.personal_data) == ("active", [])
    assert claim.claim_slot(project=project, labeler=other) is not None
    assert claim.claim_slot(project=project, labeler=labeler) is None  # who reported it never sees it again


def test_what_was_written_for_it_waits_outside_snapshots(project: Project, labeler: User) -> None:
    open_tasks(project, 1, overlap=2)
    author = contractor_of(project)
    slot = claim.claim_slot(project=project, labeler=author)
    said = {"slot_id": slot.public_id, "labeler": author, "token": slot.lease_token, "submission": uuid.uuid4()}
    submit_demonstration(**said, text="An answer.")
    rules = check_rules("demonstrations", {})
    assert candidates(project=project, kind="demonstrations", rules=rules).rows.count() == 1
    report(project, labeler)
    found = candidates(project=project, kind="demonstrations", rules=rules)
    assert (found.rows.count(), found.excluded) == (0, {"with a prompt in quarantine": 1})


def test_the_admin_reads_that_a_labeler_reported_it(client: Client, project: Project, labeler: User) -> None:
    open_tasks(project, 1)
    report(project, labeler)
    place = MembershipFactory(project=project, role=Role.ADMIN)
    client.force_login(place.user)
    for page in (
        at("prompts-quarantine", place) + "?kind=reported",
        at("prompt", place, Prompt.objects.get().public_id),
    ):
        assert "reported by a labeler" in client.get(page).content.decode()


def test_a_prompt_that_is_out_already_stays_where_it_is(project: Project, labeler: User) -> None:
    open_tasks(project, 1)
    slot = claim.claim_slot(project=project, labeler=labeler)
    Prompt.objects.update(state="withdrawn")
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token}
    skip_slot(**said, reason="personal")
    assert Prompt.objects.get().state == "withdrawn"
