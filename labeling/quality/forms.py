"""Filters of the list of disputed comparisons; they live in the address."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.comparisons.models import Comparison
from labeling.projects.models import Project
from labeling.quality import selectors


class DisputeFilter(forms.Form):
    """Which disputed comparisons to show. Choices are those the project has."""

    round = forms.TypedChoiceField(label=_("Round"), required=False, coerce=int, empty_value=None)
    version = forms.TypedChoiceField(label=_("Guideline"), required=False, coerce=int, empty_value=None)
    labeler = forms.TypedChoiceField(label=_("Labeler"), required=False, coerce=int, empty_value=None)
    purpose = forms.ChoiceField(label=_("Purpose"), required=False)
    at_least = forms.TypedChoiceField(label=_("Ranked by"), required=False, coerce=int, empty_value=None)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rounds, versions, labelers = selectors.dispute_choices(project)
        version = [(number, _("Version %(number)s") % {"number": number}) for number in versions]
        number = [(number, _("Round %(number)s") % {"number": number}) for number in rounds]
        choices: dict[str, list[tuple[Any, Any]]] = {
            "round": [("", _("Every round")), *number],
            "version": [("", _("Every version")), *version],
            "labeler": [("", _("Everybody")), *labelers],
            "purpose": [("", _("Every purpose")), *Comparison.Purpose.choices],
            "at_least": [("", _("2 or more")), (3, _("3 or more")), (5, _("5 or more"))],
        }
        for name, options in choices.items():
            self.fields[name].choices = options  # type: ignore[attr-defined]

    def narrowing(self) -> dict[str, Any]:
        """The filters as arguments of `selectors.disputes`; a value that is no choice filters nothing."""
        said: dict[str, Any] = self.cleaned_data if self.is_valid() else getattr(self, "cleaned_data", {})
        return {
            "round_number": said.get("round"),
            "version": said.get("version"),
            "labeler": said.get("labeler"),
            "purpose": said.get("purpose") or "",
            "at_least": said.get("at_least") or 2,
        }
