"""Who needs a person's attention, and why: evidence against chance, corrected for looking at everybody. Pure functions.

Five things are tested of every labeler with enough work. A finding needs both: a probability below 1 % after Holm's
correction over all tests of the project, and an effect that matters. Speed is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from labeling.quality.evidence import binomial_lower_tail, holm, mean_differs, upper_tail
from labeling.quality.intervals import Ratio
from labeling.quality.measures import LABELERS, Measures, Part

LEVEL = 0.01
ENOUGH = 20  # rankings (or control items: a quarter of that) below which nobody is judged
MIN_EFFECT = 0.05  # of a share, from what would be expected
CONTROLS_ENOUGH = 5


@dataclass(frozen=True)
class Finding:
    """One thing that stands out. `value` is what was seen, `expected` what the others or chance give."""

    kind: str  # agreement, order, place, length, control
    probability: float  # adjusted
    value: float
    expected: float
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Test:
    """A test before correction."""

    labeler: int
    finding: Finding
    matters: bool


def findings(measures: Measures) -> dict[int, list[Finding]]:
    """{labeler: what stands out, the least likely first}, labelers with the strongest evidence first; others are left out."""
    usual = usual_length(measures)
    tests = [test for labeler in labelers_of(measures) for test in tests_of(measures, labeler, usual)]
    adjusted = holm([test.finding.probability for test in tests])
    found: dict[int, list[Finding]] = {}
    for test, probability in zip(tests, adjusted, strict=True):
        if probability < LEVEL and test.matters:
            kept = Finding(
                test.finding.kind, probability, test.finding.value, test.finding.expected, test.finding.detail
            )
            found.setdefault(test.labeler, []).append(kept)
    for rows in found.values():
        rows.sort(key=lambda row: row.probability)
    return dict(sorted(found.items(), key=lambda item: strength(item[1]), reverse=True))


def strength(rows: Iterable[Finding]) -> tuple[float, float]:
    """How strong the evidence is: orders of magnitude of the least likely finding, then of all together."""
    sizes = [-math.log10(row.probability) for row in rows]
    return max(sizes), sum(sizes)


def labelers_of(measures: Measures) -> list[int]:
    """Everybody who ranked, in order of id."""
    return sorted(key[1] for key in measures.parts if key[0] == "labeler" and measures.parts[key].rankings)


def usual_length(measures: Measures) -> float:
    """The median labeler's difference to the others in longer wins: it is not 0 where somebody extreme is among the others."""
    parts = [measures.parts["labeler", labeler].against_others for labeler in labelers_of(measures)]
    means = [part.mean for part in parts if part.mean is not None and part.count >= ENOUGH]
    return median(means) if means else 0.0


def tests_of(measures: Measures, labeler: int, usual: float) -> list[Test]:
    """The tests for which this labeler has enough work; `usual` is the project's `usual_length`."""
    own, everyone = measures.parts["labeler", labeler], measures.parts["all",]
    found = [
        agreement_test(own.agreement[LABELERS], everyone.agreement[LABELERS], own.ties, everyone.ties),
        *order_tests(own),
        length_test(own, usual),
        control_test(own, everyone),
    ]
    return [Test(labeler, *test) for test in found if test is not None]


def agreement_test(own: Ratio, everyone: Ratio, ties: Ratio, all_ties: Ratio) -> tuple[Finding, bool] | None:
    """Whether this labeler agrees with the others less than the others do among themselves (one-sided).

    `expected` is the agreement of all pairs of people without this one. `chance` is what somebody reaches who orders at
    random with as many ties: ½ + ½ · own tie share · the others' tie share.
    """
    rest = everyone.cases - own.cases
    if own.size < ENOUGH or not rest or own.value is None or own.error is None or everyone.error is None:
        return None
    others = (everyone.total - own.total) / rest
    error = math.hypot(own.error, everyone.error * math.sqrt(everyone.cases / rest))
    probability = upper_tail((others - own.value) / error) if error else float(own.value >= others)
    chance = 0.5 + 0.5 * (ties.value or 0.0) * (all_ties.value or 0.0)
    at_chance = own.value - 2 * own.error <= chance
    detail = {"chance": chance, "at_chance": at_chance, "pairs": own.cases}
    return Finding("agreement", max(probability, 1e-300), own.value, others, detail), others - own.value >= MIN_EFFECT


def order_tests(own: Part) -> list[tuple[Finding, bool]]:
    """Whether what is shown earlier (or later) wins, and whether one place wins too often."""
    if own.order.rankings < ENOUGH or own.earlier.value is None:
        return []
    detail = {"rankings": own.order.rankings}
    pull = Finding("order", own.order.order_probability, own.earlier.value, 0.5, detail)
    tests = [(pull, abs(pull.value - 0.5) >= MIN_EFFECT)]
    if favourite := own.order.favourite():
        place, won, total, k = favourite
        spread = Finding("place", own.order.place_probability, won / total, 1 / k, {**detail, "place": place, "k": k})
        tests.append((spread, abs(spread.value - spread.expected) >= MIN_EFFECT))
    return tests


def length_test(own: Part, usual: float = 0.0) -> tuple[Finding, bool] | None:
    """Whether the longer one wins more (or less) with this labeler than with others on the same comparisons.

    Each prompt gives one difference; they are tested against `usual`, what the median labeler's differences average.
    """
    differences = own.against_others
    if differences.count < ENOUGH or own.longer.value is None or differences.mean is None:
        return None
    n, more = differences.count, differences.mean - usual
    probability = mean_differs(
        differences.total - n * usual, differences.squares - 2 * usual * differences.total + n * usual**2, n
    )
    value, detail = own.longer.value, {"prompts": n}
    return Finding("length", probability, value, value - more, detail), abs(more) >= MIN_EFFECT


def control_test(own: Part, everyone: Part) -> tuple[Finding, bool] | None:
    """Whether this labeler fails more control items than the others do; the others' share has one of each kind added."""
    tried = everyone.controls - own.controls
    if own.controls < CONTROLS_ENOUGH or not tried:
        return None
    share = (everyone.passed - own.passed + 1) / (tried + 2)
    probability = binomial_lower_tail(own.passed, own.controls, share)
    value = own.passed / own.controls
    return Finding("control", probability, value, share, {"controls": own.controls}), share - value >= MIN_EFFECT
