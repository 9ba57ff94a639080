"""Forms of the account page."""

from __future__ import annotations

from django import forms

from labeling.people.models import ApiToken
from labeling.people.services import MAX_TOKEN_DAYS


class NameForm(forms.Form):
    """The name that colleagues see."""

    name = forms.CharField(max_length=120, help_text="Colleagues see it; snapshots carry a random key instead.")


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(max_length=80, help_text="What it is for, such as “nightly export”.")
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=ApiToken.Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one thing the token may do."},
    )
    days = forms.IntegerField(
        label="Days until it expires", min_value=1, max_value=MAX_TOKEN_DAYS, initial=30, help_text="At most 90."
    )
