"""Rankings that change hands or minds: letters keep their meaning, edits are revisions, better answers become demonstrations."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.assignments import claim, leases, recall
from labeling.assignments.models import Slot
from labeling.comparisons import selectors
from labeling.comparisons.models import DisplayOrder, Ranking
from labeling.comparisons.services import create_comparisons, revise_ranking, submit_ranking
from labeling.core.errors import BadInput, Frozen, Reused
from labeling.datasets import services as datasets
from labeling.datasets.render import records
from labeling.demonstrations.models import Demonstration
from tests.factories import contractor_of

pytestmark = pytest.mark.django_db


def test_a_kept_draft_means_the_same_completions_in_another_slot(project, labeler, four):
    """Two slots of one task show their responses in different orders: a draft by letter must follow the completions."""
    create_comparisons(project=project, groups=[four], by=None, overlap=2)
    first = claim.claim_slot(project=project, labeler=labeler)
    second = Slot.objects.exclude(pk=first.pk).get()
    DisplayOrder.objects.filter(slot=second).delete()
    order = [selectors.shown(first)[letter] for letter in "DCBA"]
    DisplayOrder.objects.bulk_create(
        DisplayOrder(slot=second, completion=row, place=place) for place, row in enumerate(order, start=1)
    )
    said = {"slot_id": first.public_id, "labeler": labeler, "token": first.lease_token}
    leases.save_draft(**said, draft={"rank-A": "1", "q-B": "7", "flag-C": ["opinion"], "reason": "Because."})
    Slot.objects.filter(pk=first.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    leases.expire_leases()
    Slot.objects.filter(pk=first.pk).update(state="withdrawn")
    again = claim.claim_slot(project=project, labeler=labeler)
    assert again.pk == second.pk
    assert again.draft == {"rank-D": "1", "q-C": "7", "flag-B": ["opinion"], "reason": "Because."}


def test_an_edit_is_a_new_revision_with_rows_of_its_own(said, four):
    first = submit_ranking(**said)
    change = {name: value for name, value in said.items() if name != "token"}
    a, b, c, d = (row.pk for row in four)
    second = revise_ranking(**change | {"submission": uuid.uuid4(), "tiers": [[a, b, c, d]], "reason": "Equal."})
    assert (second.supersedes, second.reason) == (first, "Equal.")
    assert dict(first.items.values_list("completion", "rank")) == {a: 1, d: 2, b: 3, c: 3}
    assert set(second.items.values_list("rank", flat=True)) == {1}
    assert list(selectors.current(first.project)) == [second]


def test_a_frozen_ranking_stays(said, project):
    first = submit_ranking(**said)
    datasets.freeze(project=project, kind="rankings", write_now=True)
    change = {name: value for name, value in said.items() if name != "token"}
    with pytest.raises(Frozen):
        revise_ranking(**change | {"submission": uuid.uuid4()})
    assert list(Ranking.objects.all()) == [first]


def test_a_better_answer_becomes_a_demonstration_of_the_same_slot(said, project, labeler):
    ranking = submit_ranking(**said, better="Much clearer.")
    written = Demonstration.objects.get()
    assert (written.slot, written.task, written.prompt) == (ranking.slot, ranking.slot.task, ranking.slot.task.prompt)
    assert (written.text, written.labeler, written.guideline) == ("Much clearer.", labeler, ranking.guideline)
    snapshot = datasets.freeze(project=project, kind="demonstrations", write_now=True)
    assert [row["messages"][-1]["content"] for row in records(snapshot)] == ["Much clearer."]


def test_repeating_a_submission_with_a_better_answer_writes_it_once(said):
    submit_ranking(**said, better="Mine.")
    submit_ranking(**said, better="Mine.")
    assert Demonstration.objects.count() == 1
    with pytest.raises(Reused):
        submit_ranking(**said, better="Another.")


def test_an_edit_carries_the_better_answer_along(said):
    submit_ranking(**said, better="First.")
    change = {name: value for name, value in said.items() if name != "token"}
    revise_ranking(**change | {"submission": uuid.uuid4(), "better": "Second."})
    assert Demonstration.objects.get(superseded_by=None).supersedes.text == "First."
    revise_ranking(**change | {"submission": uuid.uuid4(), "better": "Second."})
    assert Demonstration.objects.count() == 2
    revise_ranking(**change | {"submission": uuid.uuid4(), "better": " "})
    assert Demonstration.objects.count() == 0


def test_a_better_answer_that_cannot_be_stored_stores_nothing(said):
    with pytest.raises(BadInput) as refused:
        submit_ranking(**said, better="x" * 100_001)
    assert refused.value.field == "better"
    assert not Ranking.objects.exists()
    assert Slot.objects.get().state == "leased"


def test_taking_back_takes_the_better_answer_too(said, labeler):
    submit_ranking(**said, better="Too soon.")
    again = recall.recall_slot(slot_id=said["slot_id"], labeler=labeler)
    assert again.draft["better"] == "Too soon."
    assert not Demonstration.objects.exists()


def test_late_rankings_have_late_answers(said, project, labeler):
    Slot.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    leases.expire_leases()
    claim.claim_slot(project=project, labeler=contractor_of(project))
    assert submit_ranking(**said, better="Late.") == submit_ranking(**said, better="Late.")
    assert Demonstration.objects.get().late is True


def test_the_project_chooses_the_flags(client, said, project, labeler):
    project.flags, project.prompt_flags = ["opinion", "sexual"], []
    project.save()
    client.force_login(labeler)
    address = reverse("work", args=[project.slug, said["slot_id"]])
    html = client.get(address).content.decode()
    assert html.count('name="flag-A"') == 2 and 'name="prompt_flag"' not in html
    leases.save_draft(
        slot_id=said["slot_id"], labeler=labeler, token=said["token"], draft={"flag-A": ["violent"], "prompt_flag": ["ambiguous"]}
    )  # fmt: skip
    html = client.get(address).content.decode()
    assert html.count('name="flag-A"') == 3 and html.count('name="prompt_flag"') == 1
    project.flags = []
    project.save()
    assert "flags-B" not in client.get(address).content.decode()
