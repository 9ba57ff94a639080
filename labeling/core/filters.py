"""Filters of lists: they live in the address; a wrong one filters nothing where one looks, and refuses where one acts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from django import forms
from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _

from labeling.core.errors import BadInput

Row = TypeVar("Row", bound=Model)
Choices = Sequence[tuple[str, Any]]


class FilterForm(forms.Form):
    """A form read from the address."""

    def wanted(self) -> dict[str, Any]:
        """The filters that say something; none while one of them is wrong."""
        if not self.is_bound or not self.is_valid():
            return {}
        return {name: value for name, value in self.cleaned_data.items() if value}

    def meant(self) -> dict[str, Any]:
        """The same for what acts on everything that matches: BadInput while a filter is wrong, for then all rows would match."""
        if self.is_bound and not self.is_valid():
            field, texts = next(iter(self.errors.items()))
            raise BadInput(str(texts[0]), field=field)
        return self.wanted()


class DayField(forms.DateField):
    """A day to filter by. Browsers take its value in one format only, whatever the language of the page."""

    def __init__(self, *, label: Any) -> None:
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
        super().__init__(required=False, label=label, widget=widget, input_formats=["%Y-%m-%d"])


class KindAndStateFilter(FilterForm):
    """The filters of a list whose rows have a kind and a state."""

    kind = forms.ChoiceField(required=False, label=_("Kind"))
    state = forms.ChoiceField(required=False, label=_("State"))

    def __init__(self, *args: Any, kinds: Choices, states: Choices, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [("", _("Every kind")), *kinds]  # type: ignore[attr-defined]
        self.fields["state"].choices = [("", _("Every state")), *states]  # type: ignore[attr-defined]


def chosen(rows: QuerySet[Row], said: Mapping[str, Any], **allowed: Collection[str]) -> QuerySet[Row]:
    """The rows whose columns `allowed` names have the values that `said` (a query string) gives; others are passed over."""
    return rows.filter(**{name: said[name] for name, values in allowed.items() if said.get(name) in values})
