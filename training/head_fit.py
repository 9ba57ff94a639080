"""The reward head fitted exactly: the trunk's features are computed once and stay as they are, the pairwise loss is convex in the head.

With few rankings this beats training an adapter: only D numbers are learned, and one of them is how strongly to hold
them back (`head_l2`). It takes one forward pass and seconds. Axes: C completions, P pairs, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from training.configs import RewardConfig
from training.records import RankingRow
from training.reward_scoring import RewardModel

MOST_ITERATIONS = 100
MOST_HALVINGS = 40
CLOSE_ENOUGH = 1e-8  # of the largest step of a weight, in standardised units


def fit_head(
    model: RewardModel, rows: Sequence[RankingRow], config: RewardConfig, on_step: Callable[[int, float], None]
) -> int:
    """Replace the head by the minimiser of the ranking loss plus head_l2 · |w|² over standardised features; return the iterations.

    The loss is that of training (ties dropped, margins, label smoothing, weighting), Ouyang et al. 2022, eq. 1. Newton's
    method with a line search in fp64, on the CPU. `on_step` is told the iteration and the loss before it, without the penalty.
    """
    features_CD, first_of = features(model, rows, pack=config.pack)
    scale_D = features_CD.std(0, correction=0).clamp(min=1e-6)
    gaps_PD, margin_P, weight_P = pair_gaps(features_CD / scale_D, first_of, rows, config.weighting)
    w_D = torch.zeros(features_CD.shape[1], dtype=torch.float64)
    penalty_DD = 2.0 * config.head_l2 * torch.eye(len(w_D), dtype=torch.float64)

    def losses(at_D: Tensor) -> tuple[float, float]:
        """The ranking loss, and what is minimised: with the penalty."""
        loss = float((weight_P * pair_loss(gaps_PD @ at_D - margin_P, config.label_smoothing)).sum())
        return loss, loss + config.head_l2 * float(at_D @ at_D)

    done = 0
    for iteration in range(1, MOST_ITERATIONS + 1):
        loss, objective = losses(w_D)
        on_step(iteration, loss)
        right_P = torch.sigmoid(gaps_PD @ w_D - margin_P)
        slope_D = gaps_PD.T @ (weight_P * (right_P - (1.0 - config.label_smoothing))) + penalty_DD @ w_D
        curve_DD = (gaps_PD * (weight_P * right_P * (1.0 - right_P))[:, None]).T @ gaps_PD + penalty_DD
        step_D = torch.linalg.solve(curve_DD, slope_D)
        step_D = step_D * step_length(lambda at_D: losses(at_D)[1], w_D, step_D, objective, float(slope_D @ step_D))
        w_D = w_D - step_D
        done = iteration
        if float(step_D.abs().max()) < CLOSE_ENOUGH:
            break
    with torch.no_grad():
        model.head.weight.copy_((w_D / scale_D)[None].to(model.head.weight))
    return done


def step_length(
    objective: Callable[[Tensor], float], w_D: Tensor, step_D: Tensor, before: float, decrease: float
) -> float:
    """1, ½, ¼ …: the first share of Newton's step that lowers the objective enough (Armijo 1966).

    The whole step may overshoot where the loss is flat (separable pairs, margins, a small head_l2), and then never come
    back. `decrease` is what the slope promises for the whole step.
    """
    for halvings in range(MOST_HALVINGS):
        share = 0.5**halvings
        if objective(w_D - share * step_D) <= before - 1e-4 * share * decrease + 1e-14 * abs(before):
            return share
    return 0.0


def pair_loss(gap_P: Tensor, smoothing: float) -> Tensor:
    """-log σ(gap) per pair, a share `smoothing` of it for the opposite order."""
    return -(1.0 - smoothing) * F.logsigmoid(gap_P) - smoothing * F.logsigmoid(-gap_P)


@torch.no_grad()
def features(model: RewardModel, rows: Sequence[RankingRow], *, pack: str) -> tuple[Tensor, list[int]]:
    """What the head sees of every completion, fp64 [C, D] on the CPU, and where each ranking's completions start.

    Several labelers' rankings of the same completions share their features.
    """
    firsts: dict[tuple[tuple[int, ...], ...], int] = {}
    keys = [tuple(map(tuple, [row.prompt, *row.completions])) for row in rows]
    distinct = [row for at, row in enumerate(rows) if firsts.setdefault(keys[at], at) == at]
    states = model.ranking_states(distinct, pack=pack)
    starts, start = {}, 0
    for row, part in zip(distinct, states, strict=True):
        starts[tuple(map(tuple, [row.prompt, *row.completions]))] = start
        start += len(part)
    return torch.cat([part.cpu() for part in states]).double(), [starts[key] for key in keys]


def pair_gaps(
    features_CD: Tensor, first_of: Sequence[int], rows: Sequence[RankingRow], weighting: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Feature differences winner - loser [P, D], margins [P] and weights [P] that sum to 1: per prompt or per pair."""
    better, worse, margins, weights = [], [], [], []
    for first, row in zip(first_of, rows, strict=True):
        for i, own in enumerate(row.ranks):
            for j, other in enumerate(row.ranks):
                if own < other:
                    better.append(first + i)
                    worse.append(first + j)
                    margins.append(row.margin)
                    weights.append(1.0 / row.pairs if weighting == "prompt" else 1.0)
    weight_P = torch.tensor(weights, dtype=torch.float64)
    margin_P = torch.tensor(margins, dtype=torch.float64)
    return features_CD[better] - features_CD[worse], margin_P, weight_P / weight_P.sum()
