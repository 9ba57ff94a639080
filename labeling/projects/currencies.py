"""Currencies a project may pay in, by their ISO 4217 codes; which are in use, and how small their smallest amount is, CLDR says."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel.core import get_global
from babel.numbers import get_currency_precision
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


@cache
def in_use() -> frozenset[str]:
    """What is legal tender somewhere today."""
    by_territory = get_global("territory_currencies").values()
    return frozenset(code for found in by_territory for code, _since, until, tender in found if tender and not until)


def decimals(currency: str) -> int:
    """How many decimals its amounts have: two of most currencies, none of yen."""
    return get_currency_precision(currency)


def smallest(currency: str) -> Decimal:
    """The smallest amount that is paid: a cent of most currencies."""
    return Decimal(1).scaleb(-decimals(currency))


def known_currency(code: str) -> None:
    """ValidationError unless it is the code of a currency in use."""
    if code not in in_use():
        raise ValidationError(
            _("There is no currency %(code)s: write its code in capitals, such as EUR or CNY.") % {"code": code}
        )
