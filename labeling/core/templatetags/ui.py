"""Template tags that every page may use."""

from __future__ import annotations

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from labeling.core import markdown as rendering

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon from the sprite, hidden from screen readers: the text beside it says what it means."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', static("labeling/icons.svg"), name
    )


@register.filter
def markdown(text: str, top: int = 4) -> SafeString:
    """Model or human text as sanitised HTML; its headings begin at `<h{top}>`."""
    return mark_safe(rendering.to_html(text, int(top)))


@register.filter
def upto(n: int) -> range:
    """1..n."""
    return range(1, int(n) + 1)
