"""What a refusal says of the values one may choose from."""

from __future__ import annotations

from django.db.models import TextChoices


def offered(choices: type[TextChoices]) -> str:
    """`contractor, reviewer`: the values to send; with the reader's word for each, where that is another: `contractor (签约标注员)`."""
    said = ((value, str(label)) for value, label in choices.choices)
    return ", ".join(value if label.lower() == value else f"{value} ({label})" for value, label in said)
