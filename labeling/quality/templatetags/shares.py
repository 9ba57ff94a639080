"""Shares and intervals as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def percent(share: float | str | None) -> str:
    """0.7264 as `72.6 %`; `–` for nothing (a template's word for it is the empty string)."""
    return f"{100 * share:.1f}\u00a0%" if isinstance(share, int | float) else "–"


@register.filter
def interval(estimate: Mapping[str, Any] | None) -> str:
    """`70.1 to 75.0` of a stored estimate, in percent."""
    if not estimate:
        return "–"
    ends = {name: f"{100 * estimate[name]:.1f}" for name in ("low", "high")}
    return _("%(low)s to %(high)s") % ends


@register.filter
def decimal(value: float | str | None) -> str:
    """Two digits, a true minus."""
    return f"{value:.2f}".replace("-", "\u2212") if isinstance(value, int | float) else "–"


@register.filter
def duration(seconds: float | str | None) -> str:
    """`42 s`, `3 min 20 s`."""
    if not isinstance(seconds, int | float):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    if minutes:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    return _("%(seconds)d s") % {"seconds": rest}
