"""Krippendorff's α: published examples, the package as reference, and the interval."""

from __future__ import annotations

import random

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.quality.agreement import positions
from labeling.quality.alpha import alphas_of, coincidences, newest, ordinal_alpha, value_counts

N = None
# Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C: 4 observers, 12 units, ordinal α = .815
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
UNITS = [[float(row[unit]) for row in OBSERVERS if row[unit] is not None] for unit in range(12)]


def test_the_published_example():
    found = ordinal_alpha([(unit, [values]) for unit, values in enumerate(UNITS)])
    assert round(found.value, 3) == 0.815
    assert found.low < found.value < found.high
    assert (found.groups, found.cases) == (11, 11)  # the unit with one value says nothing


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=6), min_size=2, max_size=20))
def test_the_formula_of_the_interval_is_that_of_the_package(units):
    domain = sorted({value for unit in units for value in unit})
    if len(domain) < 2:
        return
    counts = value_counts(units, domain)
    reference = krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement="ordinal")
    assert alphas_of(coincidences(counts)[None])[0] == pytest.approx(reference, abs=1e-9)


def test_matrices_of_parts_add_up_to_that_of_the_whole():
    counts = value_counts([unit for unit in UNITS if len(unit) > 1], [1, 2, 3, 4, 5])
    parts = sum(coincidences(counts[at : at + 1]) for at in range(len(counts)))
    assert np.allclose(parts, coincidences(counts))


def test_equal_judgements_give_one_and_lots_give_about_zero():
    assert ordinal_alpha([(n, [[n % 4, n % 4]]) for n in range(40)]).value == 1.0
    generator = random.Random(0)
    lots = ordinal_alpha([(n, [[generator.randrange(4), generator.randrange(4)]]) for n in range(800)])
    assert lots.low < 0.0 < lots.high
    assert abs(lots.value) < 0.1


def test_one_value_or_one_person_gives_nothing():
    assert ordinal_alpha([(1, [[3.0, 3.0], [3.0, 3.0]])]) is None
    assert ordinal_alpha([(1, [[1.0], [2.0]])]) is None
    assert ordinal_alpha([]) is None


def test_prompts_are_drawn_whole():
    """Ten copies of a unit inside one prompt are worth no more than one: the interval stays as wide."""
    one = ordinal_alpha([(n, [values]) for n, values in enumerate(UNITS)])
    ten = ordinal_alpha([(n, [values] * 10) for n, values in enumerate(UNITS)])
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.1)


def test_positions_put_every_k_on_one_scale_and_ties_in_the_middle():
    assert positions({7: 1, 8: 2}) == {7: -1.0, 8: 1.0}
    assert positions({1: 1, 2: 2, 3: 2, 4: 3}) == {1: -1.0, 2: 0.0, 3: 0.0, 4: 1.0}
    assert positions({1: 1, 2: 1, 3: 2}) == {1: -0.5, 2: -0.5, 3: 1.0}


def test_only_as_many_prompts_as_memory_allows_the_first_ones_first():
    prompts = [(n, [[1.0, 2.0]] * 3) for n in range(5)]
    assert [prompt for prompt, _ in newest(prompts, limit=7)] == [0, 1]
    assert [prompt for prompt, _ in newest(prompts, limit=1)] == [0]
