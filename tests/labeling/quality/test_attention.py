"""Who is listed for attention, in which order, and who is not."""

from __future__ import annotations

import random
from datetime import date

import pytest

from labeling.quality.attention import (
    agreement_test,
    control_test,
    findings,
    length_test,
    order_tests,
)
from labeling.quality.evidence import binomial_lower_tail, upper_tail
from labeling.quality.intervals import Ratio
from labeling.quality.measures import Measures, Part
from labeling.quality.reading import Judged, Judgement

K = 4


def rankings(habits, *, prompts=150, together=3, seed=0):
    """Measures of people who rank 4 completions; `habits` map an id to a function (shown, lengths, likings) → order, best first."""
    generator, measures = random.Random(seed), Measures()
    for prompt in range(prompts):
        truth = [generator.gauss(0, 1) for _ in range(K)]
        lengths = {pk: generator.randrange(20, 400) for pk in range(K)}
        rows = []
        for labeler in generator.sample(sorted(habits), together):
            shown = generator.sample(range(K), K)
            likings = [value + generator.gauss(0, 0.6) for value in truth]
            order = habits[labeler](shown, lengths, likings)
            ranks = {pk: at for at, pk in enumerate(order, start=1)}
            places = {pk: at for at, pk in enumerate(shown, start=1)}
            rows.append(Judgement(labeler, False, date(2026, 1, 5), 1, 30, ranks, places))
        measures.take([Judged(prompt, prompt, 1, rows, lengths, known=None)])
    return measures


def honest(shown, lengths, likings):
    """By liking."""
    return sorted(shown, key=lambda pk: -likings[pk])


def clicker(shown, lengths, likings):
    """By lot, with nothing to do with the place."""
    return sorted(shown, key=lambda pk: hash((pk, likings[pk])))


def as_shown(shown, lengths, likings):
    """In the order shown."""
    return shown


def longest_first(shown, lengths, likings):
    """By length."""
    return sorted(shown, key=lambda pk: -lengths[pk])


def third_first(shown, lengths, likings):
    """Whatever stands third is best, the rest by liking."""
    return [shown[2], *honest([pk for pk in shown if pk != shown[2]], lengths, likings)]


def test_bad_actors_come_first_with_the_right_reasons_and_honest_people_do_not_come_at_all():
    habits = dict.fromkeys(range(1, 9), honest) | {9: clicker, 10: as_shown, 11: longest_first}
    found = findings(rankings(habits, prompts=250))
    assert set(found) == {9, 10, 11}
    kinds = {labeler: {row.kind for row in rows} for labeler, rows in found.items()}
    assert kinds[9] == {"agreement"}
    assert {"order", "place", "agreement"} == kinds[10]
    assert "length" in kinds[11]
    assert next(row for row in found[9] if row.kind == "agreement").detail["at_chance"]
    strongest = [min(row.probability for row in rows) for rows in found.values()]
    assert strongest == sorted(strongest)


def test_a_favourite_place_in_the_middle_is_found_by_the_spread():
    rows = findings(rankings(dict.fromkeys(range(1, 6), honest) | {6: third_first}, prompts=300))[6]
    place = next(row for row in rows if row.kind == "place")
    assert (place.value, place.expected, place.detail["place"]) == (1.0, 0.25, 3)


def test_six_honest_people_raise_next_to_no_alarm_in_ten_projects():
    habits = dict.fromkeys(range(1, 7), honest)
    alarms = [bool(findings(rankings(habits, prompts=60, seed=seed))) for seed in range(10)]
    assert sum(alarms) <= 1  # one in a hundred is expected


def test_too_little_work_is_not_judged():
    assert findings(rankings({1: honest, 2: honest, 3: as_shown}, prompts=19)) == {}


def test_the_agreement_test_by_hand():
    # everybody: 30 groups of 10 pairs, half with 8, half with 6 agreed; this person in 20 of them with 4 or 6 of 10
    everyone, own = Ratio(), Ratio()
    for at in range(30):
        everyone.add(8.0 if at % 2 else 6.0, 10)
    for at in range(20):
        own.add(6.0 if at % 2 else 4.0, 10)
    ties, all_ties = Ratio(), Ratio()
    ties.add(2.0, 10)
    all_ties.add(5.0, 10)
    finding, matters = agreement_test(own, everyone, ties, all_ties)
    others = (210 - 100) / 100
    error = ((20 / 19 * 20) / 200**2 + (30 / 29 * 30) / 300**2 * 3) ** 0.5
    assert finding.expected == pytest.approx(others)
    assert finding.probability == pytest.approx(upper_tail((others - 0.5) / error))
    assert finding.detail["chance"] == pytest.approx(0.5 + 0.5 * 0.2 * 0.5)
    assert matters


def test_the_control_test_compares_with_the_others():
    own, everyone = Part(controls=10, passed=4), Part(controls=60, passed=44)
    finding, matters = control_test(own, everyone)
    assert finding.expected == 41 / 52
    assert finding.probability == pytest.approx(binomial_lower_tail(4, 10, 41 / 52))
    assert matters
    assert control_test(Part(controls=4), everyone) is None
    assert control_test(own, own) is None


def test_an_effect_too_small_to_matter_is_no_finding():
    part = Part()
    part.order.rankings = 100_000
    part.order.score, part.order.variance = 9_000.0, 600_000.0
    part.earlier.add(515.0, 1000)
    (pull, matters), *_ = order_tests(part)
    assert pull.probability < 1e-20
    assert not matters
    for _ in range(100):
        part.against_others.add(0.02)
    part.longer.add(0.6, 1)
    finding, matters = length_test(part)
    assert finding.expected == pytest.approx(0.58)
    assert not matters
