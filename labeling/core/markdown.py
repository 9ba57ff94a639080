"""Model output is hostile input: Markdown -> HTML with no raw HTML, no URLs fetched, no inline style."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import nh3
from latex2mathml.converter import convert as tex_to_mathml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight as pyg
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

LONG_FORMULA = 40  # characters of TeX; a longer one may be wider than a phone and scrolls by itself
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
TO_DO = re.compile(r"<li>\[([ xX])\] ")  # "- [ ] item": a box to tick, as chat pages show it
# What reorders text or hides in it: embeddings, overrides and isolates, characters without width, tags. The marks and joiners
# that Arabic, Persian and emoji are written with stay.
INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
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
        formula = str(tex_to_mathml(tex, display="block" if block else "inline"))
        if block:
            return formula
        if len(tex) > LONG_FORMULA:
            return f'<span class="long">{formula}</span>'
        return formula + "\u2060"  # keeps the comma after a formula on its line
    except Exception:  # the converter raises whatever it stumbles on, down to IndexError
        return f"<code>{nh3.clean_text(tex)}</code>"


def displayed(_: Any, tokens: Sequence[Token], at: int, *__: Any) -> str:
    """A $$formula$$ inside a paragraph: on a line of its own, without ending the paragraph."""
    return f'<span class="math block">{math(tokens[at].content.strip(), {"display_mode": True})}</span>'


MD = (
    MarkdownIt("commonmark", {"html": False, "linkify": False, "highlight": code})
    .enable(["table", "strikethrough"])
    .use(dollarmath_plugin, renderer=math, allow_space=False, allow_digits=False, double_inline=True)
)
MD.add_render_rule("math_inline_double", displayed)
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
    "ol": {"start", "dir"},
    **dict.fromkeys(("p", "ul", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6"), {"dir"}),
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


def plain_start(text: str, most: int) -> str:
    """The first `most` characters of what a reader sees of `text`: words, code and formulas without their marks."""
    seen: list[str] = []
    for block in MD.parse(INVISIBLE.sub("", text[: 8 * most])):
        seen += [part.content for part in block.children or [block] if part.content]
    return " ".join(" ".join(seen).split())[:most]


def to_html(text: str, top: int = 4) -> str:
    """Sanitised HTML of `text`: no raw HTML, no images, no styles, links only to http(s) and mail addresses.

    Its first-level headings become `<h{top}>`, so that text never outranks the headings of the page around it. Tables
    and long formulas scroll by themselves; Arabic, Hebrew and the like run from right to left, block by block. Characters
    that nobody sees are left out (WEB-4); the database keeps them.
    """
    text = INVISIBLE.sub("", text)
    blocks = MD.parse(text)
    if RIGHT_TO_LEFT.search(text):
        for block in blocks:
            if block.level == 0 and block.nesting == 1:
                block.attrSet("dir", "auto")  # what stands in the block follows it
    html = MD.renderer.render(blocks, MD.options, {})
    html = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRS,
        attribute_filter=outside_only,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    html = TO_DO.sub(lambda found: f'<li class="to-do{" done" if found[1] != " " else ""}">', html)
    html = re.sub('<(div|span) class="(math block|long)">', r'<\1 class="\2" tabindex="0">', html)
    html = html.replace("<table", '<div class="wide" tabindex="0"><table').replace("</table>", "</table></div>")
    return re.sub(r"<(/?)h([1-6])", lambda m: f"<{m[1]}h{min(6, int(m[2]) + top - 1)}", html)
