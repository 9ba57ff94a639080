"""Template tags that every page may use."""

from __future__ import annotations

from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from labeling.core import kept_words
from labeling.core import markdown as rendering

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon from the sprite, hidden from screen readers: the text beside it says what it means."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', static("labeling/icons.svg"), name
    )


@register.simple_tag
def state(value: str, label: str = "") -> SafeString:
    """A state as a coloured word; colour never says it alone."""
    return format_html('<span class="pill state-{}">{}</span>', value, label or value)


@register.filter
def markdown(text: str, top: int = 4) -> SafeString:
    """Model or human text as sanitised HTML; its headings begin at `<h{top}>`."""
    return mark_safe(rendering.to_html(text, int(top)))


@register.filter
def duration(seconds: int) -> str:
    """Active time in words: "45 s", "12 min", "3 h 05 min"."""
    if seconds < 60:
        return _("%(seconds)d s") % {"seconds": seconds}
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return _("%(minutes)d min") % {"minutes": minutes}
    return _("%(hours)d h %(minutes)02d min") % {"hours": hours, "minutes": minutes}


@register.filter
def told(text: str) -> str:
    """Words that a row keeps, such as why a run waits, in the reader's language."""
    return kept_words.told(text)


@register.filter
def lookup(table: dict[Any, Any], key: Any) -> Any:
    """The value under a key that is known only to the template; "" where there is none."""
    return table.get(key, "")


@register.filter
def upto(n: int) -> range:
    """1..n."""
    return range(1, int(n) + 1)
