"""`python manage.py translations`: bring the .po, .mo and .js files of every language up to the texts of the code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Writes the files and says which texts still need a translation."""

    help = (
        "Extract the texts of the interface, merge them into locale/, compile. Needs the development packages (Babel)."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Merge and write every language; end with an error while one is not whole."""
        from labeling.core import translations  # Babel is a development package; other commands do without it

        fresh = translations.template()
        open_ends = 0
        for language in translations.languages():
            catalog = translations.merged(language, fresh)
            path = translations.po_path(language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(translations.po_bytes(catalog))
            translations.mo_path(language).write_bytes(translations.mo_bytes(catalog))
            translations.words_path(language).write_text(translations.words(catalog), encoding="utf-8")
            problems = translations.problems(catalog)
            open_ends += len(problems)
            for problem in problems:
                self.stderr.write(f"{language}: {problem}")
            self.stdout.write(f"{language}: {len(translations.said(catalog))} texts, {len(problems)} to mend in {path}")
        if open_ends:
            raise SystemExit(1)
