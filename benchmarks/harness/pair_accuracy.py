"""Held-out pair accuracy, its interval from a bootstrap over prompts, and a logistic regression on words to compare with.

Axes: P pairs, W words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness.human_rankings import Judged

RESAMPLES = 4000
WORD = re.compile(r"\w+")


def right_of(rows: Sequence[Judged], scores: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Per ranking, how many pairs the scores order as people did (equal scores count half) and how many there are: [N, 2]."""
    counts = []
    for row, own in zip(rows, scores, strict=True):
        right = sum(0.5 + 0.5 * np.sign(own[winner] - own[loser]) for winner, loser in row.pairs)
        counts.append((right, len(row.pairs)))
    return np.array(counts, dtype=np.float64)


def resampled(groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """How often each ranking occurs in each bootstrap sample of the prompts (rankings of one prompt together): [RESAMPLES, N]."""
    names, owner_N = np.unique(np.array(groups), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    return drawn[:, owner_N]


def accuracy(counts_N2: NDArray[np.float64], samples: NDArray[np.int64]) -> dict[str, float | list[float]]:
    """Share of pairs that are right, with its 95 % percentile interval."""
    sums = samples @ counts_N2
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
    right, pairs = counts_N2.sum(0)
    return {"accuracy": round(float(right / pairs), 4), "interval": [round(float(low), 4), round(float(high), 4)]}


def gain(
    counts_N2: NDArray[np.float64], other_N2: NDArray[np.float64], samples: NDArray[np.int64]
) -> dict[str, float | list[float]]:
    """Accuracy minus the other's on the same pairs, with its 95 % interval (both resampled alike)."""
    apart_N = counts_N2[:, 0] - other_N2[:, 0]
    sums = (samples @ apart_N) / (samples @ counts_N2[:, 1])
    low, high = np.quantile(sums, [0.025, 0.975])
    value = apart_N.sum() / counts_N2[:, 1].sum()
    return {"difference": round(float(value), 4), "interval": [round(float(low), 4), round(float(high), 4)]}


class BagOfWords:
    """Bradley–Terry on words: score = Σ w[word] over a completion's distinct words, L2-penalised logistic loss over pairs."""

    def __init__(self, rows: Sequence[Judged], *, penalty: float) -> None:
        seen = Counter(word for row in rows for text in row.texts for word in words_of(text))
        self.column = {word: at for at, (word, count) in enumerate(sorted(seen.items())) if count > 1}
        self.column = {word: at for at, word in enumerate(self.column)}
        gaps = []
        for row in rows:
            vectors = [self.vector(text) for text in row.texts]
            gaps += [vectors[winner] - vectors[loser] for winner, loser in row.pairs]
        self.weights_W = fitted(torch.stack(gaps), penalty)

    def vector(self, text: str) -> Tensor:
        """Which known words occur, [W]."""
        found_W = torch.zeros(len(self.column))
        found_W[[self.column[word] for word in words_of(text) if word in self.column]] = 1.0
        return found_W

    def score(self, row: Judged) -> list[float]:
        """A score per completion."""
        return [float(self.vector(text) @ self.weights_W) for text in row.texts]


def words_of(text: str) -> set[str]:
    """Distinct words, in lower case."""
    return set(WORD.findall(text.lower()))


def fitted(gaps_PW: Tensor, penalty: float) -> Tensor:
    """Weights [W] that minimise mean(-log σ(gap · w)) + penalty · |w|², by L-BFGS."""
    weights_W = torch.zeros(gaps_PW.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weights_W], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = -F.logsigmoid(gaps_PW @ weights_W).mean() + penalty * weights_W.square().sum()
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    return weights_W.detach()
