"""Submitting rankings: ties, gaps, every completion exactly once, repeated submissions."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, transaction

from labeling.assignments import claim, recall
from labeling.assignments.models import Slot
from labeling.comparisons import selectors
from labeling.comparisons.models import RankedItem, Ranking, Rating
from labeling.comparisons.services import create_comparisons, submit_ranking
from labeling.core.errors import BadInput, Conflict, Reused
from tests.factories import CompletionFactory, PromptFactory, completions_of, contractor_of

pytestmark = pytest.mark.django_db


def test_a_ranking_stores_dense_tiers_ratings_and_flags(said, four, project):
    made = submit_ranking(**said)
    a, b, c, d = four
    assert dict(made.items.values_list("completion", "rank")) == {a.pk: 1, d.pk: 2, b.pk: 3, c.pk: 3}
    assert dict(made.ratings.values_list("completion", "quality")) == {a.pk: 7, c.pk: 2}
    assert made.ratings.get(completion=c).flags == ["off_task", "opinion"]
    assert (made.reason, made.prompt_flags, made.strength, made.late) == ("Clearer.", ["ambiguous"], None, False)
    assert Slot.objects.get(public_id=said["slot_id"]).state == "submitted"
    assert list(selectors.current(project)) == [made]


def test_gaps_between_places_vanish(said, four):
    a, b, c, d = (row.pk for row in four)
    made = submit_ranking(**{**said, "tiers": [[a], [], [], [b, c], [], [d]]})
    assert dict(made.items.values_list("completion", "rank")) == {a: 1, b: 2, c: 2, d: 3}


def test_submitting_twice_returns_the_first_ranking(said):
    assert submit_ranking(**said) == submit_ranking(**said)
    assert (Ranking.objects.count(), RankedItem.objects.count(), Rating.objects.count()) == (1, 4, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "Another."},
        {"ratings": {}},
        {"prompt_flags": []},
    ],
)
def test_the_same_key_with_another_judgement_is_refused(said, change):
    submit_ranking(**said)
    with pytest.raises(Reused):
        submit_ranking(**{**said, **change})


def test_the_same_key_with_another_order_is_refused(said):
    submit_ranking(**said)
    with pytest.raises(Reused):
        submit_ranking(**{**said, "tiers": list(reversed(said["tiers"]))})


def test_the_key_of_somebody_else_is_refused(said, project):
    submit_ranking(**said)
    with pytest.raises(Conflict):
        submit_ranking(**{**said, "labeler": contractor_of(project)})


@pytest.mark.parametrize("spoil", ["missing", "twice", "stranger"])
def test_every_completion_has_exactly_one_place(said, four, spoil):
    ids = [row.pk for row in four]
    tiers = {
        "missing": [[ids[0]], ids[1:3]],
        "twice": [[ids[0]], ids],
        "stranger": [ids, [CompletionFactory(prompt=four[0].prompt).pk]],
    }
    with pytest.raises(BadInput) as refused:
        submit_ranking(**{**said, "tiers": tiers[spoil]})
    assert refused.value.field == "tiers"
    assert not Ranking.objects.exists()
    assert Slot.objects.get().state == "leased"


@pytest.mark.parametrize(
    ("rating", "field"),
    [
        ({"quality": 8}, "quality"),
        ({"quality": 0}, "quality"),
        ({"quality": True}, "quality"),
        ({"flags": ["rude"]}, "flags"),
        ({"score": 3}, "ratings"),
    ],
)
def test_a_bad_rating_is_refused_by_field(said, four, rating, field):
    with pytest.raises(BadInput) as refused:
        submit_ranking(**{**said, "ratings": {four[0].pk: rating}})
    assert refused.value.field == field
    assert not Ranking.objects.exists()


def test_strength_is_for_two_and_not_for_ties(project, labeler):
    a, b = completions_of(PromptFactory(project=project), 2)
    create_comparisons(project=project, groups=[[a, b]], by=None)
    slot = claim.claim_slot(project=project, labeler=labeler)
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "submission": uuid.uuid4()}
    with pytest.raises(BadInput, match="Strength must be one of"):
        submit_ranking(**said, tiers=[[a.pk], [b.pk]], strength=4)
    made = submit_ranking(**said, tiers=[[b.pk], [a.pk]], strength=3)
    assert made.strength == 3


def test_a_tie_of_two_has_no_strength(project, labeler):
    a, b = completions_of(PromptFactory(project=project), 2)
    create_comparisons(project=project, groups=[[a, b]], by=None)
    slot = claim.claim_slot(project=project, labeler=labeler)
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "submission": uuid.uuid4()}
    assert submit_ranking(**said, tiers=[[a.pk, b.pk]], strength=2).strength is None


def test_strength_is_refused_for_more_than_two(said):
    with pytest.raises(BadInput) as refused:
        submit_ranking(**said, strength=1)
    assert refused.value.field == "strength"


def test_rankings_cannot_be_changed(said):
    submit_ranking(**said)
    for rows, change in ((Ranking, {"reason": "x"}), (RankedItem, {"rank": 1}), (Rating, {"quality": 1})):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.objects.update(**change)


def test_a_ranking_taken_back_is_the_draft_of_its_form(said, labeler):
    submit_ranking(**said)
    slot = Slot.objects.get()
    letter = {row.pk: name for name, row in selectors.shown(slot).items()}
    again = recall.recall_slot(slot_id=slot.public_id, labeler=labeler)
    a, d = said["tiers"][0][0], said["tiers"][1][0]
    assert (again.draft[f"rank-{letter[a]}"], again.draft[f"rank-{letter[d]}"]) == ("1", "2")
    assert (again.draft[f"q-{letter[a]}"], again.draft["reason"]) == ("7", "Clearer.")
    assert not Ranking.objects.exists()
    assert not RankedItem.objects.exists()
