"""What a writer confirms before submitting: the guideline's own task list, `- [ ] …`."""

from __future__ import annotations

import re

from django.utils.translation import gettext_lazy as _

ITEM = re.compile(r"^\s*[-*] \[[ xX]?\]\s+(?P<text>\S.*?)\s*$", re.MULTILINE)
DEFAULT = [
    _("It does everything the prompt asks, and nothing it does not."),
    _("Every fact is true, or clearly marked as uncertain."),
    _("The tone fits the person who asked."),
    _("It could not hurt the reader or anyone else."),
]


def checks_of(body: str) -> list[str]:
    """The items of the guideline's task list; four usual ones when it has none."""
    return [match["text"] for match in ITEM.finditer(body)] or [str(text) for text in DEFAULT]


def without_checks(body: str) -> str:
    """The guideline without its task list, which the screen shows as boxes to tick."""
    return re.sub(r"\n{3,}", "\n\n", ITEM.sub("", body)).strip()
