"""Prompts and answers made of parts, so that labelers made of code have thousands of things to judge. No model is asked."""

from __future__ import annotations

import random

TOPICS = (
    "a garden", "a bicycle", "bread", "the weather", "a library", "sleep", "a budget", "tea", "a road trip", "chess",
    "a kitten", "compost", "a job interview", "the moon", "a small shop", "running", "a choir", "rain", "maps", "paint",
    "a toolbox", "honey", "a school play", "the tides", "a picnic",
)  # fmt: skip
TASKS = (
    "Give me a tip about {}.", "Explain {} to a child.", "What should I know about {}?", "How do I begin with {}?",
    "Write a short note about {}.", "Why do people like {}?", "Tell me something useful about {}.",
    "What goes wrong with {}?", "How has {} changed?", "Describe {} to a friend.", "What does {} cost in the end?",
    "How do I teach somebody about {}?", "What is often said wrongly about {}?", "How do I choose well with {}?",
    "Which habits help with {}?", "What would an expert say about {}?", "How do I save time with {}?",
    "What makes {} hard?", "Whom can I ask about {}?", "What is good about {} in winter?",
)  # fmt: skip
OPENINGS = (
    "{} is worth a little patience", "with {} the first step matters most", "most of {} comes down to a calm routine",
    "there is more to {} than it seems", "{} rewards small and steady work",
)  # fmt: skip
READER = ("and you will notice it soon", "so trust your own eyes", "which you can try at home today")
REASON = ("because small things add up", "since nothing good is rushed", "so that nothing is wasted")
EXAMPLE = ("for example early in the morning", "for instance on a quiet Sunday", "such as a slow walk before work")
FILLER = (
    "the rest follows in its own time", "old hands say the same", "a bit of care goes a long way",
    "there are many ways to see this", "one thing leads to the next", "and that is how it usually goes",
)  # fmt: skip


def prompts(count: int) -> list[str]:
    """`count` different prompts, always the same; at most TOPICS × TASKS of them."""
    found = [task.format(topic) for task in TASKS for topic in TOPICS]
    if count > len(found):
        raise ValueError(f"count: there are {len(found)} prompts")
    return found[:count]


def answer(prompt: str, generator: random.Random) -> tuple[str, bool]:
    """(text, whether it was finished): an answer with some of the traits that labelers look at, of any length."""
    topic = next((topic for topic in TOPICS if topic in prompt), "this")
    parts = [generator.choice(OPENINGS).format(topic)]
    for pool, chance in ((READER, 0.5), (REASON, 0.45), (EXAMPLE, 0.4)):
        if generator.random() < chance:
            parts.append(generator.choice(pool))
    parts += generator.sample(FILLER, generator.randrange(len(FILLER)))
    if generator.random() < 0.2:
        parts += [parts[-1]] * 2
    text = ", ".join(parts)
    text = text[0].upper() + text[1:]
    finished = generator.random() < 0.85
    return (f"{text}." if finished else text[: int(len(text) * generator.uniform(0.6, 1.0))]), finished
