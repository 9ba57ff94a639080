"""Forms of the account page."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.people.models import ApiToken, Language
from labeling.people.services import MAX_TOKEN_DAYS


class NameForm(forms.Form):
    """The name that colleagues see."""

    name = forms.CharField(
        max_length=120, label=_("Name"), help_text=_("Colleagues see it; snapshots carry a random key instead.")
    )


class LanguageForm(forms.Form):
    """The language of the interface."""

    language = forms.ChoiceField(
        required=False,
        label=_("Language of the pages"),
        choices=[("", _("As this browser asks")), *Language.choices],
        help_text=_("Prompts, completions and guidelines stay in the language in which they were written."),
    )


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(max_length=80, label=_("Name"), help_text=_("What it is for, such as “nightly export”."))
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"),
        choices=ApiToken.Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one thing the token may do.")},
    )
    days = forms.IntegerField(
        label=_("Days until it expires"),
        min_value=1,
        max_value=MAX_TOKEN_DAYS,
        initial=30,
        help_text=_("At most 90."),
    )
