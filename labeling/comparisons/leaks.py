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

SHORTEST = 4  # characters of a checkpoint's name: shorter ones stand in too many texts
# What people call checkpoints and also write in answers. A name with a number in it, such as "sft-1", is no such word.
COMMON_WORDS = (
    "a ada adapter advanced agent aligned all alpha an and answer answers apple assistant attempt average base "
    "baseline basic best beta better big blue bot candidate chat chosen clean code coder common control copy critic "
    "current custom data default delta demo demonstration demonstrations draft early english epoch evaluation "
    "example experiment expert fair fast feedback final fine finetuned first for fresh full gamma general gold "
    "golden good great green happy harmless helper helpful helpfulness high history honest human improved initial "
    "instruct instruction instructions judge kind language large last late latest learned learner lite little long "
    "low main margin math max mean medium merged mini minimum mix mixed model models moderate modern my new newest "
    "next nice of old omega on one open optimised optimized orange original other our parent perfect plain play "
    "poet policy polite preference preferences pro production project prompt prompts pure quality quick random "
    "ranking rankings raw reader red reference release reward rewards right robot round rule rules safe safer "
    "safety sample sampled second seed sentiment sft short simple slow small smart special stable staging standard "
    "start starter step story strict strong student style summary super supervised sweet system tall target teacher "
    "test tester text the third tiny to trained training trial true truth truthful tuned tuning two ultra unsafe "
    "updated user valid validation value version warm weak white winner with word words work writer wrong yellow "
    "zero "
)
COMMON = frozenset(COMMON_WORDS.split())

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
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)", re.IGNORECASE)


def names_itself(text: str, *, messages: Iterable[Mapping[str, str]] = (), names: Sequence[str] = ()) -> bool:
    """Whether the text gives its model or vendor away."""
    return bool(leak_in(text, messages=messages, names=names))


def names_of(project: Project) -> list[str]:
    """The project's own names, one a line, and those of its checkpoints that mean nothing else."""
    said = [name.strip() for name in project.leak_names.splitlines() if name.strip()]
    made = project.checkpoints.values_list("name", flat=True)
    return said + [name for name in made if is_telling(name)]


def is_telling(name: str) -> bool:
    """Whether a checkpoint's name gives it away where it stands in a text: long enough, no number, not common words alone."""
    parts = re.findall(r"[^\W\d_]+", name.casefold())
    if len(name) < SHORTEST or not parts:
        return False
    return bool(re.search(r"\d", name)) or not COMMON.issuperset(parts)
