"""Probabilities against tables and exact sums."""

from __future__ import annotations

from math import comb

import pytest

from labeling.quality.evidence import (
    binomial_lower_tail,
    both_tails,
    chi_square_tail,
    holm,
    mean_differs,
    upper_tail,
)


def test_normal_tails():
    assert upper_tail(1.959964) == pytest.approx(0.025, abs=1e-7)
    assert both_tails(-2.575829) == pytest.approx(0.01, abs=1e-7)
    assert upper_tail(0.0) == 0.5
    assert both_tails(60.0) == 1e-300


@pytest.mark.parametrize(
    ("freedom", "critical"),  # the 5 % points of every table of χ²
    [(1, 3.841459), (2, 5.991465), (3, 7.814728), (4, 9.487729), (5, 11.070498), (8, 15.507313), (9, 16.918978)],
)
def test_chi_square_tail_at_the_5_percent_points(freedom, critical):
    assert chi_square_tail(critical, freedom) == pytest.approx(0.05, abs=1e-7)


def test_chi_square_of_nothing_is_certain():
    assert chi_square_tail(0.0, 3) == 1.0


def test_binomial_tail_is_the_sum_of_its_terms():
    exact = sum(comb(10, at) * 0.7**at * 0.3 ** (10 - at) for at in range(4))
    assert binomial_lower_tail(3, 10, 0.7) == pytest.approx(exact)
    assert binomial_lower_tail(10, 10, 0.7) == pytest.approx(1.0)


def test_mean_differs_by_hand():
    # 1, 1, 1, −1: mean ½, variance 1 (n − 1), error ½, z = 1
    assert mean_differs(2.0, 4.0, 4) == pytest.approx(both_tails(1.0))
    assert mean_differs(0.0, 4.0, 4) == 1.0
    assert mean_differs(0.5, 0.25, 1) == 1.0


def test_equal_differences_are_judged_by_the_sign_test():
    assert mean_differs(1.0, 0.1, 10) == 2.0**-9


def test_holm_by_hand():
    # sorted .01 ×4 = .04, .02 ×3 = .06, .03 ×2 = .06, .5 ×1 = .5
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
