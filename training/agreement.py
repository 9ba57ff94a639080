"""How well scores agree with rankings: accuracy, calibration, rank correlation and the pull of length. Ties count ½."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch

from training.records import RankingRow

BINS = 10
RESAMPLES = 1000
_LENGTHS = {1: "longer", 0: "equal", -1: "shorter"}


class Pair(NamedTuple):
    """One pair whose ranks differ: `gap` = score of the winner minus score of the loser."""

    ranking: int
    gap: float
    distance: int
    longer: int  # winner's tokens minus loser's
    margin: float = 0.0  # how much better the labeler found the winner; 0 where nobody was asked

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
            row.margin,
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

    accuracy, accuracy_ci95 (bootstrap over rankings), log_loss, ece with its bins (calibration), accuracy and pairs
    by_distance of rank, by_margin of the labeler, by_length of the winner against the loser, top1 (the best score is
    among the best ranked), kendall_tau and spearman (means over rankings that hold a pair), corr_length, pairs, rows.
    """
    pairs = pairs_of(scores, rankings)
    numbers: dict[str, Any] = {"pairs": len(pairs), "rows": len(rankings)}
    numbers |= dict.fromkeys(("accuracy", "accuracy_ci95", "log_loss", "ece", "top1", "kendall_tau", "spearman"))
    numbers["calibration"] = bins = calibration(pairs)
    if pairs:
        numbers |= {
            "accuracy": fmean(pair.right for pair in pairs),
            "accuracy_ci95": accuracy_interval(pairs, seed=seed),
            "log_loss": fmean(_softplus(-pair.gap) for pair in pairs),
            "ece": sum(row["pairs"] * abs(row["observed"] - row["predicted"]) for row in bins) / len(pairs),
            "top1": fmean(_top1(own, row.ranks) for own, row in zip(scores, rankings, strict=True)),
            "kendall_tau": _kendall(pairs),
            "spearman": fmean(spearman(own, r.ranks) for own, r in zip(scores, rankings, strict=True) if r.pairs),
        }
    numbers["by_distance"] = _split(pairs, lambda pair: str(pair.distance))
    numbers["by_margin"] = _split(pairs, lambda pair: f"{pair.margin:.2f}")
    numbers["by_length"] = _split(pairs, lambda pair: _LENGTHS[(pair.longer > 0) - (pair.longer < 0)])
    numbers["corr_length"] = correlation(
        [score for own in scores for score in own],
        [float(len(answer)) for row in rankings for answer in row.completions],
    )
    return numbers


def flat_numbers(report: dict[str, Any]) -> dict[str, Any]:
    """The single numbers of `agreement` (None if undefined) and the accuracy of each of its parts, by flat names."""
    flat = {name: value for name, value in report.items() if isinstance(value, float | None) or name == "accuracy_ci95"}
    for part, prefix in (("by_distance", "distance"), ("by_margin", "margin"), ("by_length", "winner")):
        if part != "by_margin" or len(report[part]) > 1:
            flat |= {f"accuracy_{prefix}_{key}": row["accuracy"] for key, row in report[part].items()}
    return flat


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


def spearman(scores: Sequence[float], ranks: Sequence[int]) -> float:
    """Spearman's ρ between scores and ranks (1 is best), ties at their mean place; 0 when one side does not vary."""
    return correlation(_places(scores), _places([-rank for rank in ranks])) or 0.0


def _places(values: Sequence[float]) -> list[float]:
    return [sum(other < own for other in values) + (sum(other == own for other in values) - 1) / 2 for own in values]


def _split(pairs: Sequence[Pair], key: Callable[[Pair], str]) -> dict[str, dict[str, Any]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(key(pair), []).append(pair)
    return {
        name: {"accuracy": fmean(pair.right for pair in group), "pairs": len(group)}
        for name, group in sorted(found.items())
    }


def _kendall(pairs: Sequence[Pair]) -> float:
    """Concordant less discordant pairs, as a share of the pairs the labeler did not tie; a tie in score counts 0."""
    groups: dict[int, list[float]] = {}
    for pair in pairs:
        groups.setdefault(pair.ranking, []).append(2 * pair.right - 1)
    return fmean(fmean(group) for group in groups.values())


def _top1(scores: Sequence[float], ranks: Sequence[int]) -> float:
    best = max(scores)
    chosen = [rank for score, rank in zip(scores, ranks, strict=True) if score == best]
    return fmean(float(rank == min(ranks)) for rank in chosen)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _sigmoid(x: float) -> float:
    return math.exp(-_softplus(-x))
