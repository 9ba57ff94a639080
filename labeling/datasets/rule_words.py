"""Rules of a snapshot in words for its page."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.comparisons.models import Comparison
from labeling.datasets.models import Snapshot
from labeling.prompts.models import Prompt

NAMES = {
    "splits": gettext_lazy("Splits"),
    "purpose": gettext_lazy("Purpose"),
    "round_number": gettext_lazy("Round"),
    "guideline_version": gettext_lazy("Guideline version"),
    "accepted_only": gettext_lazy("Accepted work only"),
    "without_labelers": gettext_lazy("Without the work of"),
    "categories": gettext_lazy("Categories"),
    "limit": gettext_lazy("At most"),
}


def rules_in_words(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(rule, what it says) of each rule the snapshot was frozen by. People are called by their keys, as its rows call them."""
    return [(str(NAMES.get(rule, rule)), value_in_words(rule, value)) for rule, value in snapshot.rules.items()]


def value_in_words(rule: str, value: Any) -> str:
    """What one rule says."""
    if rule == "accepted_only":
        return _("yes") if value else _("no")
    if rule == "purpose":
        return str(dict(Comparison.Purpose.choices).get(value, value))
    if rule == "splits":
        names = dict(Prompt.Split.choices)
        return ", ".join(str(names.get(split, split)) for split in value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
