"""Amounts and languages in words."""

from __future__ import annotations

from decimal import Decimal

from django import template
from django.utils.formats import number_format

from labeling.projects import languages
from labeling.projects.currencies import decimals
from labeling.projects.pay import rounded

register = template.Library()


@register.filter
def money(value: Decimal | None, currency: str) -> str:
    """An amount with its currency, such as "1,234.50 EUR"; a dash for none."""
    if value is None:
        return "–"
    return (
        f"{number_format(rounded(value, currency), decimals(currency), use_l10n=True, force_grouping=True)} {currency}"
    )


@register.filter
def language(code: str) -> str:
    """The name of a language in the reader's language."""
    return languages.name_of(code)
