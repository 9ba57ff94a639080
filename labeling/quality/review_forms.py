"""Forms of reviews and of hidden controls."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.assignments import kinds
from labeling.comparisons.models import Strength
from labeling.core.filters import FilterForm
from labeling.quality.control_items import MAX_AT_ONCE, MAX_JUDGEMENTS
from labeling.quality.models import Review


class ReviewFilter(FilterForm):
    """Filters of the queue; they live in the address."""

    labeler = forms.CharField(
        required=False, max_length=100, label=_("Labeler"), widget=forms.TextInput(attrs={"type": "search"})
    )
    state = forms.ChoiceField(required=False, label=_("State"))
    kind = forms.ChoiceField(required=False, label=_("Kind"))
    reason = forms.ChoiceField(required=False, label=_("Why"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        states = [one for one in Review.State.choices if one[0] != Review.State.REPLACED]
        for name, every, choices in (
            ("state", _("Waiting"), [one for one in states if one[0] != Review.State.WAITING] + [("any", _("Any"))]),
            ("kind", _("Every kind"), [(kind.name, kind.noun.capitalize()) for kind in kinds.every()]),
            ("reason", _("Every rule"), Review.Reason.choices),
        ):
            self.fields[name].choices = [("", every), *choices]  # type: ignore[attr-defined]

    def wanted(self) -> dict[str, str]:
        """What `review_selectors.queue` takes: nothing said means what waits."""
        said = super().wanted()
        state = said.pop("state", "") or Review.State.WAITING.value
        return {"state": "" if state == "any" else state, **said}


class NoteForm(forms.Form):
    """Why work is returned."""

    note = forms.CharField(
        max_length=2000,
        label=_("What should change?"),
        help_text=_("The author reads it."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class TextForm(forms.Form):
    """A better demonstration."""

    text = forms.CharField(strip=False, label=_("Text"), widget=forms.Textarea(attrs={"class": "long", "rows": 18}))


class PlacesForm(forms.Form):
    """A place for each completion; equal places are ties."""

    def __init__(self, *args: Any, responses: list[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        places = [(str(n), str(n)) for n in range(1, len(responses) + 1)]
        for row in responses:
            self.fields[f"place-{row['pk']}"] = forms.ChoiceField(
                label=_("Place of %(letter)s") % {"letter": row["letter"]}, choices=places, initial=str(row["rank"])
            )

    def tiers(self) -> list[list[int]]:
        """Completion ids by place, best first."""
        said = {int(name.removeprefix("place-")): int(value) for name, value in self.places().items()}
        return [[pk for pk, place in said.items() if place == at] for at in sorted(set(said.values()))]

    def places(self) -> dict[str, str]:
        """The posted places alone."""
        return {name: value for name, value in self.cleaned_data.items() if name.startswith("place-")}


class OrderForm(PlacesForm):
    """A better order; where the project asks how much better the better of two is, that too."""

    def __init__(self, *args: Any, responses: list[dict[str, Any]], asks_strength: bool, **kwargs: Any) -> None:
        super().__init__(*args, responses=responses, **kwargs)
        if asks_strength and len(responses) == 2:
            self.fields["strength"] = forms.TypedChoiceField(
                required=False,
                coerce=int,
                empty_value=None,
                label=_("How much better is the better one?"),
                choices=[("", _("They are tied")), *reversed(Strength.choices)],
            )

    def clean(self) -> dict[str, Any]:
        """An order of two has a strength."""
        said = super().clean() or self.cleaned_data
        is_order = len(set(self.places().values())) == 2
        if "strength" in self.fields and is_order and said.get("strength") is None:
            self.add_error("strength", _("Say how much better the better one is."))
        return said


class ControlForm(PlacesForm):
    """A known order and how many people are to be asked."""

    judgements = forms.IntegerField(
        min_value=1,
        max_value=MAX_JUDGEMENTS,
        initial=20,
        label=_("People to ask"),
        help_text=_("Each is asked once, at the project's control rate."),
    )
    note = forms.CharField(required=False, max_length=300, label=_("How the order is known"))
    knows_harm = forms.BooleanField(
        required=False,
        label=_("It is known which are harmful"),
        help_text=_(
            "Then the screening also asks whether people flag them: sexual or violent content, harm, denigration."
        ),
    )
    harmful = forms.TypedMultipleChoiceField(
        required=False, coerce=int, label=_("Harmful"), widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, responses: list[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, responses=responses, **kwargs)
        letters = [(row["pk"], row["letter"]) for row in responses]
        self.fields["harmful"].choices = letters  # type: ignore[attr-defined]
        self.order_fields([name for name in self.fields if name.startswith("place-")])

    def clean(self) -> dict[str, Any]:
        """Harmful ones are only said where it is said that they are known."""
        said = super().clean() or self.cleaned_data
        if said.get("harmful") and not said.get("knows_harm"):
            self.add_error("knows_harm", _("Tick this, too, or none of the harmful ones."))
        return said


class AgreedForm(forms.Form):
    """Controls from comparisons that several people ranked the same way."""

    least = forms.IntegerField(min_value=2, max_value=20, initial=2, label=_("People who agree, at least"))
    limit = forms.IntegerField(min_value=1, max_value=MAX_AT_ONCE, initial=50, label=_("Controls at most"))
    judgements = forms.IntegerField(min_value=1, max_value=MAX_JUDGEMENTS, initial=20, label=_("People to ask"))


class MoreForm(forms.Form):
    """How many more people a control is shown to."""

    judgements = forms.IntegerField(min_value=1, max_value=MAX_JUDGEMENTS, initial=20, label=_("People to ask"))


class ControlFilter(forms.Form):
    """Filters of the list of controls."""

    asked = forms.ChoiceField(
        required=False,
        label=_("Still asked"),
        choices=[("", _("All")), ("waiting", _("Still handed out")), ("done", _("No longer handed out"))],
    )
