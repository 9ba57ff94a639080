"""The figures of the quality page as plain JSON: what the sweep stores and the page reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from labeling.quality import attention
from labeling.quality.agreement import Values, positions
from labeling.quality.intervals import Estimate, Ratio, wilson
from labeling.quality.measures import LABELERS, RESEARCHERS, REWARD, Measures, Part
from labeling.quality.reading import Judged

ALPHA_UNITS = 40_000  # completions of the newest prompts that α looks at
MATRIX = 24  # labelers in the matrix: those who share most pairs
KINDS = (LABELERS, RESEARCHERS, REWARD)


class Walk:
    """Takes prompts, the newest first, and gives the figures."""

    def __init__(self) -> None:
        self.measures = Measures()
        self._places: list[tuple[int, list[Values]]] = []
        self._ratings: list[tuple[int, list[Values]]] = []
        self._units = 0

    def take(self, prompt: list[Judged]) -> None:
        """One prompt with all its comparisons."""
        self.measures.take(prompt)
        if prompt and self._units < ALPHA_UNITS:
            places, ratings = units_of(prompt)
            self._places.append((prompt[0].prompt, places))
            self._ratings.append((prompt[0].prompt, ratings))
            self._units += len(places)

    def figures(self, skips: Mapping[int, int]) -> dict[str, Any]:
        """Everything that is stored; `skips` counts the comparisons each labeler passed on."""
        measures = self.measures
        findings = attention.findings(measures)
        ids = attention.labelers_of(measures)
        return {
            "comparisons": measures.comparisons,
            "all": {**part_figures(measures.parts["all",]), "skips": sum(skips.values())},
            "alpha": {"places": said(alpha(self._places)), "ratings": said(alpha(self._ratings))},
            "rounds": series(measures, "round"),
            "versions": series(measures, "version"),
            "weeks": series(measures, "week"),
            "places": shown_places(measures.parts["all",]),
            "labelers": [
                {
                    **labeler_figures(labeler, measures.parts["labeler", labeler], findings.get(labeler, [])),
                    "skips": skips.get(labeler, 0),
                }
                for labeler in [*findings, *(pk for pk in ids if pk not in findings)]
            ],
            "matrix": matrix(measures.between),
        }


def alpha(prompts: Iterable[tuple[int, list[Values]]]) -> Estimate | None:
    """α, by a module that loads numpy: only the sweep that computes waits for that, not every start of the web server."""
    from labeling.quality.alpha import ordinal_alpha

    return ordinal_alpha(prompts)


def units_of(prompt: Iterable[Judged]) -> tuple[list[Values], list[Values]]:
    """(positions, ratings) that the labelers of each comparison gave each of its completions."""
    places: list[Values] = []
    ratings: list[Values] = []
    for judged in prompt:
        rows = [one for one in judged.judgements if not one.is_researcher]
        where = [positions(one.ranks) for one in rows]
        for completion in judged.lengths:
            places.append([own[completion] for own in where if completion in own])
            ratings.append([one.ratings[completion] for one in rows if completion in one.ratings])
    return places, ratings


def said(estimate: Estimate | None) -> dict[str, Any] | None:
    """As JSON."""
    return estimate.as_json() if estimate else None


def part_figures(part: Part, *, resamples: int = 1000) -> dict[str, Any]:
    """Figures of one part, whatever it is."""
    return {
        "rankings": part.rankings,
        "agreement": {kind: said(part.agreement[kind].estimate(resamples=resamples)) for kind in KINDS},
        "ties": part.ties.value,
        "earlier": said(part.earlier.estimate(resamples=resamples)),
        "order_probability": part.order.order_probability,
        "longer": said(part.longer.estimate(resamples=resamples)),
        "controls": said(wilson(part.passed, part.controls)),
        "flagged": part.flagged / part.rankings if part.rankings else None,
        "seconds": part.median_seconds,
    }


def series(measures: Measures, name: str) -> list[dict[str, Any]]:
    """The parts of one sort in ascending order; what belongs to none (outside a round) comes first, with key None."""
    keys = [key for key, part in measures.parts.items() if key[0] == name and part.rankings]
    keys.sort(key=lambda key: (key[1] is not None, key[1] if key[1] is not None else 0))
    return [
        {"key": key[1].isoformat() if name == "week" else key[1], **part_figures(measures.parts[key])} for key in keys
    ]


def labeler_figures(labeler: int, part: Part, findings: list[attention.Finding]) -> dict[str, Any]:
    """One labeler's row. `longer_excess` is against others on the same comparisons, in shares."""
    return {
        "id": labeler,
        **part_figures(part),
        "longer_excess": part.against_others.mean,
        "findings": [asdict(finding) for finding in findings],
    }


def shown_places(part: Part) -> dict[str, Any] | None:
    """How often the completion shown at each place was the only best one, for the K with the most rankings."""
    if not part.order.wins:
        return None
    k, won = max(part.order.wins.items(), key=lambda item: item[1].total())
    rows = [
        {"place": place, "wins": won[place], **(said(wilson(won[place], won.total())) or {})}
        for place in range(1, k + 1)
    ]
    return {"k": k, "wins": won.total(), "probability": part.order.place_probability, "rows": rows}


def matrix(between: dict[tuple[int, int], Ratio]) -> dict[str, Any]:
    """Agreement of each two of the labelers who share most pairs: ids, and cells {"one-other": [agreement, pairs]}."""
    shared: dict[int, int] = {}
    for (one, other), ratio in between.items():
        for labeler in (one, other):
            shared[labeler] = shared.get(labeler, 0) + ratio.cases
    chosen = sorted(sorted(shared, key=lambda pk: -shared[pk])[:MATRIX])
    cells = {
        f"{one}-{other}": [ratio.value, ratio.cases]
        for (one, other), ratio in between.items()
        if one in chosen and other in chosen
    }
    return {"ids": chosen, "labelers": len(shared), "cells": cells}
