"""Win rates worked out by hand."""

from __future__ import annotations

from labeling.rounds.leaderboard import Place, of_like_length, wins


def places(*rows):
    """(is_new, rank, tokens) triples."""
    return [Place(*row) for row in rows]


def test_every_pair_of_new_and_parent_counts_and_ties_are_half():
    # new at 1 and 3, parent at 2 and 3: 1>2 win, 1>3 win, 3<2 loss, 3=3 tie → 2.5 of 4
    ranking = places((True, 1, 10), (True, 3, 10), (False, 2, 10), (False, 3, 10))
    assert wins({1: [ranking], 2: [ranking]}).value == 0.625


def test_each_prompt_weighs_the_same_however_often_it_was_judged():
    win, loss = places((True, 1, 5), (False, 2, 5)), places((True, 2, 5), (False, 1, 5))
    found = wins({1: [win, win, win], 2: [loss]})
    assert (found.value, found.groups) == (0.5, 2)


def test_two_judgements_of_one_prompt_are_averaged():
    win, loss = places((True, 1, 5), (False, 2, 5)), places((True, 2, 5), (False, 1, 5))
    assert wins({1: [win, loss], 2: [win]}).value == 0.75


def test_pairs_inside_one_policy_do_not_count():
    ranking = places((True, 1, 10), (True, 2, 10), (False, 3, 10))
    assert wins({1: [ranking], 2: [ranking]}).value == 1.0


def test_length_matched_leaves_out_pairs_of_unlike_length():
    ranking = places((True, 1, 10), (False, 2, 20), (False, 1, 11))
    assert wins({1: [ranking], 2: [ranking]}).value == 0.75
    assert wins({1: [ranking], 2: [ranking]}, matched=True).value == 0.5


def test_a_prompt_without_a_matched_pair_is_no_evidence():
    like, unlike = places((True, 1, 10), (False, 2, 10)), places((True, 2, 10), (False, 1, 99))
    found = wins({1: [like], 2: [unlike], 3: [like]}, matched=True)
    assert (found.value, found.groups) == (1.0, 2)


def test_like_length_is_a_fifth_of_the_longer():
    assert [of_like_length(*pair) for pair in [(8, 10), (10, 8), (7, 10), (0, 0), (100, 80), (100, 79)]] == [
        True,
        True,
        False,
        True,
        True,
        False,
    ]


def test_the_interval_of_a_clear_win_lies_above_a_half():
    win, loss = places((True, 1, 5), (False, 2, 5)), places((True, 2, 5), (False, 1, 5))
    found = wins({n: [win] if n % 4 else [loss] for n in range(56)})
    assert found.value == 0.75
    assert 0.6 < found.low < 0.7 < 0.8 < found.high < 0.9
