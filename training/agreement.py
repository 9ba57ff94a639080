"""How well scores agree with rankings: accuracy, calibration, rank correlation and the pull of length. Ties count ½."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch

from training.records import RankingRow

BINS = 10
RESAMPLES = 1000


class Pair(NamedTuple):
    """One pair whose ranks differ: `gap` = score of the winner minus score of the loser."""

    ranking: int
    gap: float
    distance: int
    longer: int  # winner's tokens minus loser's

    @property
    def right(self) -> float:
        """1 when the scores order the pair as the labeler did, ½ when they are equal."""
        return 1.0 if self.gap > 0 else 0.5 if self.gap == 0 else 0.0


def pairs_of(scores: Sequence[Sequence[float]], rankings: Sequence[RankingRow]) -> list[Pair]:
    """All pairs of all rankings, tied ranks left out."""
    return [
        Pair(
            at,
            own[w] - own[l],
            row.ranks[l] - row.ranks[w],
            len(row.completions[w]) - len(row.completions[l]),
        )
        for at, (own, row) in enumerate(zip(scores, rankings, strict=True))
        for w in range(len(own))
        for l in range(len(own))  # noqa: E741 - winner and loser
        if row.ranks[w] < row.ranks[l]
    ]


def accuracy(scores: Sequence[Sequence[float]], rankings: Sequence[RankingRow]) -> float | None:
    """Share of pairs ordered as the labeler did; None without pairs."""
    pairs = pairs_of(scores, rankings)
    return fmean(pair.right for pair in pairs) if pairs else None


def agreement(scores: Sequence[Sequence[float]], rankings: Sequence[RankingRow], *, seed: int = 0) -> dict[str, Any]:
    """Numbers over the whole set (not means of batch means); what is undefined is None. `scores` are raw.

    accuracy, accuracy_ci95 (bootstrap over rankings), log_loss, ece, calibration, by_distance, accuracy when the winner is
    longer or shorter, top1 (the best score is among the best ranked), kendall_tau, corr_length, pairs, rows.
    """
    pairs = pairs_of(scores, rankings)
    numbers: dict[str, Any] = {"pairs": len(pairs), "rows": len(rankings)}
    numbers |= dict.fromkeys(("accuracy", "accuracy_ci95", "log_loss", "ece", "top1", "kendall_tau"))
    if pairs:
        bins = calibration(pairs)
        numbers |= {
            "accuracy": fmean(pair.right for pair in pairs),
            "accuracy_ci95": accuracy_interval(pairs, seed=seed),
            "log_loss": fmean(_softplus(-pair.gap) for pair in pairs),
            "ece": sum(row["pairs"] * abs(row["observed"] - row["predicted"]) for row in bins) / len(pairs),
            "top1": fmean(_top1(own, row.ranks) for own, row in zip(scores, rankings, strict=True)),
            "kendall_tau": _kendall(pairs),
        }
        numbers["calibration"] = bins
    numbers["by_distance"] = _by_distance(pairs)
    numbers["accuracy_winner_longer"] = _mean_right([pair for pair in pairs if pair.longer > 0])
    numbers["accuracy_winner_shorter"] = _mean_right([pair for pair in pairs if pair.longer < 0])
    numbers["corr_length"] = correlation(
        [score for own in scores for score in own],
        [float(len(answer)) for row in rankings for answer in row.completions],
    )
    return numbers


def accuracy_interval(pairs: Sequence[Pair], *, seed: int = 0) -> list[float]:
    """95 % interval of the accuracy by resampling whole rankings, since pairs of one prompt are not independent."""
    groups: dict[int, list[float]] = {}
    for pair in pairs:
        groups.setdefault(pair.ranking, []).append(pair.right)
    right_X = torch.tensor([sum(group) for group in groups.values()], dtype=torch.float64)
    count_X = torch.tensor([len(group) for group in groups.values()], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    means = []
    for _ in range(RESAMPLES):
        drawn = torch.randint(len(count_X), (len(count_X),), generator=generator)
        means.append(right_X[drawn].sum() / count_X[drawn].sum())
    low, high = torch.stack(means).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return [low, high]


def calibration(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """Reliability of σ(|gap|), the model's confidence in its own order, in ten bins from ½ to 1; empty bins are left out."""
    rows = []
    held: dict[int, list[Pair]] = {}
    for pair in pairs:
        confidence = _sigmoid(abs(pair.gap))
        held.setdefault(min(BINS - 1, int((confidence - 0.5) * 2 * BINS)), []).append(pair)
    for number, members in sorted(held.items()):
        rows.append(
            {
                "low": 0.5 + number / (2 * BINS),
                "high": 0.5 + (number + 1) / (2 * BINS),
                "predicted": fmean(_sigmoid(abs(pair.gap)) for pair in members),
                "observed": fmean(pair.right for pair in members),
                "pairs": len(members),
            }
        )
    return rows


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Pearson's r; None when either side does not vary."""
    if len(xs) < 2:
        return None
    x, y = fmean(xs), fmean(ys)
    cov = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True))
    spread = math.sqrt(sum((a - x) ** 2 for a in xs)) * math.sqrt(sum((b - y) ** 2 for b in ys))
    return cov / spread if spread else None


def _by_distance(pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    distances = sorted({pair.distance for pair in pairs})
    found = {distance: [pair for pair in pairs if pair.distance == distance] for distance in distances}
    return {str(d): {"accuracy": _mean_right(group), "pairs": len(group)} for d, group in found.items()}


def _kendall(pairs: Sequence[Pair]) -> float:
    groups: dict[int, list[float]] = {}
    for pair in pairs:
        groups.setdefault(pair.ranking, []).append(2 * pair.right - 1)
    return fmean(fmean(group) for group in groups.values())


def _top1(scores: Sequence[float], ranks: Sequence[int]) -> float:
    best = max(scores)
    chosen = [rank for score, rank in zip(scores, ranks, strict=True) if score == best]
    return fmean(float(rank == min(ranks)) for rank in chosen)


def _mean_right(pairs: Sequence[Pair]) -> float | None:
    return fmean(pair.right for pair in pairs) if pairs else None


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _sigmoid(x: float) -> float:
    return math.exp(-_softplus(-x))
