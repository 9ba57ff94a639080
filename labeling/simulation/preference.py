"""The hidden preference that simulated labelers judge by. Pure functions, standard library only.

Nothing under `training/` reads this: the reward model and PPO have to find it from the rankings alone. In words, the
simulated labelers like an answer that ends as a finished sentence, is about 24 words long (shorter and longer are both
worse), gives an example, gives a reason, speaks to the reader, uses the prompt's own key words, keeps the form that was
asked for, and does not repeat itself. Each judgement adds Gumbel noise, so a ranking is a draw from a Plackett–Luce
model and two labelers agree about three times in four.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence

WEIGHTS: dict[str, float] = {
    "finished": 0.6,
    "length": 1.0,
    "example": 1.2,
    "reason": 1.0,
    "reader": 0.5,
    "topic": 0.4,
    "form": 0.4,
    "repeats": -1.5,
}

PEAK_WORDS = 24.0
LENGTH_SPREAD = 14.0  # words from the peak to where the liking has gone

EXAMPLE = re.compile(r"\b(for example|for instance|such as|including|e\.g\.)", re.I)
REASON = re.compile(
    r"\b(because|since|so that|which is why|that way|therefore|this way|this (helps|keeps|makes))\b", re.I
)
READER = re.compile(r"\b(you|your|yours|yourself)\b", re.I)
POLITE = re.compile(r"\b(please|could|would|may|might|appreciate|thank|kindly|sorry)\b", re.I)
ASKS_THREE = re.compile(r"\bthree (?!times\b)[a-z]+", re.I)
ASKS_BRIEF = re.compile(r"\b(one|a) (short )?sentence\b|\bbriefly\b|\bshorten\b", re.I)
ASKS_POLITE = re.compile(r"\b(polite|politely|kinder|soften|gently|formally|friendly)\b[^:]*:", re.I)
ASKS_QUESTION = re.compile(r"\binto a question:", re.I)
END = re.compile(r"[.!?][\"')\]]*$")
POINT = re.compile(r"(?:^|\s)(?:\d[.)]|[-*•])\s")
SERIES = re.compile(r",[^,.!?]+,?\s(?:and|or)\s")
WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?", re.I)
PLAIN_WORDS = frozenset(
    WORD.findall(
        """about again also animal animals answer because been before better best between briefly cannot change could
        describe does done down each else even every example explain find from give good happen happens have having help
        helps here ideas into just know like list look make made many mean means more most much name need only other over
        people plain polite propose question reason reasons request rewrite right sentence share short should simple
        simply some someone start such suggest sure tell text than thank that their them then there these they thing
        things think this those three tips today topics turn used uses using want ways week well were what when where
        which while with without words work would write your yours"""
    )
)


def words(text: str) -> list[str]:
    """The words of `text` in lower case, punctuation dropped."""
    return [word.lower() for word in WORD.findall(text)]


def traits(prompt: str, text: str, finished: bool) -> dict[str, float]:
    """What the labelers look at, each from 0 to 1. `finished` says that the model ended the answer by itself."""
    spoken = words(text)
    return {
        "finished": float(finished and len(spoken) >= 4 and bool(END.search(text.rstrip()))),
        "length": max(0.0, 1.0 - abs(len(spoken) - PEAK_WORDS) / LENGTH_SPREAD),
        "example": float(bool(EXAMPLE.search(text))),
        "reason": float(bool(REASON.search(text))),
        "reader": float(bool(READER.search(text))),
        "topic": _topic(prompt, spoken),
        "form": _form(prompt, text),
        "repeats": _repeats(spoken),
    }


def score(prompt: str, text: str, finished: bool) -> float:
    """How much a labeler without noise likes the answer: the weighted sum of its traits."""
    return sum(WEIGHTS[name] * value for name, value in traits(prompt, text, finished).items())


def _stems(spoken: Sequence[str]) -> set[str]:
    return {word.rstrip("s")[:5] for word in spoken if len(word) > 3 and word not in PLAIN_WORDS}


def _topic(prompt: str, spoken: Sequence[str]) -> float:
    """Share of two of the prompt's key words (compared by their first five letters, without a final s) that the answer uses."""
    keys = _stems(words(prompt))
    wanted = min(2, len(keys))
    return min(wanted, len(keys & _stems(spoken))) / wanted if wanted else 1.0


def _form(prompt: str, text: str) -> float:
    """1 where the answer keeps the form the prompt asks for, or the prompt asks for none."""
    if ASKS_QUESTION.search(prompt):
        return float(text.rstrip().endswith("?"))
    if ASKS_POLITE.search(prompt):
        return float(bool(POLITE.search(text)))
    if ASKS_BRIEF.search(prompt):
        return float(len(re.findall(r"[.!?](?:\s|$)", text.strip())) <= 1)
    if ASKS_THREE.search(prompt):
        return float(_names_three(text))
    return 1.0


def _names_three(text: str) -> bool:
    """True for a series such as "a, b and c", and for exactly three numbered or bulleted points."""
    points = POINT.findall(text)
    return len(points) == 3 if points else bool(SERIES.search(text))


def _repeats(spoken: Sequence[str]) -> float:
    """Share of the three-word sequences that were said before."""
    triples = [tuple(spoken[at : at + 3]) for at in range(len(spoken) - 2)]
    return 1.0 - len(set(triples)) / len(triples) if triples else 0.0


# ---------------------------------------------------------------- noise


def gumbel(generator: random.Random) -> float:
    """One draw of standard Gumbel noise: adding it (times a scale) to scores and sorting is Plackett–Luce ranking."""
    return -math.log(-math.log(generator.uniform(1e-12, 1.0 - 1e-12)))


def agreement(groups: Sequence[Sequence[float]], scale: float) -> float:
    """Chance that two labelers with Gumbel noise of `scale` order a pair alike, averaged over the pairs inside `groups`.

    The difference of two Gumbel draws is logistic, so the better one wins with p = sigmoid(gap / scale), and two
    labelers agree with p² + (1 - p)².
    """
    gaps = [abs(one - other) for group in groups for at, one in enumerate(group) for other in group[:at]]
    if not gaps:
        raise ValueError("groups: at least one group with two scores is needed")
    if scale <= 0:
        raise ValueError("scale: must be above 0")
    wins = [1.0 / (1.0 + math.exp(-gap / scale)) for gap in gaps]
    return sum(p * p + (1.0 - p) * (1.0 - p) for p in wins) / len(wins)


def noise_scale(groups: Sequence[Sequence[float]], target: float = 0.75) -> float:
    """The Gumbel scale at which two labelers agree on the share `target` of the pairs; `target` is above ½ and below 1."""
    if not 0.5 < target < 1.0:
        raise ValueError("target: must lie between 0.5 and 1")
    low, high = 0.01, 20.0
    if agreement(groups, low) <= target:
        return low  # the scores are nearly all alike: no noise can be spared
    for _ in range(60):
        middle = math.sqrt(low * high)
        if agreement(groups, middle) > target:
            low = middle
        else:
            high = middle
    return low
