"""The pull of place and length, by hand and by going through every order."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from statistics import fmean

import pytest

from labeling.quality.bias import Order, earlier_wins, longer_wins, order_variance, uneven
from labeling.quality.evidence import both_tails, chi_square_tail


def test_the_earlier_wins_by_hand():
    # shown 1, 2, 3; ranked 2 > 1 = 3: pair 1-2 lost, 1-3 tied, 2-3 won
    assert earlier_wins({1: 2, 2: 1, 3: 2}, {1: 1, 2: 2, 3: 3}) == (1.5, 3)


def test_the_longer_wins_by_hand():
    # 1 and 2 are equally long and do not count; 3 is longer than both: wins over 1, loses to 2
    assert longer_wins({1: 3, 2: 1, 3: 2}, {1: 10, 2: 10, 3: 30}) == (1.0, 2)
    assert longer_wins({1: 1, 2: 2}, {1: 5, 2: 5}) == (0, 0)


@pytest.mark.parametrize("ranks", [(1, 2, 3), (1, 2, 3, 4), (1, 1, 2, 3), (1, 2, 2, 2, 3), (1, 1)])
def test_the_variance_is_that_over_every_order(ranks):
    by_completion = dict(enumerate(ranks))
    scores = []
    for order in permutations(range(1, len(ranks) + 1)):
        won, pairs = earlier_wins(by_completion, dict(enumerate(order)))
        scores.append(2 * won - pairs)
    assert fmean(scores) == pytest.approx(0.0)
    assert order_variance(by_completion) == pytest.approx(fmean(score**2 for score in scores))


def test_order_counts_up_scores_and_wins():
    order = Order()
    order.add({1: 1, 2: 2, 3: 3}, {1: 1, 2: 2, 3: 3})  # S = 3
    order.add({1: 1, 2: 1, 3: 2}, {1: 3, 2: 1, 3: 2})  # 2-1 tied, 2-3 won, 3-1 lost: S = 0; two best: no single winner
    assert (order.score, order.rankings) == (3, 2)
    assert order.variance == pytest.approx(11 / 3 + 8 / 3)
    assert order.order_probability == pytest.approx(both_tails(3 / (19 / 3) ** 0.5))
    assert order.wins == {3: Counter({1: 1})}
    assert order.place_probability == 1.0  # too few wins to say


def test_wins_at_one_place_stand_out():
    order = Order(wins={4: Counter({1: 10, 2: 10, 3: 40, 4: 20}), 2: Counter({1: 12, 2: 8})})
    # K = 4: fair 20: 5 + 5 + 20 + 0 = 30; K = 2: fair 10: .4 + .4 = .8; 3 + 1 degrees of freedom
    assert uneven(4, order.wins[4]) == 30.0
    assert order.place_probability == pytest.approx(chi_square_tail(30.8, 4))
    assert order.favourite() == (3, 40, 80, 4)


def test_without_rankings_nothing_is_said():
    assert (Order().order_probability, Order().place_probability, Order().favourite()) == (1.0, 1.0, None)
