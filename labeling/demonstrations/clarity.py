"""Is the prompt clear? A switch beside the answer; what it says is one of the project's prompt flags."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from labeling.assignments.models import Slot
from labeling.projects.flags import PromptFlag

DOUBTS = {
    PromptFlag.UNCLEAR_INTENT: pgettext_lazy("prompt", "Unclear"),
    PromptFlag.SENSITIVE: pgettext_lazy("prompt", "Unsafe"),
}


def choices(slot: Slot, draft: dict[str, Any]) -> list[tuple[str, Any, bool]]:
    """(value, label, chosen) of the switch: the doubts the project asks for, and one said before it stopped asking."""
    said = draft.get("prompt_flag") or []
    asked = [
        (flag.value, label, flag in said)
        for flag, label in DOUBTS.items()
        if flag in {*slot.project.prompt_flags, *said}
    ]
    return [("", _("Yes"), not any(on for *__, on in asked)), *asked] if asked else []
