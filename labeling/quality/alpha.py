"""Krippendorff's α for ordinal data, with an interval. Pure functions on {unit: values}.

The value is that of the `krippendorff` package. Its formula from the coincidence matrix is repeated here for the interval
alone, because a bootstrap over prompts needs sums of matrices and not ten thousand calls; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import krippendorff
import numpy as np
from numpy.typing import NDArray

from labeling.quality.agreement import Values
from labeling.quality.intervals import Estimate

RESAMPLES = 1000
AT_ONCE = 100  # resamples in one array
MOST_CELLS = 2_000_000  # units × values²: what the package holds in memory at once

Prompt = tuple[Hashable, Sequence[Values]]
Array = NDArray[np.float64]


def ordinal_alpha(prompts: Iterable[Prompt], *, seed: int = 0) -> Estimate | None:
    """α over the units of all prompts, 95 % interval by resampling prompts.

    `prompts` are (prompt, its units), newest first; a unit is what was judged, given as the values that different people gave
    it. Units with one value say nothing. As many prompts are taken as memory allows. None when nothing varies.
    `groups` of the result counts prompts, `cases` units.
    """
    paired = ((prompt, [unit for unit in units if len(unit) > 1]) for prompt, units in prompts)
    filled: list[Prompt] = [(prompt, units) for prompt, units in paired if units]
    domain = sorted({value for _, units in filled for unit in units for value in unit})
    if len(domain) < 2:
        return None
    filled = newest(filled, limit=max(2, MOST_CELLS // len(domain) ** 2))
    counts = [value_counts(units, domain) for _, units in filled]
    whole = np.concatenate(counts)
    if (whole.sum(axis=0) > 0).sum() < 2:
        return None
    value = float(krippendorff.alpha(value_counts=whole, value_domain=domain, level_of_measurement="ordinal"))
    low, high = interval([coincidences(part) for part in counts], seed=seed)
    return Estimate(value, low, high, len(counts), len(whole))


def newest(prompts: Sequence[Prompt], *, limit: int) -> list[Prompt]:
    """The first prompts that hold at most `limit` units together; one at least."""
    kept: list[Prompt] = []
    units = 0
    for prompt in prompts:
        units += len(prompt[1])
        if kept and units > limit:
            break
        kept.append(prompt)
    return kept


def value_counts(units: Sequence[Values], domain: Sequence[float]) -> Array:
    """[units, values]: how many people gave the unit this value."""
    place = {value: at for at, value in enumerate(domain)}
    counts = np.zeros((len(units), len(domain)))
    for row, unit in enumerate(units):
        for value in unit:
            counts[row, place[value]] += 1
    return counts


def coincidences(counts: Array) -> Array:
    """[values, values]: how often two people gave one unit these values, each unit weighed by 1 / (its values − 1)."""
    weights = 1.0 / (counts.sum(axis=1) - 1)
    crossed = (counts * weights[:, None]).T @ counts
    crossed[np.diag_indices_from(crossed)] -= weights @ counts
    return np.asarray(crossed)


def alphas_of(matrices: Array) -> Array:
    """Ordinal α of each coincidence matrix [R, values, values] (Krippendorff, 2011, section 3); NaN where one value occurs."""
    margins = matrices.sum(axis=2)
    totals = margins.sum(axis=1)
    steps = np.cumsum(margins, axis=1) - margins / 2  # Σ of n_g from one value to the other, each end by half
    distances = (steps[:, :, None] - steps[:, None, :]) ** 2
    observed = (matrices * distances).sum(axis=(1, 2))
    expected = np.einsum("ri,rij,rj->r", margins, distances, margins) / (totals - 1)
    return np.asarray(1.0 - np.divide(observed, expected, out=np.full_like(observed, np.nan), where=expected > 0))


def interval(matrices: Sequence[Array], *, seed: int = 0) -> tuple[float, float]:
    """(2.5 %, 97.5 %) of α when whole prompts are drawn again; (−1, 1) from a single prompt."""
    if len(matrices) < 2:
        return -1.0, 1.0
    stacked = np.stack([matrix.ravel() for matrix in matrices])
    generator = np.random.default_rng(seed)
    shares = np.full(len(stacked), 1 / len(stacked))
    found = []
    for _ in range(RESAMPLES // AT_ONCE):
        drawn = generator.multinomial(len(stacked), shares, size=AT_ONCE) @ stacked
        found.append(alphas_of(drawn.reshape(AT_ONCE, *matrices[0].shape)))
    low, high = np.nanquantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)
