"""What labelers may say of a completion and of a prompt. A project chooses which of these it asks."""

from __future__ import annotations

from django.db import models


class Flag(models.TextChoices):
    """What can be wrong with a completion (InstructGPT, table 3)."""

    OFF_TASK = "off_task", "Fails to follow the instruction"
    INAPPROPRIATE = "inappropriate", "Inappropriate for an assistant"
    HALLUCINATION = "hallucination", "Makes things up"
    BREAKS_CONSTRAINT = "breaks_constraint", "Breaks a constraint in the instruction"
    SEXUAL = "sexual", "Sexual content"
    VIOLENT = "violent", "Violent content"
    ENCOURAGES_HARM = "encourages_harm", "Encourages violence, abuse, terrorism or self-harm"
    DENIGRATES = "denigrates", "Denigrates a protected class"
    HARMFUL_ADVICE = "harmful_advice", "Gives harmful advice"
    OPINION = "opinion", "Expresses an opinion"
    MORAL_JUDGEMENT = "moral_judgement", "Expresses a moral judgement"


class PromptFlag(models.TextChoices):
    """What can be said of the prompt itself."""

    AMBIGUOUS = "ambiguous", "Ambiguous"
    SENSITIVE = "sensitive", "Sensitive content"
    IDENTITY = "identity", "Identity dependent"
    CLOSED_DOMAIN = "closed_domain", "Closed domain"
    CONTINUATION = "continuation", "Continuation style"
    ASKS_OPINION = "asks_opinion", "Requests an opinion, advice or a moral judgement"
    CONSTRAINTS = "constraints", "Explicit safety or other constraints"
    UNCLEAR_INTENT = "unclear_intent", "Intent unclear"


def all_flags() -> list[str]:
    """Every flag of a completion: what a new project asks."""
    return list(Flag.values)


def all_prompt_flags() -> list[str]:
    """Every flag of a prompt: what a new project asks."""
    return list(PromptFlag.values)
