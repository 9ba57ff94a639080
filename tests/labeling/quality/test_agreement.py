"""Agreement against cases worked out by hand."""

from __future__ import annotations

from labeling.quality.agreement import agreement, among, preference, tie_share


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
