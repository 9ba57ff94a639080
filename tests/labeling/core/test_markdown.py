"""Model output is hostile input: nothing in it may run, load or leave the page."""

from __future__ import annotations

import re

import pytest

from labeling.core.markdown import plain_start, to_html

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><a><set attributeName=href to=javascript:alert(1) /></a></svg>",
    "<iframe src='javascript:alert(1)'></iframe>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><button formaction=javascript:alert(1)>x</button></form>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](jav\tascript:alert(1))",
    "[x](jav&#x09;ascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "![x](https://evil.example/track.png)",
    '<https://evil.example/?q="onmouseover=alert(1)>',
    "[x]: javascript:alert(1)\n\n[x]",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "$\\text{<script>alert(1)</script>}$",
    "$\\href{javascript:alert(1)}{x}$",
    "<style>*{background:url(https://evil.example)}</style>",
    "| a |\n|:-:|\n| <b onclick=alert(1)>x</b> |",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<details open ontoggle=alert(1)>x</details>",
    "`<img src=x onerror=alert(1)>`",
]
TAG = re.compile(r"<\s*([a-zA-Z0-9-]+)((?:\s[^<>]*)?)>")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_survives(text: str) -> None:
    html = to_html(text)
    for tag, attributes in TAG.findall(html):
        assert tag.lower() not in {
            "script",
            "img",
            "svg",
            "iframe",
            "style",
            "form",
            "base",
            "meta",
            "object",
            "button",
            "details",
        }
        names = {name.lower() for name in re.findall(r"\s([\w-]+)\s*=", re.sub(r'"[^"]*"', '""', attributes))}
        assert not {name for name in names if name.startswith("on") or name in {"style", "src", "srcset", "formaction"}}
        for address in re.findall(r'href="([^"]*)"', attributes):
            assert address.startswith(("https://", "http://", "mailto:")), address


def test_what_people_write_is_kept() -> None:
    html = to_html(
        "# Title\n\n**bold** and `code` and ~~gone~~\n\n1. one\n2. two\n\n> said\n\n[site](https://example.org)"
    )
    assert "<h4>Title</h4>" in html  # a response never outranks the page's own headings
    for part in ("<strong>bold</strong>", "<code>code</code>", "<s>gone</s>", "<ol>", "<blockquote>"):
        assert part in html
    assert 'href="https://example.org"' in html and "noopener" in html


def test_code_is_coloured_with_classes_and_formulas_are_mathml() -> None:
    assert '<span class="tok-k">def</span>' in to_html("```python\ndef f(): pass\n```")
    assert "<math" in to_html("$a^2 + b^2$") and "style=" not in to_html("$a^2$")


def test_a_broken_formula_is_shown_as_it_was_written() -> None:
    assert "frac" in to_html("$\\frac{1}{$")


def test_an_unknown_language_is_plain_code() -> None:
    assert "a &lt; b" in to_html("```nosuchlanguage\na < b\n```")


def test_headings_begin_where_the_page_says_and_never_pass_six() -> None:
    assert to_html("# a\n\n### b", top=2).replace("\n", "") == "<h2>a</h2><h4>b</h4>"
    assert to_html("###### deep").startswith("<h6>")


def test_a_formula_between_double_dollars_inside_a_paragraph_gets_its_own_line() -> None:
    html = to_html("Thus $$x = 1$$ holds.")
    assert html.startswith('<p>Thus <span class="math block" tabindex="0"><math')
    assert html.endswith("</span> holds.</p>\n") and "$" not in html


def test_what_may_be_wider_than_a_phone_scrolls_by_itself() -> None:
    assert to_html("| a |\n|---|\n| 1 |").startswith('<div class="wide" tabindex="0"><table>')
    assert '<span class="long" tabindex="0"><math' in to_html("$" + "a+b+" * 12 + "c$")
    assert 'class="long"' not in to_html("$a+b$")


def test_right_to_left_text_says_its_direction_block_by_block() -> None:
    html = to_html("السماء زرقاء.\n\n- في النهار\n\nIn English.")
    assert html.count('<p dir="auto">') == 2 and '<ul dir="auto">' in html and "<li>" in html
    assert "dir=" not in to_html("The sky is blue.\n\n1. 天空是蓝色的")
    assert "dir=" not in to_html("```\nالسماء <p>\n```")


def test_the_start_of_a_text_is_said_without_its_marks() -> None:
    assert plain_start("# Why\n\n- **one** `two`\n\n```python\nx = 1\n```", 60) == "Why one two x = 1"
    assert plain_start("A [link](https://example.org) to $x$", 60) == "A link to x"
    assert plain_start("word " * 40, 9) == "word word" and plain_start("", 9) == ""


def test_what_nobody_sees_is_left_out_and_what_scripts_need_stays() -> None:
    hidden = "pay\u202e\u2066 50\u200b0\U000e0041 Eu\u00adro\ufeff"
    assert to_html(hidden) == "<p>pay 500 Euro</p>\n"
    assert plain_start(hidden, 60) == "pay 500 Euro"
    written = "می\u200cخواهم 👩\u200d🔬 \u200eabc"
    assert written in to_html(written)
    assert to_html("$x$").count("\u2060") == 1  # the comma after a formula stays on its line


def test_items_to_tick_are_boxes() -> None:
    html = to_html("- [ ] open\n- [x] ticked\n- [y] neither")
    assert '<li class="to-do">open</li>' in html and '<li class="to-do done">ticked</li>' in html
    assert "<li>[y] neither</li>" in html
    assert "[ ] code" in to_html("`[ ] code`")
