"""The hidden preference against cases worked out by hand."""

import math
import random
from itertools import pairwise

import pytest

from labeling.simulation import preference

RAIN = "How does rain form?"
GOOD = (
    "Rain forms because warm air rises and cools. For example, you can see drops on a cold window when you boil "
    "water for tea."
)


def test_a_full_answer_has_every_trait() -> None:
    assert len(preference.words(GOOD)) == 24
    assert preference.traits(RAIN, GOOD, True) == {
        "finished": 1.0,
        "length": 1.0,
        "example": 1.0,
        "reason": 1.0,
        "reader": 1.0,
        "topic": 1.0,
        "form": 1.0,
        "repeats": 0.0,
    }


def test_score_is_the_weighted_sum() -> None:
    weights = preference.WEIGHTS
    assert preference.score(RAIN, GOOD, True) == pytest.approx(sum(weights.values()) - weights["repeats"])
    # one word, no end mark, no key word: only the form, of which none was asked, and no length within reach
    assert preference.score(RAIN, "Clouds", True) == pytest.approx(weights["form"])


@pytest.mark.parametrize(
    ("count", "liking"), [(24, 1.0), (17, 0.5), (31, 0.5), (10, 0.0), (38, 0.0), (2, 0.0), (90, 0.0)]
)
def test_length_has_a_peak_and_falls_on_both_sides(count: int, liking: float) -> None:
    text = " ".join(f"w{chr(97 + at % 26)}{chr(97 + at // 26)}" for at in range(count))
    assert preference.traits(RAIN, text, True)["length"] == pytest.approx(liking)


@pytest.mark.parametrize(
    ("text", "finished", "expected"),
    [
        ("Rain falls from clouds.", True, 1.0),
        ("Rain falls from clouds.", False, 0.0),
        ("Rain falls from", True, 0.0),
        ("It rains.", True, 0.0),
        ('She said "rain falls here."', True, 1.0),
        ("", True, 0.0),
    ],
)
def test_finished_needs_an_end_mark_four_words_and_a_stop(text: str, finished: bool, expected: float) -> None:
    assert preference.traits(RAIN, text, finished)["finished"] == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("example", "Try fruit such as pears.", 1.0),
        ("example", "Try an exemplary pear.", 0.0),
        ("reason", "It melts because it is warm.", 1.0),
        ("reason", "It melts.", 0.0),
        ("reader", "Keep YOUR hands warm.", 1.0),
        ("reader", "Young people like it.", 0.0),
    ],
)
def test_traits_look_for_whole_words(name: str, text: str, expected: float) -> None:
    assert preference.traits(RAIN, text, True)[name] == expected


def test_topic_is_the_share_of_two_key_words() -> None:
    prompt = "Why do birds migrate?"
    assert preference.traits(prompt, "Migration helps birds.", True)["topic"] == 1.0
    assert preference.traits(prompt, "Birds fly south.", True)["topic"] == 0.5
    assert preference.traits(prompt, "They fly south.", True)["topic"] == 0.0
    assert preference.traits("What is it?", "A lamp.", True)["topic"] == 1.0


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        ("Name three uses for vinegar.", "Cleaning, cooking and washing.", 1.0),
        ("Name three uses for vinegar.", "1. Cleaning\n2. Cooking\n3. Washing", 1.0),
        ("Name three uses for vinegar.", "1. Cleaning\n2. Cooking", 0.0),
        ("Name three uses for vinegar.", "It cleans windows.", 0.0),
        ("Rewrite politely: Move your car.", "Could you move your car?", 1.0),
        ("Rewrite politely: Move your car.", "Move it now.", 0.0),
        ("Turn this into a question: It rains.", "Does it rain?", 1.0),
        ("Turn this into a question: It rains.", "It rains.", 0.0),
        ("Summarize in one sentence: It rained. We left.", "We left in the rain.", 1.0),
        ("Summarize in one sentence: It rained. We left.", "It rained. Then we left.", 0.0),
        (RAIN, "Anything.", 1.0),
    ],
)
def test_form_is_what_the_prompt_asks_for(prompt: str, text: str, expected: float) -> None:
    assert preference.traits(prompt, text, True)["form"] == expected


def test_repeats_is_the_share_of_triples_said_before() -> None:
    # a b c a b c: triples abc bca cab abc; one of four was said before
    assert preference.traits(RAIN, "red hot sun red hot sun", True)["repeats"] == pytest.approx(0.25)


def test_agreement_of_one_pair_by_hand() -> None:
    # gap 1, scale 1: p = 1 / (1 + 1/e) = 0.731059; p² + (1 - p)² = 0.606776
    assert preference.agreement([[0.0, 1.0]], 1.0) == pytest.approx(0.606776, abs=1e-6)
    # equal scores: a coin each
    assert preference.agreement([[2.0, 2.0]], 1.0) == pytest.approx(0.5)


def test_noise_scale_meets_its_target_and_its_ranking_agrees_as_often() -> None:
    groups = [[0.0, 0.4, 1.1, 2.5], [0.3, 0.9, 1.0, 3.0]]
    scale = preference.noise_scale(groups, 0.75)
    assert preference.agreement(groups, scale) == pytest.approx(0.75, abs=1e-6)
    generator = random.Random(3)

    def judged() -> list[bool]:
        noisy = [[s + scale * preference.gumbel(generator) for s in group] for group in groups]
        return [one > other for group in noisy for at, one in enumerate(group) for other in group[:at]]

    same = [
        a == b for first, second in pairwise(judged() for _ in range(4001)) for a, b in zip(first, second, strict=True)
    ]
    assert sum(same) / len(same) == pytest.approx(0.75, abs=0.01)


def test_gumbel_has_its_mean_and_variance() -> None:
    generator = random.Random(0)
    draws = [preference.gumbel(generator) for _ in range(40_000)]
    mean = sum(draws) / len(draws)
    assert mean == pytest.approx(0.5772, abs=0.02)
    assert sum((x - mean) ** 2 for x in draws) / len(draws) == pytest.approx(math.pi**2 / 6, abs=0.06)


@pytest.mark.parametrize(("groups", "scale"), [([], 1.0), ([[1.0]], 1.0), ([[1.0, 2.0]], 0.0)])
def test_agreement_refuses_what_has_no_answer(groups: list[list[float]], scale: float) -> None:
    with pytest.raises(ValueError, match="groups|scale"):
        preference.agreement(groups, scale)


@pytest.mark.parametrize("target", [0.5, 1.0, 1.2])
def test_noise_scale_refuses_a_target_that_cannot_be(target: float) -> None:
    with pytest.raises(ValueError, match="target"):
        preference.noise_scale([[0.0, 1.0]], target)
