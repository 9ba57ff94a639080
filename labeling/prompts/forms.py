"""Forms of prompts."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.core.filters import FilterForm
from labeling.projects.models import Project
from labeling.prompts import selectors
from labeling.prompts.findings import NAMES
from labeling.prompts.models import Prompt


class ImportForm(forms.Form):
    """A file, or pasted lines."""

    file = forms.FileField(
        required=False,
        label=_("File"),
        help_text=_("JSONL or CSV, UTF-8, one prompt a line, at most 1 MiB a line."),
        widget=forms.ClearableFileInput(attrs={"accept": ".jsonl,.json,.ndjson,.csv,text/csv,application/x-ndjson"}),
    )
    text = forms.CharField(
        required=False,
        strip=False,
        label=_("Or paste lines"),
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
    )
    fmt = forms.ChoiceField(
        label=_("Format"),
        required=False,
        choices=[("", _("By the file's name; pasted lines are JSONL")), ("jsonl", "JSONL"), ("csv", "CSV")],
    )

    def clean(self) -> dict[str, Any]:
        """Exactly one source, of a size we take, in a format we know."""
        said: dict[str, Any] = super().clean() or {}
        file, text = said.get("file"), said.get("text", "")
        if file and text.strip():
            raise forms.ValidationError(_("Choose a file or paste lines, one of the two."))
        if not file and not text.strip():
            raise forms.ValidationError(_("Choose a file or paste some lines."))
        if file and file.size > settings.IMPORT_MAX_BYTES:
            size = {"size": round(file.size / 2**20), "limit": settings.IMPORT_MAX_BYTES // 2**20}
            self.add_error("file", gettext("The file has %(size)d MiB; at most %(limit)d MiB: split it.") % size)
        if not said.get("fmt"):
            said["fmt"] = self.format_of(file.name if file else "")
        return said

    def format_of(self, name: str) -> str:
        """By the ending; pasted lines are JSONL."""
        ending = name.rsplit(".", 1)[-1].lower() if name else "jsonl"
        if ending == "csv":
            return "csv"
        if ending not in {"jsonl", "ndjson", "json"}:
            self.add_error("fmt", gettext("The file's name does not say what it is: choose JSONL or CSV."))
        return "jsonl"


class PromptFilter(FilterForm):
    """Filters of the list; they live in the address."""

    text = forms.CharField(
        label=_("Text"), required=False, max_length=200, widget=forms.TextInput(attrs={"type": "search"})
    )
    split = forms.ChoiceField(label=_("Split"), required=False, choices=[("", _("Every split")), *Prompt.Split.choices])
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("Every state")), *Prompt.State.choices])
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[("", _("Every kind")), *Prompt.Kind.choices])
    category = forms.ChoiceField(label=_("Category"), required=False)
    owner = forms.CharField(required=False, max_length=120, label=_("Owner"))
    imported = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(name, name) for name in selectors.categories(project)]
        self.fields["category"].choices = [("", _("Every category")), *names]  # type: ignore[attr-defined]


class FindingFilter(FilterForm):
    """The filter of the quarantine: what hygiene found."""

    kind = forms.ChoiceField(
        required=False,
        label=_("Found"),
        choices=lambda: [("", _("Anything")), *((kind, capfirst(name)) for kind, name in NAMES.items())],
    )


class CategoryForm(forms.Form):
    """The category of many prompts."""

    category = forms.CharField(
        required=False, max_length=60, label=_("Category"), help_text=_("Empty takes the category away.")
    )
