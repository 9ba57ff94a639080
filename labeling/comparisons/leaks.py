"""Completions that say which model they come from are held back before anybody sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from labeling.projects.models import Project

# Names that mean a model or its vendor wherever they stand.
NAMES = (
    r"ChatGPT",
    r"GPT-?[2345](?:\.\d)?(?:-?turbo|o)?",
    r"OpenAI",
    r"Anthropic",
    r"DeepMind",
    r"DeepSeek",
    r"Hugging ?Face",
    r"SmolLM\d?",
    r"Qwen\d?",
    r"LLaMA[ -]?\d",
    r"Mistral ?AI",
    r"Mixtral",
    r"Alibaba Cloud",
)
# Names that are also words or first names count only where the text speaks of itself.
SELF = r"\b(?:I am|I'm|my name is|call me|this is)\s+(?:an? )?(?:\w+ )?"
SHARED_NAMES = r"(?:Claude|Gemini|Bard|Llama|Mistral|Phi|Gemma|Grok|Copilot)\b"

MENTION = re.compile(r"(?<!\w)(?:" + "|".join(NAMES) + r")(?!\w)", re.IGNORECASE)
SELF_NAME = re.compile(SELF + SHARED_NAMES, re.IGNORECASE)


def leak_in(text: str, *, messages: Iterable[Mapping[str, str]] = (), names: Sequence[str] = ()) -> str:
    """The first words that give the text's model or vendor away; "" when none do. `names` are looked for besides the common ones.

    A name that the prompt already has gives nothing away.
    """
    asked = "\n".join(message["content"] for message in messages).casefold()
    if own := SELF_NAME.search(text):
        return own.group()
    patterns = [MENTION, *([whole_words(names)] if names else [])]
    found = [match for pattern in patterns for match in pattern.finditer(text) if match.group().casefold() not in asked]
    return min(found, key=lambda match: match.start()).group() if found else ""


def whole_words(names: Sequence[str]) -> re.Pattern[str]:
    """Any of these names, whatever its case, not inside another word."""
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, names)) + r")(?!\w)", re.IGNORECASE)


def names_itself(text: str, *, messages: Iterable[Mapping[str, str]] = (), names: Sequence[str] = ()) -> bool:
    """Whether the text gives its model or vendor away."""
    return bool(leak_in(text, messages=messages, names=names))


def names_of(project: Project) -> list[str]:
    """The project's own names, one a line."""
    return [name.strip() for name in project.leak_names.splitlines() if name.strip()]
