"""Forms and fields for what a member works in and what an hour of theirs pays."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.core.errors import BadInput
from labeling.projects import languages
from labeling.projects.models import PayRate


class LanguagesField(forms.CharField):
    """Codes of languages with commas between them; cleans to a list of them as BCP 47 writes them."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            max_length=400,
            label=_("Languages"),
            help_text=_("What the person works in, as codes with commas between them: en, pt-BR, zh-Hans."),
        )

    def clean(self, value: Any) -> Any:
        """The list; a wrong code is named."""
        try:
            return languages.checked(languages.split(super().clean(value)))
        except BadInput as problem:
            raise forms.ValidationError(problem.detail) from problem


def rate_field(help_text: Any) -> forms.DecimalField:
    """An amount per hour; empty for none."""
    field = PayRate._meta.get_field("rate").formfield(label=_("Pay per active hour"), help_text=help_text)
    assert isinstance(field, forms.DecimalField)
    return field


class LanguagesForm(forms.Form):
    """What a member works in."""

    languages = LanguagesField()


class PayForm(forms.Form):
    """A rate and its first day."""

    pay_rate = rate_field(_("In the project's currency. Empty: no rate, and no amounts."))
    since = forms.DateField(
        label=_("From"),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        input_formats=["%Y-%m-%d"],
        help_text=_("The first day (UTC) it holds. Earlier days keep the rate they have."),
    )
