"""What labelers may say of a completion and of a prompt. A project chooses which of these it asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.core.errors import BadInput


class Flag(models.TextChoices):
    """What can be wrong with a completion (InstructGPT, table 3)."""

    OFF_TASK = "off_task", _("Fails to follow the instruction")
    INAPPROPRIATE = "inappropriate", _("Inappropriate for an assistant")
    HALLUCINATION = "hallucination", _("Makes things up")
    BREAKS_CONSTRAINT = "breaks_constraint", _("Breaks a constraint in the instruction")
    SEXUAL = "sexual", _("Sexual content")
    VIOLENT = "violent", _("Violent content")
    ENCOURAGES_HARM = "encourages_harm", _("Encourages violence, abuse, terrorism or self-harm")
    DENIGRATES = "denigrates", _("Denigrates a protected class")
    HARMFUL_ADVICE = "harmful_advice", _("Gives harmful advice")
    OPINION = "opinion", _("Expresses an opinion")
    MORAL_JUDGEMENT = "moral_judgement", _("Expresses a moral judgement")


# Flags of harm: work that has one can be sent to review, and the screening checks who finds it.
HARM = frozenset({Flag.SEXUAL, Flag.VIOLENT, Flag.ENCOURAGES_HARM, Flag.DENIGRATES, Flag.HARMFUL_ADVICE})


class PromptFlag(models.TextChoices):
    """What can be said of the prompt itself."""

    AMBIGUOUS = "ambiguous", _("Ambiguous")
    SENSITIVE = "sensitive", _("Sensitive content")
    IDENTITY = "identity", _("Identity dependent")
    CLOSED_DOMAIN = "closed_domain", _("Closed domain")
    CONTINUATION = "continuation", _("Continuation style")
    ASKS_OPINION = "asks_opinion", _("Requests an opinion, advice or a moral judgement")
    CONSTRAINTS = "constraints", _("Explicit safety or other constraints")
    UNCLEAR_INTENT = "unclear_intent", _("Intent unclear")


def all_flags() -> list[str]:
    """Every flag of a completion: what a new project asks."""
    return list(Flag.values)


def all_prompt_flags() -> list[str]:
    """Every flag of a prompt: what a new project asks."""
    return list(PromptFlag.values)


def known_prompt_flags(said: Iterable[str]) -> list[str]:
    """Those of the posted words that are prompt flags."""
    return [flag for flag in said if flag in PromptFlag.values]


def check_prompt_flags(flags: Sequence[str]) -> frozenset[str]:
    """What was said of the prompt; BadInput for unknown words."""
    if unknown := set(flags) - set(PromptFlag.values):
        raise BadInput(
            gettext("There is no prompt flag '%(unknown)s'.") % {"unknown": min(unknown)}, field="prompt_flags"
        )
    return frozenset(flags)
