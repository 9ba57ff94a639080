"""One walk over all judgements, counting what every figure of the quality page needs. Reads no database."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from labeling.quality.agreement import agreement, tie_share
from labeling.quality.bias import Order, earlier_wins, longer_wins
from labeling.quality.control_items import accuracy
from labeling.quality.intervals import Ratio
from labeling.quality.reading import Judged, Judgement
from labeling.quality.review_sampling import PASS

NEIGHBOURS = 5  # to either side in a circle of more people than can all meet
LABELERS, RESEARCHERS, REWARD = "labelers", "researchers", "reward"  # whom labelers are compared with


@dataclass
class Differences:
    """Independent differences, kept as count, sum and sum of squares."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.count += 1
        self.total += value
        self.squares += value * value

    @property
    def mean(self) -> float | None:
        """None without one."""
        return self.total / self.count if self.count else None


@dataclass
class Part:
    """Judgements of one round, guideline version or week, one labeler's, or all."""

    rankings: int = 0
    flagged: int = 0
    agreement: dict[str, Ratio] = field(default_factory=lambda: defaultdict(Ratio))
    ties: Ratio = field(default_factory=Ratio)
    earlier: Ratio = field(default_factory=Ratio)
    longer: Ratio = field(default_factory=Ratio)
    controls: int = 0
    passed: int = 0
    seconds: Counter[int] = field(default_factory=Counter)
    order: Order = field(default_factory=Order)
    against_others: Differences = field(default_factory=Differences)  # longer wins, own share minus others', by prompt

    @property
    def median_seconds(self) -> float | None:
        """The middle active time of one ranking."""
        return median(self.seconds)


@dataclass
class Measures:
    """Everything counted. Keys of `parts`: ("all",), ("round", n), ("version", n), ("week", monday), ("labeler", id)."""

    parts: dict[tuple[Any, ...], Part] = field(default_factory=lambda: defaultdict(Part))
    between: dict[tuple[int, int], Ratio] = field(default_factory=lambda: defaultdict(Ratio))
    own_weeks: dict[tuple[int, Any], Ratio] = field(default_factory=lambda: defaultdict(Ratio))
    disputes: dict[int, tuple[int | None, int, float]] = field(default_factory=dict)
    comparisons: int = 0

    def take(self, prompt: Iterable[Judged]) -> None:
        """Count all comparisons of one prompt: together they are one group, since what is said of one prompt hangs together."""
        sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0])
        excess: dict[int, list[float]] = defaultdict(list)
        for judged in prompt:
            self.comparisons += 1
            self._agreements(judged, sums)
            for one in judged.judgements:
                if not one.is_researcher:
                    self._judgement(judged, one, sums)
            for labeler, found in length_against_others(judged).items():
                excess[labeler].append(found)
        for (target, name, kind), (total, count) in sums.items():
            measure = getattr(self.parts[target], name)
            (measure[kind] if kind else measure).add(total, int(count))
        for labeler, values in excess.items():
            self.parts["labeler", labeler].against_others.add(sum(values) / len(values))

    def _agreements(self, judged: Judged, sums: dict[Any, list[float]]) -> None:
        """Pairwise agreement of everybody with everybody, the known ranking and the scores."""
        agreed_all, pairs_all = 0.0, 0
        for one, other in meetings(judged.judgements):
            agreed, pairs = agreement(one.ranks, other.ranks)
            agreed_all, pairs_all = agreed_all + agreed, pairs_all + pairs
            if one.is_researcher and other.is_researcher:
                continue
            kind = RESEARCHERS if one.is_researcher or other.is_researcher else LABELERS
            for target in shared_targets(judged, one, other):
                add(sums, (target, "agreement", kind), agreed, pairs)
            for person in (one, other):
                if not person.is_researcher:
                    add(sums, (("labeler", person.labeler), "agreement", kind), agreed, pairs)
            if kind == LABELERS:
                self.between[one.labeler, other.labeler].add(agreed, pairs)
                for person in (one, other):
                    self.own_weeks[person.labeler, max(one.week, other.week)].add(agreed, pairs)
        if pairs_all:
            self.disputes[judged.comparison] = (judged.round_number, len(judged.judgements), 1 - agreed_all / pairs_all)
        for ranks, kind in ((judged.known, RESEARCHERS), (judged.score_ranks, REWARD)):
            for one in judged.judgements:
                if ranks and not one.is_researcher:
                    agreed, pairs = agreement(one.ranks, ranks)
                    for target in (*targets(judged, one), ("labeler", one.labeler)):
                        add(sums, (target, "agreement", kind), agreed, pairs)

    def _judgement(self, judged: Judged, one: Judgement, sums: dict[Any, list[float]]) -> None:
        """What one ranking says by itself."""
        for target in (*targets(judged, one), ("labeler", one.labeler)):
            part = self.parts[target]
            part.rankings += 1
            part.flagged += one.flagged
            part.seconds[one.active_seconds] += 1
            add(sums, (target, "ties", ""), *tie_share(one.ranks))
            add(sums, (target, "longer", ""), *longer_wins(one.ranks, judged.lengths))
            if one.places:
                add(sums, (target, "earlier", ""), *earlier_wins(one.ranks, one.places))
                part.order.add(one.ranks, one.places)
            if judged.known:
                part.controls += 1
                part.passed += passes(one.ranks, judged.known)


def add(sums: dict[Any, list[float]], key: Any, total: float, count: int) -> None:
    """Add to the sum and count of one group."""
    sums[key][0] += total
    sums[key][1] += count


def targets(judged: Judged, one: Judgement) -> list[tuple[Any, ...]]:
    """The parts that one judgement belongs to, its labeler's own left out."""
    return [("all",), ("round", judged.round_number), ("version", one.version), ("week", one.week)]


def shared_targets(judged: Judged, one: Judgement, other: Judgement) -> list[tuple[Any, ...]]:
    """The parts that two judgements belong to: a version only when both used it; the week of the later one."""
    found: list[tuple[Any, ...]] = [("all",), ("round", judged.round_number), ("week", max(one.week, other.week))]
    return [*found, ("version", one.version)] if one.version == other.version else found


def passes(ranks: dict[int, int], known: dict[int, int]) -> bool:
    """Whether a ranking puts at least 75 % of the known pairs in their order."""
    return accuracy(known, ranks) >= PASS


def meetings(rows: Sequence[Judgement]) -> Iterator[tuple[Judgement, Judgement]]:
    """Who is compared with whom: everybody with everybody up to 11 people, beyond that each with ten others.

    A hidden control may be ranked by hundreds; all their pairs would outweigh everything else that was judged.
    """
    ordered = sorted(rows, key=lambda row: row.labeler)
    if len(ordered) <= 2 * NEIGHBOURS + 1:
        yield from combinations(ordered, 2)
        return
    drawn = random.Random(len(ordered)).sample(ordered, len(ordered))
    for at, one in enumerate(drawn):
        for step in range(1, NEIGHBOURS + 1):
            pair = sorted((one, drawn[(at + step) % len(drawn)]), key=lambda row: row.labeler)
            yield pair[0], pair[1]


def length_against_others(judged: Judged) -> dict[int, float]:
    """{labeler: share of pairs won by the longer one, minus the mean share among the other labelers of the comparison}."""
    shares = {}
    for one in judged.judgements:
        won, pairs = longer_wins(one.ranks, judged.lengths)
        if pairs and not one.is_researcher:
            shares[one.labeler] = won / pairs
    if len(shares) < 2:
        return {}
    whole, others = sum(shares.values()), len(shares) - 1
    return {labeler: share - (whole - share) / others for labeler, share in shares.items()}


def median(values: Counter[int]) -> float | None:
    """The median of counted values; None without one."""
    if not values:
        return None
    low, high = (values.total() - 1) // 2, values.total() // 2
    ordered = sorted(values.elements())
    return (ordered[low] + ordered[high]) / 2
