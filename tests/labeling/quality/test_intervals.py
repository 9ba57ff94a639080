"""Intervals against known values and hand-worked cases."""

from __future__ import annotations

import random
from math import sqrt

import pytest

from labeling.quality.intervals import Ratio, bootstrap, wilson


def test_bootstrap_of_equal_groups_has_no_width():
    found = bootstrap([(3.0, 6)] * 10)
    assert (found.value, found.low, found.high, found.groups, found.cases) == (0.5, 0.5, 0.5, 10, 60)


def test_bootstrap_weighs_groups_by_their_cases():
    assert bootstrap([(0.0, 1), (9.0, 9)]).value == 0.9


def test_bootstrap_of_a_fair_coin_is_close_to_the_normal_interval():
    found = bootstrap([(1.0, 1)] * 50 + [(0.0, 1)] * 50)
    assert found.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert found.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)


def test_pairs_of_one_prompt_count_as_one_draw():
    """The same 600 pairs, once in 100 prompts that are all right or all wrong, once each for itself."""
    together = bootstrap([(6.0, 6)] * 50 + [(0.0, 6)] * 50)
    alone = bootstrap([(1.0, 1)] * 300 + [(0.0, 1)] * 300)
    assert together.value == alone.value == 0.5
    assert together.half_width / alone.half_width == pytest.approx(sqrt(6), rel=0.1)


def test_bootstrap_says_the_same_each_time():
    groups = [(float(n % 3 == 0), 1) for n in range(40)]
    assert bootstrap(groups) == bootstrap(reversed(groups))


def test_no_case_gives_no_estimate_and_one_group_no_certainty():
    assert bootstrap([]) is None
    assert bootstrap([(0.0, 0)]) is None
    alone = bootstrap([(2.0, 2)])
    assert (alone.value, alone.low, alone.high) == (1.0, 0.0, 1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator, covered = random.Random(3), 0
    for trial in range(200):
        groups = []
        for _ in range(60):
            share = generator.choice((0.5, 0.9))  # pairs of one prompt hang together
            groups.append((float(sum(generator.random() < share for _ in range(6))), 6))
        found = bootstrap(groups, resamples=400, seed=trial)
        covered += found.low <= 0.7 <= found.high
    assert 180 <= covered <= 199


def test_the_linearised_error_of_a_plain_share_is_the_binomial_one():
    ratio = Ratio()
    for n in range(100):
        ratio.add(float(n < 30), 1)
    assert ratio.value == 0.3
    assert ratio.error == pytest.approx(sqrt(0.3 * 0.7 / 99))


def test_the_linearised_error_by_hand():
    # groups (1 of 2) and (3 of 4): ratio 2/3, residuals 1 − 4/3 = −1/3 and 3 − 8/3 = 1/3; √(2/1 · 2/9) / 6 = 1/9
    ratio = Ratio()
    ratio.add(1.0, 2)
    ratio.add(3.0, 4)
    assert ratio.error == pytest.approx(1 / 9)
    assert Ratio().error is None


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe, 1998, table I, method 3 (Wilson without correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes, trials, low, high):
    found = wilson(successes, trials)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_wilson_of_nothing_is_nothing():
    assert wilson(0, 0) is None
