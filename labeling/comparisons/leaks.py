"""Completions that say which model they come from are held back before anybody sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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


def names_itself(text: str, *, messages: Iterable[Mapping[str, str]] = ()) -> bool:
    """Whether the text gives its model or vendor away. A name that the prompt already has gives nothing away."""
    asked = "\n".join(message["content"] for message in messages).casefold()
    said = [match.group().casefold() for match in MENTION.finditer(text)]
    return bool(SELF_NAME.search(text)) or any(name not in asked for name in said)
