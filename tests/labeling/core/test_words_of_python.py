"""Every word of Python that a person reads goes through gettext: any literal that reads like words, wherever it stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from labeling.core import errors, translations

ELSEWHERE = {"stack", "management", "simulation"}  # terminals and programs: no page is made there
ROOM = translations.ROOT / "labeling"
MODULES = {
    str(path.relative_to(ROOM)): path
    for path in translations.sources()
    if path.suffix == ".py" and ROOM in path.parents and not ELSEWHERE & set(path.parts)
}
TRANSLATE = {"_", *translations.PYTHON}
NOT_LAZY = {"gettext", "ngettext", "pgettext", "npgettext"}
LOOP_ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and name != "Response"}
# Calls whose first, or second, argument people read, and keywords that they read, were it one small word.
FIRST = {*LOOP_ERRORS, "ValidationError", "Http404", "PermissionDenied", "Plan", "Need"}
SECOND = {"BadRow", "add_error", "success", "info", "warning", "error"}
SHOWN = {"label", "title", "action", "empty_label", "missing"}
# Elsewhere a literal reads like words when it starts with a capital, or has two words in a row or one beside a value.
SPOKEN = re.compile(r"^\W*[A-Z][a-z]+(?:[ :,.?]|$)|[a-z]{2,},? [a-z]{2,}|\0 [a-z]{2,}|[a-z]{2,} \0")
WORD = re.compile(r"[^\W\d_]{2,}")

# ---- what need not be translated, and why

FOR_PROGRAMMERS = {  # calls whose texts nobody reads on a page
    *("ValueError", "RuntimeError", "TypeError", "KeyError", "ImproperlyConfigured", "LostAttempt", "TypeVar"),
    *("audit.record", "re.compile", "cursor.execute", "log.warning", "log.error", "log.exception", "log.info"),
}
SAME_EVERYWHERE = {"Loop", "JSONL", "CSV", "PPO", "KL", "UTC", "IBAN", "JSON"}
CODES = {"Accept", "Location", "Cookie", "Lax", "field mono", "pretraining mix", "Scoped", "Kind", "Outcome", "Key"}
FILE_NAMES = {"audit log", "pay report"}
COLUMNS = "COLUMNS"  # names of the columns of a CSV file, by which programs find them
FILES = {  # names of files end so; only what stands in FIRST, SECOND and SHOWN is looked at there
    "admin.py": "the back door of Django, for those who run the installation",
    "api.py": "descriptions in the API's schema, read by programmers",
    "schema.py": "the same",
    "serializers.py": "the same",
    "models.py": "help of columns, read in the back door",
    "settings.py": "no page is made there",
    "core/translations.py": "for whoever translates",
    "core/markdown.py": "HTML",
    "core/templatetags/ui.py": "HTML",
    "prompts/quarantine.py": "HTML",
    "assignments/claim.py": "SQL",
    "comparisons/leaks.py": "names of models and vendors that are searched for in completions",
    "comparisons/selectors.py": "the name of a sampler that programs send back; people read its label",
    "demonstrations/parts.py": "Input and Output are part of the prompt that is written, as in InstructGPT",
    "people/authentication.py": "the scheme of a header",
    "people/browsers.py": "names of browsers and systems",
    "rounds/stages.py": "names of snapshots and batches: data, like those that people type",
    "runs/trainer.py": "the name of a thread",
}


def called(call: ast.Call) -> tuple[str, str]:
    """(`name`, `owner.name`) of what is called."""
    whole = ast.unparse(call.func)
    return whole.rpartition(".")[2], whole


def text_of(node: ast.AST) -> str:
    """A literal's text, with NUL for what an f-string fills in; "" of anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_silent(node: ast.AST) -> bool:
    """Whether nothing in there needs a look: it is translated, a docstring, a type, or for programs and programmers."""
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == COLUMNS
    if isinstance(node, ast.Call):
        return bool({*called(node)} & (TRANSLATE | FOR_PROGRAMMERS))
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def too_early(node: ast.AST) -> list[ast.expr]:
    """What is no text of the catalogue any more when gettext gets it: an f-string, or one that `%` has filled in."""
    marks = isinstance(node, ast.Call) and called(node)[0] in TRANSLATE
    return [text for text in node.args[:2] if isinstance(text, ast.JoinedStr | ast.BinOp)] if marks else []


def parts_of(node: ast.AST, shown: bool) -> Iterator[tuple[ast.AST, bool]]:
    """The parts of a node, and whether people read them whatever they look like."""
    first, second = (called(node)[0] in FIRST, called(node)[0] in SECOND) if isinstance(node, ast.Call) else (0, 0)
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "slice"} or isinstance(node, ast.Compare):
            continue
        for place, part in enumerate(value if isinstance(value, list) else [value]):
            read = field == "args" and ((first and place == 0) or (second and place == 1))
            keyword = isinstance(node, ast.keyword) and node.arg in SHOWN
            inherits = shown and not isinstance(node, ast.Call | ast.Subscript | ast.Attribute | ast.Dict)
            if isinstance(part, ast.AST):
                yield part, bool(read or keyword or inherits)


def unmarked(source: str, *, everywhere: bool = True) -> list[str]:
    """The literals of a module that people read and that do not go through gettext; not `everywhere`: only in sure places."""
    found: list[str] = []

    def look(node: ast.AST, shown: bool) -> None:
        if is_silent(node):
            found.extend(f"filled in too early: {ast.unparse(text)}" for text in too_early(node))
            return
        text = text_of(node)
        words = set(WORD.findall(text)) - SAME_EVERYWHERE
        if words and text not in CODES | FILE_NAMES and (shown or (everywhere and SPOKEN.search(text))):
            found.append(text.replace("\0", "…"))
        if not isinstance(node, ast.JoinedStr):
            for part, read in parts_of(node, shown):
                look(part, read)
        else:
            for value in node.values:
                if isinstance(value, ast.FormattedValue):
                    look(value.value, shown=False)

    look(ast.parse(source), shown=False)
    return found


def nameless(source: str) -> list[int]:
    """Lines of form fields without a label: people would read their English names."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    fields = [call for call in calls if re.fullmatch(r"forms\.\w+Field", called(call)[1])]
    return [one.lineno for one in fields if not any(word.arg in {"label", "widget", None} for word in one.keywords)]


def test_unmarked_words_are_found_in_an_error_a_keyword_and_an_fstring() -> None:
    source = (
        '"""A docstring is read by programmers."""\n'
        'form.add_error("split", "gone")\nform.add_error(None, _("fine"))\n'
        'field = forms.CharField(label="name", help_text=_("fine"), widget=x(attrs={"class": "wide one"[0:]}))\n'
        'confirm(request, title=f"Pause {who}?", facts=[f"{n} tasks", gettext("fine %(n)d") % {"n": f"{n:,} now"}])\n'
        'raise BadInput("too long" if long else _("fine"), field="name")\nraise Conflict(said or f"held by {who}")\n'
        'messages.success(request, "saved")\nfacts.append("Nothing is deleted.")\nWORDS = {"now": "At work", "next": "sft"}\n'
        'raise ValueError("for programmers")\nif state == "In words": pass\nlog.warning("not read by people")\n'
        'kept("fine")\nheaders["Accept"]\nCOLUMNS = ("made by", "at")\n'
    )
    assert unmarked(source) == [
        *("gone", "name", "wide one", "Pause …?", "… tasks", "… now"),
        *("too long", "held by …", "saved", "Nothing is deleted.", "At work"),
    ]
    assert unmarked(source, everywhere=False) == ["gone", "name", "Pause …?", "too long", "held by …", "saved"]


def test_texts_that_are_filled_in_before_they_are_translated_are_found() -> None:
    source = '_(f"{n} rows")\n_("%d rows" % n)\n_("%(n)d rows") % {"n": n}\nngettext("a", "b", n + 1)\n'
    assert unmarked(source) == ["filled in too early: f'{n} rows'", "filled in too early: '%d rows' % n"]


def test_fields_without_a_label_are_found() -> None:
    assert nameless('forms.CharField(label=_("fine"))\nforms.DateField()\nforms.CharField(widget=hidden)\n') == [2]


@pytest.mark.parametrize("name", MODULES)
def test_every_word_of_python_is_marked(name: str) -> None:
    source = MODULES[name].read_text(encoding="utf-8")
    everywhere = not name.endswith(tuple(FILES))
    assert unmarked(source, everywhere=everywhere) == [], "put these into gettext, or say in this file why not"
    assert nameless(source) == [], "these fields need a label"


def test_every_exception_is_needed() -> None:
    found = [name for name, path in MODULES.items() if unmarked(path.read_text(encoding="utf-8"))]
    assert [end for end in FILES if not any(name.endswith(end) for name in found)] == []


def test_nothing_is_translated_once_for_all_when_its_module_loads() -> None:
    assert eager(
        'from django.utils.translation import gettext as _\nWORD = _("Now")\ndef said(): return _("Later")\n'
    ) == [2]
    assert {name: found for name, path in MODULES.items() if (found := eager(path.read_text(encoding="utf-8")))} == {}


def eager(source: str) -> list[int]:
    """Lines that translate outside a function: in the language of whoever starts the server, not of the reader."""
    tree = ast.parse(source)
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    now = {alias.asname or alias.name for node in imported for alias in node.names if alias.name in NOT_LAZY}

    def calls(node: ast.AST) -> Iterator[int]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.Lambda)):
                continue
            if isinstance(child, ast.Call) and ast.unparse(child.func) in now:
                yield child.lineno
            yield from calls(child)

    return list(calls(tree))
