"""Model output is hostile input: Markdown -> HTML with no raw HTML, no URLs fetched, no inline style."""

from __future__ import annotations

import re
from typing import Any

import nh3
from latex2mathml.converter import convert as tex_to_mathml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight as pyg
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

FORMAT = HtmlFormatter(nowrap=True, classprefix="tok-")


def code(text: str, lang: str, _attrs: str) -> str:
    """A fenced block with Pygments' classes; "" lets markdown-it escape it plainly."""
    try:
        return str(pyg(text, get_lexer_by_name(lang or "text"), FORMAT))
    except ClassNotFound:
        return ""


def math(tex: str, opts: dict[str, Any]) -> str:
    """A formula as MathML; one that cannot be read is shown as it was written."""
    try:
        block = opts["display_mode"]
        joiner = "" if block else "\u2060"  # keeps the comma after a formula on its line
        return str(tex_to_mathml(tex, display="block" if block else "inline")) + joiner
    except Exception:  # the converter raises whatever it stumbles on, down to IndexError
        return f"<code>{nh3.clean_text(tex)}</code>"


MD = (
    MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": code})
    .enable(["table", "strikethrough"])
    .use(dollarmath_plugin, renderer=math, allow_space=False, allow_digits=False)
)
MD.disable("image")

MATH = {
    "math",
    "mrow",
    "mi",
    "mo",
    "mn",
    "msup",
    "msub",
    "msubsup",
    "mfrac",
    "msqrt",
    "mroot",
    "mtext",
    "mspace",
    "mtable",
    "mtr",
    "mtd",
    "mover",
    "munder",
    "munderover",
    "mstyle",
    "mpadded",
    "menclose",
}
TAGS = {
    "p",
    "br",
    "hr",
    "em",
    "strong",
    "s",
    "code",
    "pre",
    "span",
    "div",
    "blockquote",
    "ul",
    "ol",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
} | MATH
ATTRS = {
    "a": {"href"},
    "ol": {"start"},
    "span": {"class"},
    "code": {"class"},
    "div": {"class"},
    "math": {"display", "xmlns"},
    "mo": {"stretchy", "fence", "form"},
    "mi": {"mathvariant"},
}


def outside_only(tag: str, attribute: str, value: str) -> str | None:
    """Keep a link only when it names its scheme: text must not point at this site's own addresses."""
    return value if attribute != "href" or value.lower().startswith(("https://", "http://", "mailto:")) else None


def to_html(text: str, top: int = 4) -> str:
    """Sanitised HTML of `text`: no raw HTML, no images, no styles, links only to http(s) and mail addresses.

    Its first-level headings become `<h{top}>`, so that text never outranks the headings of the page around it.
    """
    html = MD.render(text)
    html = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRS,
        attribute_filter=outside_only,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    html = html.replace('<div class="math block">', '<div class="math block" tabindex="0">')
    return re.sub(r"<(/?)h([1-6])", lambda m: f"<{m[1]}h{min(6, int(m[2]) + top - 1)}", html)
