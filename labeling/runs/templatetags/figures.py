"""Numbers as people read them."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.filter
def figure(value: Any) -> str:
    """Three significant digits, a true minus, `–` for nothing; whole numbers whole, words as they are."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "\u2212")
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    if size and (size < 0.001 or size >= 1e6):
        text = f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    else:
        text = (
            f"{value:,.0f}"
            if size >= 100
            else f"{value:.1f}"
            if size >= 10
            else f"{value:.2f}"
            if size >= 1
            else f"{value:.3f}"
        )
    return text.replace("-", "\u2212", 1) if value < 0 else text


@register.filter
def setting(value: Any) -> str:
    """A config value as it would be typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == "":
        return "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)


@register.filter
def of(facts: dict[str, Any], name: str) -> Any:
    """facts[name], or nothing."""
    return facts.get(name)
