"""Texts of the interface and their translations: extract, merge, compile. Babel does the work, so that no gettext is needed.

One catalogue holds the texts of Python, templates and scripts, and the help of the settings of runs. From `locale/<language>/LC_MESSAGES/django.po` come
`django.mo`, which Django reads, and `words-<language>.js`, which the scripts of the pages read. All three are committed;
`python manage.py translations` writes them, a test compares them.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

ROOT: Path = settings.BASE_DIR
SOURCES = {"labeling": ".py", "templates": ".html", "labeling/static/labeling/js": ".js"}
SETTINGS = "training/config*.py"  # the help of each setting, which the form of a new run shows
PYTHON: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "kept")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    "npgettext": ((1, "c"), 2, 3),
}
SETTING: dict[str, Any] = {"opt": (2,)}
SCRIPT: dict[str, Any] = {"t": None, "tn": (1, 2)}
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # no real dates in the files: the same texts give the same bytes
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?\d*[sdf]")


def languages() -> list[str]:
    """The languages that need a translation: all but the one in which the code is written."""
    return [code for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def po_path(language: str) -> Path:
    """The texts and their translations, for people."""
    return ROOT / "locale" / to_locale(language) / "LC_MESSAGES" / "django.po"


def mo_path(language: str) -> Path:
    """The same for Django."""
    return po_path(language).with_suffix(".mo")


def words_path(language: str) -> Path:
    """The same for the scripts of the pages: only the texts that scripts show."""
    return ROOT / "labeling" / "static" / "labeling" / "js" / f"words-{language}.js"


def sources() -> Iterator[Path]:
    """Every file whose texts people may read, in a stable order; made files and migrations are left out."""
    for folder, suffix in SOURCES.items():
        for path in sorted((ROOT / folder).rglob(f"*{suffix}")):
            if "migrations" not in path.parts and not path.name.startswith("words-"):
                yield path
    yield from sorted(ROOT.glob(SETTINGS))


def texts(path: Path) -> Iterator[tuple[int, Any, Any]]:
    """(line, text or (singular, plural), context or None) of each marked text of one file."""
    source = path.read_text(encoding="utf-8")
    method, keywords = ("javascript", SCRIPT) if path.suffix == ".js" else ("python", PYTHON)
    keywords = SETTING if path.match(SETTINGS) else keywords
    if path.suffix == ".html":
        # What templatize leaves between the texts is no Python: one text a line, so that nothing can unbalance it.
        flat = templatize(source, origin=str(path))
        source = "\n".join(line.strip() for line in flat.splitlines())
    found = extract(method, io.BytesIO(source.encode()), keywords, (), {"encoding": "utf-8"})
    for line, text, _comments, context in found:
        yield line, text, context


def template() -> Catalog:
    """Every text of the product, without translations."""
    catalog = Catalog(project="Loop", fuzzy=False)
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        for _line, text, context in texts(path):
            catalog.add(text, locations=[(name, 1)], context=context)
    return catalog


def read(language: str) -> Catalog:
    """The committed catalogue; an empty one before there is any."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=to_locale(language), project="Loop", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=to_locale(language))


def merged(language: str, fresh: Catalog) -> Catalog:
    """The committed translations of the texts there are now; new texts come without one, old ones go."""
    catalog = read(language)
    catalog.update(fresh, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.creation_date = catalog.revision_date = EPOCH
    catalog.project, catalog.version = "Loop", "1"
    catalog.last_translator, catalog.language_team = "Loop", language
    return catalog


def po_bytes(catalog: Catalog) -> bytes:
    """The catalogue as a .po file, sorted by text so that two people's additions rarely meet."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=110, sort_output=True, include_lineno=False, ignore_obsolete=True)
    return buffer.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    """The catalogue as a .mo file."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def words(catalog: Catalog) -> str:
    """A classic script that gives `words.js` the translations of the texts in scripts: {text: translation or plural forms}."""
    chosen = {
        message.id if isinstance(message.id, str) else message.id[0]: message.string or ""  # a new text has None
        for message in said(catalog)
        if any(name.endswith(".js") for name, _line in message.locations)
    }
    body = json.dumps(dict(sorted(chosen.items())), ensure_ascii=False, indent=0)
    return f"// Made by `python manage.py translations`; change the .po file instead.\nglobalThis.words = {body};\n"


def said(catalog: Catalog) -> list[Message]:
    """Every message but the header."""
    return [message for message in catalog if message.id]


def problems(catalog: Catalog) -> list[str]:
    """What keeps a language from being whole: texts without translation, unsure ones, and lost or invented placeholders."""
    found = []
    for message in said(catalog):
        ids = message.id if isinstance(message.id, list | tuple) else [message.id]
        strings = message.string if isinstance(message.string, list | tuple) else [message.string]
        if not all(strings):
            found.append(f"not translated: {ids[0]}")
        elif message.fuzzy:
            found.append(f"fuzzy: {ids[0]}")
        elif any(set(PLACEHOLDER.findall(str(text))) != set(PLACEHOLDER.findall(ids[-1])) for text in strings):
            found.append(f"other placeholders than the text: {ids[0]}")
    return found
