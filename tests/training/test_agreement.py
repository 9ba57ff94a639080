import math
import random
from statistics import fmean

import numpy as np
import pytest

from training.agreement import (
    Pair,
    accuracy,
    accuracy_interval,
    agreement,
    calibration,
    correlation,
    flat_numbers,
    pairs_of,
    spearman,
)
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
    assert numbers["by_length"] == {
        "longer": {"accuracy": 0.5, "pairs": 1},
        "shorter": {"accuracy": pytest.approx(2 / 3), "pairs": 3},
    }
    assert numbers["by_margin"] == {"0.00": {"accuracy": 0.625, "pairs": 4}}
    assert numbers["spearman"] == pytest.approx((0.5 + 0) / 2)  # ranks 3, 1, 2 against 3, 2, 1; then a constant
    assert numbers["kendall_tau"] == pytest.approx((1 / 3 + 0) / 2)
    assert numbers["top1"] == pytest.approx((1 + 0.5 + 1) / 3)


def test_pairs_are_split_by_what_the_labeler_said_and_by_length() -> None:
    rows = [
        RankingRow("a", "a", [1], [[5, 2], [6, 2]], [1, 2], 1.0),
        RankingRow("b", "b", [1], [[5, 2], [5, 6, 2]], [2, 1], 1 / 3),
        RankingRow("c", "c", [1], [[5, 2], [5, 6, 2]], [2, 1], 1 / 3),
    ]
    numbers = agreement([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]], rows)
    assert numbers["by_margin"] == {"0.33": {"accuracy": 0.5, "pairs": 2}, "1.00": {"accuracy": 1.0, "pairs": 1}}
    assert numbers["by_length"] == {"equal": {"accuracy": 1.0, "pairs": 1}, "longer": {"accuracy": 0.5, "pairs": 2}}
    flat = flat_numbers(numbers)
    assert (flat["accuracy_margin_0.33"], flat["accuracy_winner_longer"], flat["accuracy_distance_1"]) == (
        0.5,
        0.5,
        pytest.approx(2 / 3),
    )
    assert not {"calibration", "pairs", "rows", "by_margin"} & set(flat)


def test_rank_correlations_by_hand() -> None:
    assert spearman([4.0, 3.0, 2.0, 1.0], [1, 2, 3, 4]) == pytest.approx(1.0)
    assert spearman([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4]) == pytest.approx(-1.0)
    assert spearman([3.0, 4.0, 1.0, 2.0], [1, 2, 3, 4]) == pytest.approx(1 - 6 * 4 / (4 * 15))  # 1 - 6 Σd² / n(n² - 1)
    # ties at their mean place: scores 2½ 2½ 1 → places 1.5 1.5 0, ranks 1 2 3 → 2 1 0: cov 1.5, spreads √1.5 · √2
    assert spearman([2.5, 2.5, 1.0], [1, 2, 3]) == pytest.approx(1.5 / math.sqrt(3.0))
    assert spearman([1.0, 1.0], [1, 2]) == 0.0
    row = RankingRow("k", "k", [1], [[2]] * 4, [1, 2, 3, 3])
    numbers = agreement([[4.0, 4.0, 1.0, 2.0]], [row])
    assert numbers["kendall_tau"] == pytest.approx((4 - 0 + 0) / 5)  # four right, one tied in score, one tie left out


def test_the_numbers_agree_with_counting_on_random_rankings() -> None:
    draw = random.Random(5)
    rows, scores = [], []
    for at in range(30):
        k = draw.randint(2, 6)
        rows.append(RankingRow(str(at), str(at), [1], [[1] * draw.randint(1, 5) for _ in range(k)], [draw.randint(1, 3) for _ in range(k)]))  # fmt: skip
        scores.append([draw.choice([-1.0, 0.0, 0.5, 2.0]) for _ in range(k)])
    right = total = losses = 0.0
    taus, rhos, tops = [], [], []
    for own, row in zip(scores, rows, strict=True):
        tops.append(fmean(row.ranks[at] == min(row.ranks) for at in range(len(own)) if own[at] == max(own)))
        signs = [
            np.sign(own[i] - own[j]) * np.sign(row.ranks[j] - row.ranks[i])
            for i in range(len(own))
            for j in range(i)
            if row.ranks[i] != row.ranks[j]
        ]
        if signs:
            taus.append(np.mean(signs))
            # mean places by sorting, where the code counts
            places = [[np.mean(np.flatnonzero(np.sort(side) == each)) for each in side] for side in (own, row.ranks)]
            rhos.append(-np.corrcoef(*places)[0, 1] if len(set(own)) > 1 else 0.0)
        for i in range(len(own)):
            for j in range(i):
                w, x = (i, j) if row.ranks[i] < row.ranks[j] else (j, i)
                if row.ranks[i] != row.ranks[j]:
                    total += 1
                    right += 1.0 if own[w] > own[x] else 0.5 if own[w] == own[x] else 0.0
                    losses += math.log(1 + math.exp(own[x] - own[w]))
    numbers = agreement(scores, rows)
    assert (numbers["pairs"], numbers["accuracy"]) == (total, pytest.approx(right / total))
    assert numbers["log_loss"] == pytest.approx(losses / total)
    assert numbers["kendall_tau"] == pytest.approx(np.mean(taus))
    assert numbers["spearman"] == pytest.approx(np.mean(rhos))
    assert numbers["top1"] == pytest.approx(np.mean(tops))
    flat = [score for own in scores for score in own], [len(text) for row in rows for text in row.completions]
    assert numbers["corr_length"] == pytest.approx(np.corrcoef(*flat)[0, 1])
    bins = numbers["calibration"]
    assert numbers["ece"] == pytest.approx(sum(b["pairs"] / total * abs(b["observed"] - b["predicted"]) for b in bins))
    assert sum(row["pairs"] for row in bins) == total
    for part in ("by_distance", "by_margin", "by_length"):
        assert sum(row["pairs"] for row in numbers[part].values()) == total
        assert sum(row["pairs"] * row["accuracy"] for row in numbers[part].values()) == pytest.approx(right)


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
