"""Both languages are whole: every text is marked, translated, compiled, and keeps its placeholders.

Whether those of Python are marked: `test_words_of_python.py`.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.jslexer import tokenize
from django.template.base import Lexer, TokenType
from django.template.defaultfilters import floatformat
from django.utils import translation

from labeling.core import translations

LANGUAGES = translations.languages()
TEMPLATES = sorted((translations.ROOT / "templates").rglob("*.html"))
SCRIPTS = [path for path in translations.sources() if path.suffix == ".js"]


@pytest.fixture(scope="module")
def fresh() -> translations.Catalog:
    return translations.template()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_keeps_its_placeholders(language: str, fresh: translations.Catalog) -> None:
    catalog = translations.merged(language, fresh)
    assert len(translations.said(catalog)) > 300
    assert translations.problems(catalog) == [], "translate these, then run `python manage.py translations`"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_committed_files_are_what_the_command_writes(language: str, fresh: translations.Catalog) -> None:
    again = "run `python manage.py translations`"
    catalog = translations.merged(language, fresh)
    assert translations.po_path(language).read_bytes() == translations.po_bytes(catalog), again
    assert translations.mo_path(language).read_bytes() == translations.mo_bytes(catalog), again
    assert translations.words_path(language).read_text(encoding="utf-8") == translations.words(catalog), again


def test_problems_are_found() -> None:
    catalog = translations.Catalog(locale="zh_Hans")
    catalog.add("Save")
    catalog.add("%(n)d of %(all)d", string="%(n)d")
    catalog.add("Close", string="关闭", flags=["fuzzy"])
    catalog.add(("%(n)s day", "%(n)s days"), string=("%(n)s 天",))
    catalog.add("Open", string="打开")
    assert translations.problems(catalog) == [
        "not translated: Save",
        "other placeholders than the text: %(n)d of %(all)d",
        "fuzzy: Close",
    ]


def test_texts_are_found_in_python_templates_and_scripts(tmp_path: Path) -> None:
    sources = {
        "a.py": '_("one %(n)d")\nngettext("day", "days", 2)\ngettext_lazy("two " "halves")\nprint("not this")\n',
        "b.html": '{% translate "it\'s" %} X {% blocktranslate with a=b.c|date:_("Y-m-d") count n=n %}{{ a }}: {{ n }} row'
        '{% plural %}{{ a }}: {{ n }} rows{% endblocktranslate %}\n   {{ x|default:_("none") }} ( \'',
        "c.js": 'say(t("Theme: %(name)s", { name })); tn("%(n)s word", "%(n)s words", n); at("no"); // t("nor this")',
    }
    found = {}
    for name, source in sources.items():
        (tmp_path / name).write_text(source)
        found[name] = [text for _line, text, _context in translations.texts(tmp_path / name)]
    assert found == {
        "a.py": ["one %(n)d", ("day", "days"), "two halves"],
        "b.html": ["it's", "Y-m-d", ("%(a)s: %(n)s row", "%(a)s: %(n)s rows"), "none"],
        "c.js": ["Theme: %(name)s", ("%(n)s word", "%(n)s words")],
    }


# ---- texts that nobody marked

NAMES = {"Loop", "JSONL", "CSV", "Parquet", "UTC", "KL", "TRL", "JSON", "SHA"}  # the same in every language
VISIBLE = {"aria-label", "title", "placeholder", "alt", "data-label", "content"}
WORD = re.compile(r"[^\W\d_]{2,}")
LITERAL = re.compile(r"""(_\()?(?:"([^"]*)"|'([^']*)')""")
SWITCHES = {"yes,no", "true,false"}  # values of attributes
SHOWN_AS = {"default", "default_if_none", "yesno", "pluralize"}


class Visible(HTMLParser):
    """Collects what a person would read or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in {"script", "style", "code", "kbd"}
        self.found += [value for name, value in attrs if name in VISIBLE and value and tag not in {"meta", "link"}]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in {"script", "style", "code", "kbd"}

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.found.append(data)


def unmarked(source: str) -> list[str]:
    """Words of a template outside translate tags: in text, in attributes that are read, in literals given to components."""
    html, found, inside = [], [], ""
    for token in Lexer(source).tokenize():
        word = token.contents.split()[0] if token.contents.split() else ""
        if inside:
            inside = "" if token.token_type == TokenType.BLOCK and word == f"end{inside}" else inside
        elif token.token_type == TokenType.BLOCK:
            inside = word if word in {"comment", "blocktranslate"} else ""
            inside = "block" if token.contents == "block main_class" else inside
            html += [" "]
            if word in {"include", "with"}:
                literals = LITERAL.findall(token.contents.partition("with")[2])
                said = [a or b for marked, a, b in literals if not marked]
                found += [text for text in said if re.search(r"[A-Z]|[a-z] [a-z]", text)]
        elif token.token_type == TokenType.VAR:
            html += [" "]
            for name, a, b in re.findall(r"""\|(\w+):(?:"([^"]*)"|'([^']*)')""", token.contents):
                found += [a or b] if name in SHOWN_AS and (a or b) not in SWITCHES else []
        elif token.token_type == TokenType.TEXT:
            html += [token.contents]
    reader = Visible()
    reader.feed(re.sub(r"<!doctype[^>]*>", "", "".join(html)))
    return [text.strip() for text in [*reader.found, *found] if set(WORD.findall(text)) - NAMES]


def test_unmarked_words_of_a_template_are_found() -> None:
    source = (
        '<p title="Read">A word {% translate "fine" %} {{ x|default:"never" }} <code>make run</code></p>'
        '{% include "a/b.html" with title="Nothing yet" text=_("fine") kind="plain" %}{# note #}'
        "{% blocktranslate %}fine <b>too</b>{% endblocktranslate %} {% comment %}not read{% endcomment %} Loop"
    )
    assert unmarked(source) == ["Read", "A word", "never", "Nothing yet"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(translations.ROOT / "templates")))
def test_every_word_of_a_template_is_marked(path: Path) -> None:
    assert unmarked(path.read_text(encoding="utf-8")) == [], "put these into {% translate %} or _(…)"


# ---- texts in scripts; those in Python have a file of their own

# a string of a script that a person would read: a capitalised word at its start, or two words in a row
SPOKEN = re.compile(r"^[A-Z][a-z]+(?:[ :,.]|$)|[a-z]{2,} [a-z]{2,}")
KEY_NAMES = {
    "Enter",
    "Escape",
    "Tab",
    "Space",
    "Shift",
    "Alt",
    "Mod",
    "Ctrl",
    "Esc",
    "Home",
    "End",
    "Accept",
    "Content",
}


def unspoken(source: str) -> list[str]:
    """Strings of a script that people would read and that do not go through t() or tn()."""
    tokens = [token for token in tokenize(source) if token.type not in {"linecomment", "multilinecomment"}]
    found, depth = [], []
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else None
        is_class = [one.value for one in tokens[max(place - 2, 0) : place]] in (["className", ":"], ["class", ":"])
        if token.value == "(":
            depth.append(before is not None and before.value in {"t", "tn"})
        elif token.value == ")" and depth:
            depth.pop()
        elif token.type in {"string", "template_string"} and not any(depth) and not is_class:
            text = re.sub(r"\$\{[^}]*\}", "", token.value[1:-1])
            if (
                SPOKEN.search(text)
                and text.strip() not in KEY_NAMES
                and not re.search(r"[#\[\]<>=]|application/", text)
            ):
                found.append(text)
    return found


def test_unspoken_words_of_a_script_are_found() -> None:
    source = (
        'say("Draft saved"); show(t("fine")); bind("Enter", `${n} words left`); $("input[type=radio] span"); // A word'
    )
    assert unspoken(source) == ["Draft saved", " words left"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_word_of_a_script_goes_through_the_catalogue(path: Path) -> None:
    assert unspoken(path.read_text(encoding="utf-8")) == [], "pass these through t() or tn() of words.js"


def test_chinese_is_what_django_reads() -> None:
    with translation.override("zh-hans"):
        assert translation.gettext("Sign in") == "登录"
    assert translation.gettext("Sign in") == "Sign in"


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_figures_are_grouped_alike_in_every_language(language: str) -> None:
    with translation.override(language):
        assert floatformat(340000, "0g") == "340,000"
