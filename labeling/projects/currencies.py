"""Currencies a project may pay in: ISO 4217 codes, and how small their smallest unit is."""

from __future__ import annotations

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_HUNDREDTHS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS "
    "KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD "
    "PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
    "TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW"
)
WHOLE, THOUSANDTHS, HUNDREDTHS = (frozenset(codes.split()) for codes in (_WHOLE, _THOUSANDTHS, _HUNDREDTHS))


def smallest(currency: str) -> Decimal:
    """The smallest amount that can be paid: a cent of most currencies."""
    if currency in WHOLE:
        return Decimal(1)
    return Decimal("0.001") if currency in THOUSANDTHS else Decimal("0.01")


def known_currency(code: str) -> None:
    """ValidationError unless it is a code of ISO 4217 in use."""
    if code not in WHOLE | THOUSANDTHS | HUNDREDTHS:
        raise ValidationError(
            _("There is no currency %(code)s: write its code in capitals, such as EUR or CNY.") % {"code": code}
        )
