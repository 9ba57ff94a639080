"""A small simulated week: the same rows as real work, and the planted habits in them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from labeling.assignments.models import Slot
from labeling.comparisons.models import Comparison, DisplayOrder, RankedItem, Ranking
from labeling.core.models import Event
from labeling.quality.models import ControlItem, RewardScore
from labeling.simulation import invention, week
from labeling.simulation.week import BAD, mean_agreement, play, truth


@pytest.fixture
def played(db):
    """12 comparisons, each ranked by two of five people, three of them bad."""
    return play(tasks=12, overlap=2, labelers=5, controls=3, seed=1)


def test_the_week_leaves_what_people_would_leave(played):
    rows = Ranking.objects.filter(project=played.project)
    assert rows.count() == 24
    assert Slot.objects.filter(project=played.project, state="submitted", lease_token__isnull=False).count() == 24
    assert Event.objects.filter(project_id=played.project.pk, verb="submitted").count() == 24
    assert RankedItem.objects.filter(ranking__in=rows).count() == 24 * week.K
    assert (ControlItem.objects.count(), RewardScore.objects.count()) == (3, 12 * week.K)
    assert set(played.bad) == set(BAD)


def test_the_planted_habits_are_in_the_rows(played):
    by_place = {row.pk: [] for row in Ranking.objects.filter(labeler=played.bad["always first"])}
    assert by_place
    for pk in by_place:
        ranks = dict(RankedItem.objects.filter(ranking=pk).values_list("completion", "rank"))
        places = dict(DisplayOrder.objects.filter(slot__rankings=pk).values_list("completion", "place"))
        assert ranks == places
    for row in Ranking.objects.filter(labeler=played.bad["always longer"]):
        lengths = [len(item.completion.text) for item in row.items.order_by("rank").select_related("completion")]
        assert lengths == sorted(lengths, reverse=True)


def test_the_truth_is_what_the_same_people_give_in_the_long_run(played):
    before = Ranking.objects.count()
    found = truth(played, repeats=3)
    assert 0.5 < found.agreement < 0.8
    assert -0.1 < found.alpha < found.agreement
    assert found.earlier > 0.5  # one of five always takes the first
    assert Ranking.objects.count() == before
    assert Comparison.objects.count() == 12


def test_mean_agreement_by_hand():
    # 1 > 2 > 3, 1 > 3 > 2, 1 = 2 > 3: pairs of people agree on 2, 2½ and 1½ of three pairs
    assert mean_agreement(np.array([[1, 2, 3], [1, 3, 2], [1, 1, 2]])) == pytest.approx((2 + 2.5 + 1.5) / 9)


def test_invented_prompts_differ_and_answers_vary():
    assert len(set(invention.prompts(500))) == 500
    with pytest.raises(ValueError, match="500"):
        invention.prompts(501)
    generator = random.Random(0)
    texts = [invention.answer("Give me a tip about bread.", generator) for _ in range(200)]
    lengths = sorted(len(text.split()) for text, _ in texts)
    assert lengths[0] < 12 and lengths[-1] > 45
    assert all("read" in text for text, _ in texts)
    assert 140 < sum(finished for _, finished in texts) < 200
