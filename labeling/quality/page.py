"""The stored figures in words and in the order in which the page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from labeling.comparisons.selectors import LETTERS
from labeling.projects.models import Project
from labeling.quality import selectors
from labeling.quality.charts import dot_plot, trend
from labeling.quality.templatetags.shares import percent

DOTS = 40  # labelers in the dot plot
TONES = 5  # shades of the matrix


def context(project: Project, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template draws."""
    labelers = figures["labelers"]
    called = selectors.names(project, [row["id"] for row in labelers] + figures["matrix"]["ids"])
    rows = [labeler_row(row, called) for row in labelers]
    agreed = figures["all"]["agreement"]["labelers"]
    dots = [(row["name"], row["agreement"]["labelers"]) for row in rows if row["agreement"]["labelers"]]
    weeks = [{**row, "label": week(row["key"])} for row in figures["weeks"]]
    return {
        "whole": {**figures["all"], "skip_rate": skip_rate(figures["all"])},
        "alpha": figures["alpha"],
        "labelers": rows,
        "attention": [row for row in rows if row["reasons"]],
        "dots": dot_plot(dots[:DOTS], agreed["value"] if agreed else None),
        "dots_left_out": max(0, len(dots) - DOTS),
        "matrix": matrix(figures["matrix"], called),
        "series": [
            (_("By round"), _("Round"), [{**row, "label": round_label(row["key"])} for row in figures["rounds"][::-1]]),
            (
                _("By guideline version"),
                _("Version"),
                [{**row, "label": row["key"] or "–"} for row in figures["versions"][::-1]],
            ),
            (_("By week"), _("Week of"), weeks[::-1]),
        ],
        "trends": [
            (name, drawn)
            for name, drawn in (
                (_("Labelers agree"), trend([(row["label"], row["agreement"]["labelers"]) for row in weeks])),
                (_("The one shown earlier wins"), trend([(row["label"], row["earlier"]) for row in weeks], 0.5)),
                (_("The longer one wins"), trend([(row["label"], row["longer"]) for row in weeks], 0.5)),
                (_("Controls passed"), trend([(row["label"], row["controls"]) for row in weeks])),
            )
            if drawn
        ],
        "places": places(figures["places"]),
    }


def labeler_row(row: Mapping[str, Any], called: Mapping[int, str]) -> dict[str, Any]:
    """A labeler with a name, and what stands out said in words."""
    return {
        **row,
        "name": called.get(row["id"], _("Somebody who left")),
        "skip_rate": skip_rate(row),
        "excess": points(row["longer_excess"]),
        "reasons": [reason(finding) for finding in row["findings"]],
    }


def points(share: float | None) -> str:
    """A difference of shares as `+3.1` points."""
    return "" if share is None else f"{100 * share:+.1f}".replace("-", "\u2212")


def skip_rate(row: Mapping[str, Any]) -> float | None:
    """Comparisons passed on among those handed out and finished."""
    seen = row["skips"] + row["rankings"]
    return row["skips"] / seen if seen else None


def round_label(number: int | None) -> str:
    """What a round is called; work may be done outside of one."""
    return _("Round %(number)s") % {"number": number} if number is not None else _("Outside a round")


def week(key: str) -> str:
    """The Monday of a week."""
    return date_format(date.fromisoformat(key), _("j M Y"))


def reason(finding: Mapping[str, Any]) -> str:
    """One finding as a sentence with its probability."""
    detail, more = finding["detail"], finding["value"] > finding["expected"]
    values = {"value": percent(finding["value"]), "expected": percent(finding["expected"])}
    match finding["kind"]:
        case "agreement" if detail["at_chance"]:
            values["chance"] = percent(detail["chance"])
            text = _(
                "Agrees with others on %(value)s of pairs, as by chance (%(chance)s); the others agree on %(expected)s."
            )
        case "agreement":
            text = _("Agrees with others on %(value)s of pairs; the others agree on %(expected)s.")
        case "order" if more:
            text = _("What is shown earlier wins %(value)s of pairs; without bias it is %(expected)s.")
        case "order":
            text = _("What is shown earlier wins only %(value)s of pairs; without bias it is %(expected)s.")
        case "place":
            values["letter"] = LETTERS[detail["place"] - 1]
            text = _("Ranks %(letter)s best %(value)s of the time; without bias it is %(expected)s.")
        case "length" if more:
            text = _("The longer one wins %(value)s of pairs; with others on the same comparisons %(expected)s.")
        case "length":
            text = _("The longer one wins only %(value)s of pairs; with others on the same comparisons %(expected)s.")
        case _:
            text = _("Passes %(value)s of controls; the others pass %(expected)s.")
    return f"{text % values} ({probability(finding['probability'])})"


def probability(value: float) -> str:
    """`p = 0.003`, `p < 0.0001`."""
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"


def matrix(stored: Mapping[str, Any], called: Mapping[int, str]) -> dict[str, Any] | None:
    """Rows of cells; a cell is None on the diagonal and where two share nothing. The tone says what the number says."""
    ids = stored["ids"]
    if len(ids) < 2:
        return None
    shares = [share for share, _pairs in stored["cells"].values()]
    low, high = min(shares), max(shares)

    def cell(one: int, other: int) -> dict[str, Any] | None:
        found = stored["cells"].get(f"{min(one, other)}-{max(one, other)}")
        if one == other or not found:
            return None
        tone = int((TONES - 1e-9) * (found[0] - low) / (high - low)) if high > low else TONES // 2
        return {"share": round(100 * found[0]), "pairs": found[1], "tone": tone}

    names = [called.get(pk, "–") for pk in ids]
    rows = [
        {"number": at, "name": name, "cells": [cell(one, other) for other in ids]}
        for at, (one, name) in enumerate(zip(ids, names, strict=True), start=1)
    ]
    heads = list(enumerate(names, start=1))
    return {"heads": heads, "rows": rows, "left_out": stored["labelers"] - len(ids)}


def places(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Wins by shown place, with letters."""
    if not stored:
        return None
    fair = 1 / stored["k"]
    scale = max([fair, *(row["high"] for row in stored["rows"] if "high" in row)])
    rows = [
        {
            **row,
            "letter": LETTERS[row["place"] - 1],
            "x": 24 + 396 * row.get("value", 0.0) / scale,
            "from": 24 + 396 * row.get("low", 0.0) / scale,
            "to": 24 + 396 * row.get("high", 0.0) / scale,
            "y": 14 + 26 * (row["place"] - 1),
        }
        for row in stored["rows"]
    ]
    return {
        "k": stored["k"],
        "wins": stored["wins"],
        "fair": fair,
        "fair_x": 24 + 396 * fair / scale,
        "height": 26 * stored["k"] + 4,
        "rows": rows,
        "said": probability(stored["probability"]),
    }
