import math

import pytest

from training.agreement import Pair, accuracy, accuracy_interval, agreement, calibration, correlation, pairs_of
from training.records import RankingRow

ROWS = [
    RankingRow("a", "a", [1], [[5, 2], [5, 6, 2], [5, 6, 7, 2]], [1, 2, 3]),
    RankingRow("b", "b", [1], [[5, 6, 2], [5, 2]], [1, 2]),
    RankingRow("t", "t", [1], [[5, 2], [6, 2]], [1, 1]),
]
SCORES = [[2.0, 1.0, 1.5], [0.0, 0.0], [9.0, 3.0]]


def test_pairs_by_hand() -> None:
    assert pairs_of(SCORES, ROWS) == [
        Pair(0, 1.0, 1, -1),
        Pair(0, 0.5, 2, -2),
        Pair(0, -0.5, 1, -1),
        Pair(1, 0.0, 1, 1),
    ]


def test_agreement_by_hand() -> None:
    numbers = agreement(SCORES, ROWS)
    assert (numbers["pairs"], numbers["rows"]) == (4, 3)
    assert numbers["accuracy"] == accuracy(SCORES, ROWS) == (1 + 1 + 0 + 0.5) / 4
    losses = [math.log1p(math.exp(-gap)) for gap in (1.0, 0.5, -0.5, 0.0)]
    assert numbers["log_loss"] == pytest.approx(sum(losses) / 4)
    assert numbers["by_distance"] == {"1": {"accuracy": 0.5, "pairs": 3}, "2": {"accuracy": 1.0, "pairs": 1}}
    assert numbers["accuracy_winner_longer"] == 0.5
    assert numbers["accuracy_winner_shorter"] == pytest.approx(2 / 3)
    assert numbers["kendall_tau"] == pytest.approx((1 / 3 + 0) / 2)
    assert numbers["top1"] == pytest.approx((1 + 0.5 + 1) / 3)


def test_without_pairs_the_numbers_are_none() -> None:
    numbers = agreement([[1.0, 2.0]], [ROWS[2]])
    assert (numbers["accuracy"], numbers["log_loss"], numbers["accuracy_ci95"], numbers["pairs"]) == (
        None,
        None,
        None,
        0,
    )
    assert accuracy([], []) is None


def test_calibration_bins_hold_confidence_and_outcome() -> None:
    pairs = [Pair(0, 3.0, 1, 0), Pair(0, -3.0, 1, 0), Pair(0, 0.0, 1, 0)]
    low, high = calibration(pairs)
    assert (low["low"], low["high"], low["predicted"], low["observed"], low["pairs"]) == (0.5, 0.55, 0.5, 0.5, 1)
    assert (high["low"], high["high"], high["observed"], high["pairs"]) == (0.95, 1.0, 0.5, 2)
    assert high["predicted"] == pytest.approx(1 / (1 + math.exp(-3.0)))
    assert calibration([Pair(0, 1000.0, 1, 0), Pair(0, -1000.0, 1, 0)])[0]["predicted"] == 1.0


def test_the_interval_resamples_prompts_not_pairs() -> None:
    right, wrong = Pair(0, 1.0, 1, 0), Pair(1, -1.0, 1, 0)
    assert accuracy_interval([right] * 8 + [wrong] * 8) == [0.0, 1.0]
    assert accuracy_interval([right] * 3) == [1.0, 1.0]
    many = [Pair(at, 1.0 if at % 4 else -1.0, 1, 0) for at in range(400)]
    low, high = accuracy_interval(many)
    assert 0.69 < low < 0.73 < 0.77 < high < 0.81  # ± 1.96 √(0.75 · 0.25 / 400) = 0.042


def test_correlation_needs_variation() -> None:
    assert correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(1.0)
    assert correlation([1.0, 2.0], [5.0, 1.0]) == pytest.approx(-1.0)
    assert correlation([1.0, 1.0], [1.0, 2.0]) is None
