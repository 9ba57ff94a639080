"""Agreement and intervals against cases worked out by hand."""

from __future__ import annotations

import pytest

from labeling.quality.agreement import agreement, among, preference, tie_share
from labeling.quality.intervals import bootstrap


def test_preference_reads_ranks_with_1_as_best():
    ranks = {10: 1, 11: 2, 12: 2}
    assert [preference(ranks, 10, 11), preference(ranks, 11, 10), preference(ranks, 11, 12)] == [1, -1, 0]


def test_equal_rankings_agree_on_every_pair():
    assert agreement({1: 1, 2: 2, 3: 3}, {1: 1, 2: 2, 3: 3}) == (3.0, 3)


def test_opposite_rankings_agree_on_none():
    assert agreement({1: 1, 2: 2, 3: 3}, {1: 3, 2: 2, 3: 1}) == (0.0, 3)


def test_one_swapped_neighbour_of_four_costs_one_pair_of_six():
    assert agreement({1: 1, 2: 2, 3: 3, 4: 4}, {1: 1, 2: 3, 3: 2, 4: 4}) == (5.0, 6)


def test_a_tie_against_an_order_counts_half_and_two_ties_agree():
    # pair 1-2: both put 1 first (1); 1-3: first above, tied (½); 2-3: tied, 3 above (½)
    assert agreement({1: 1, 2: 2, 3: 2}, {1: 1, 2: 2, 3: 1}) == (1.0 + 0.5 + 0.5, 3)
    assert agreement({1: 1, 2: 1}, {1: 1, 2: 1}) == (1.0, 1)


def test_only_completions_that_both_ranked_count():
    assert agreement({1: 1, 2: 2, 3: 3}, {2: 1, 3: 2, 4: 3}) == (1.0, 1)
    assert agreement({1: 1}, {2: 1}) == (0, 0)


def test_among_names_each_two_labelers_once():
    assert among({7: {1: 1, 2: 2}, 5: {1: 1, 2: 2}, 6: {1: 2, 2: 1}}) == {
        (5, 6): (0.0, 1),
        (5, 7): (1.0, 1),
        (6, 7): (0.0, 1),
    }


def test_tie_share_counts_pairs_on_one_place():
    assert tie_share({1: 1, 2: 1, 3: 1, 4: 2}) == (3, 6)


def test_bootstrap_of_equal_groups_has_no_width():
    found = bootstrap([(3.0, 6)] * 10)
    assert (found.value, found.low, found.high, found.groups, found.cases) == (0.5, 0.5, 0.5, 10, 60)


def test_bootstrap_weighs_groups_by_their_cases():
    assert bootstrap([(0.0, 1), (9.0, 9)]).value == 0.9


def test_bootstrap_of_a_fair_coin_is_close_to_the_normal_interval():
    found = bootstrap([(1.0, 1)] * 50 + [(0.0, 1)] * 50)
    assert found.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert found.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)


def test_bootstrap_says_the_same_each_time():
    groups = [(float(n % 3 == 0), 1) for n in range(40)]
    assert bootstrap(groups) == bootstrap(groups)


def test_no_case_gives_no_estimate_and_one_group_no_certainty():
    assert bootstrap([]) is None
    assert bootstrap([(0.0, 0)]) is None
    alone = bootstrap([(2.0, 2)])
    assert (alone.value, alone.low, alone.high) == (1.0, 0.0, 1.0)
