"""What one walk over judgements counts, by hand."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from labeling.quality.intervals import wilson
from labeling.quality.measures import LABELERS, RESEARCHERS, REWARD, Measures, length_against_others, median, meetings
from labeling.quality.reading import Judged, Judgement, ranks_of_scores
from labeling.quality.summary import Walk, units_of

MONDAY, NEXT = date(2026, 1, 5), date(2026, 1, 12)


def said(labeler, *ranks, researcher=False, week=MONDAY, version=1, places=(), ratings=(), flagged=False, seconds=30):
    """A judgement of completions 1, 2, … in order."""
    return Judgement(
        labeler,
        researcher,
        week,
        version,
        seconds,
        dict(enumerate(ranks, start=1)),
        dict(enumerate(places, start=1)),
        dict(enumerate(ratings, start=1)),
        flagged,
    )


def judged(*judgements, number=1, comparison=1, lengths=(10, 20, 30), **fields):
    """A comparison of three completions."""
    return Judged(comparison, comparison, number, list(judgements), dict(enumerate(lengths, start=1)), **fields)


def measured(*prompts):
    """All prompts walked over."""
    measures = Measures()
    for prompt in prompts:
        measures.take(prompt)
    return measures


def share(measures, target, kind=LABELERS):
    """(agreed, pairs) of one part."""
    ratio = measures.parts[target].agreement[kind]
    return ratio.total, ratio.cases


def test_agreement_goes_to_all_the_round_the_later_week_and_the_shared_version():
    found = measured(
        [judged(said(7, 1, 2, 3, week=NEXT, version=2), said(8, 1, 3, 2))],  # 2 of 3; versions differ
        [judged(said(7, 1, 2, 3, version=2), said(9, 3, 2, 1, version=2), number=2, comparison=2)],  # 0 of 3
    )
    assert share(found, ("all",)) == (2.0, 6)
    assert (share(found, ("round", 1)), share(found, ("round", 2))) == ((2.0, 3), (0.0, 3))
    assert (share(found, ("week", NEXT)), share(found, ("week", MONDAY))) == ((2.0, 3), (0.0, 3))
    assert (share(found, ("version", 1)), share(found, ("version", 2))) == ((0, 0), (0.0, 3))
    assert [share(found, ("labeler", pk)) for pk in (7, 8, 9)] == [(2.0, 6), (2.0, 3), (0.0, 3)]
    assert found.between[7, 8].value == pytest.approx(2 / 3)
    assert found.own_weeks[7, MONDAY].value == 0.0
    assert found.disputes == {1: (1, 2, pytest.approx(1 / 3)), 2: (2, 2, 1.0)}


def test_all_comparisons_of_one_prompt_are_one_group():
    found = measured(
        [judged(said(7, 1, 2, 3), said(8, 1, 2, 3)), judged(said(7, 1, 2, 3), said(8, 3, 2, 1), comparison=2)]
    )
    assert found.parts["all",].agreement[LABELERS].groups == Counter({(3.0, 6): 1})


def test_researchers_known_rankings_and_scores_are_compared_apart():
    found = measured(
        [
            judged(
                said(7, 1, 2, 3),
                said(5, 1, 2, 2, researcher=True),
                known={1: 1, 2: 2, 3: 3},
                score_ranks={1: 3, 2: 2, 3: 1},
            )
        ]
    )
    assert share(found, ("all",)) == (0, 0)
    assert share(found, ("all",), RESEARCHERS) == (2.5 + 3.0, 6)  # a tie against an order; the known ranking
    assert share(found, ("labeler", 7), REWARD) == (0.0, 3)
    assert ("labeler", 5) not in found.parts
    assert (found.parts["all",].rankings, found.parts["all",].controls, found.parts["all",].passed) == (1, 1, 1)


def test_a_control_is_passed_at_three_quarters_of_its_pairs():
    known = {1: 1, 2: 2, 3: 3}
    found = measured([judged(said(7, 1, 2, 3), said(8, 1, 3, 2), said(9, 1, 2, 2), known=known)])
    passed = {pk: found.parts["labeler", pk].passed for pk in (7, 8, 9)}
    assert passed == {7: 1, 8: 0, 9: 1}  # 3 of 3, 2 of 3, 2½ of 3
    assert found.parts["week", MONDAY].controls == 3


def test_single_rankings_count_ties_flags_time_and_places():
    part = measured(
        [judged(said(7, 1, 1, 2, places=(2, 1, 3), flagged=True, seconds=40), said(8, 1, 2, 3, seconds=20))]
    )
    whole = part.parts["all",]
    assert (whole.rankings, whole.flagged, whole.median_seconds) == (2, 1, 30.0)
    assert (whole.ties.total, whole.ties.cases) == (1, 6)
    assert (whole.earlier.total, whole.earlier.cases) == (2.5, 3)  # only 7's order is known
    assert (whole.longer.total, whole.longer.cases) == (0.5, 6)


def test_length_is_compared_with_the_mean_of_the_others():
    # longer wins: 7 never, 8 always, 9 with two of three pairs
    found = length_against_others(judged(said(7, 1, 2, 3), said(8, 3, 2, 1), said(9, 3, 1, 2)))
    assert found[7] == pytest.approx(0 - (1 + 2 / 3) / 2)
    assert found[8] == pytest.approx(1 - (0 + 2 / 3) / 2)
    assert length_against_others(judged(said(7, 1, 2, 3))) == {}


def test_up_to_eleven_people_all_meet_and_more_meet_ten_each():
    assert len(list(meetings([said(pk, 1, 2, 3) for pk in range(11)]))) == 55
    pairs = [(one.labeler, other.labeler) for one, other in meetings([said(pk, 1, 2, 3) for pk in range(40)])]
    assert len(set(pairs)) == len(pairs) == 200
    assert set(Counter(pk for pair in pairs for pk in pair).values()) == {10}


def test_median_of_counted_values():
    assert median(Counter({10: 1, 20: 2, 90: 1})) == 20.0
    assert median(Counter({10: 2, 20: 2})) == 15.0
    assert median(Counter()) is None


def test_scores_become_places():
    assert ranks_of_scores({1: 0.5, 2: 2.0, 3: 0.5}) == {1: 2, 2: 1, 3: 2}
    assert ranks_of_scores({1: 0.5}) is None


def test_units_of_alpha_leave_researchers_out():
    rows = [judged(said(7, 1, 2, 3, ratings=(7, 4, 1)), said(8, 1, 2, 2), said(5, 3, 2, 1, researcher=True))]
    places, ratings = units_of(rows)
    assert places == [[-1.0, -1.0], [0.0, 0.5], [1.0, 0.5]]
    assert ratings == [[7], [4], [1]]


def test_figures_of_nothing_are_empty():
    figures = Walk().figures({})
    assert (figures["labelers"], figures["rounds"], figures["alpha"]["places"]) == ([], [], None)
    assert figures["all"]["agreement"] == {"labelers": None, "researchers": None, "reward": None}


def test_figures_hold_what_was_counted():
    walk = Walk()
    walk.take([judged(said(7, 1, 2, 3, places=(1, 2, 3)), said(8, 1, 3, 2), known={1: 1, 2: 2, 3: 3}, number=None)])
    figures = walk.figures({7: 3, 9: 1})
    assert figures["all"]["agreement"]["labelers"]["value"] == pytest.approx(2 / 3)
    assert figures["all"]["controls"] == wilson(1, 2).as_json()
    assert (figures["all"]["skips"], [row["skips"] for row in figures["labelers"]]) == (4, [3, 0])
    assert [row["key"] for row in figures["rounds"]] == [None]
    assert [row["key"] for row in figures["weeks"]] == ["2026-01-05"]
    assert figures["matrix"] == {"ids": [7, 8], "labelers": 2, "cells": {"7-8": [pytest.approx(2 / 3), 3]}}
    assert figures["places"]["rows"][0]["wins"] == 1
