"""The form that freezes a snapshot."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.comparisons.models import Comparison
from labeling.datasets.models import Snapshot
from labeling.projects.models import Membership, Project
from labeling.prompts.models import Prompt


def offer_people(field: Any, project: Project) -> None:
    """Let a field that leaves people out choose among the project's, by name."""
    field.queryset = Membership.objects.filter(project=project).select_related("user").order_by("user__name")
    field.label_from_instance = lambda place: str(place.user)


class FreezeForm(forms.Form):
    """Rules in words; empty ones do not narrow."""

    kind = forms.ChoiceField(choices=Snapshot.Kind.choices, initial=Snapshot.Kind.RANKINGS, label=_("What to freeze"))
    name = forms.CharField(label=_("Name"), max_length=80, required=False, help_text=_("Empty: the kind and the time."))
    splits = forms.MultipleChoiceField(
        label=_("Splits"),
        choices=Prompt.Split.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: train and validation; for prompts, train only."),
    )
    purpose = forms.ChoiceField(
        label=_("Purpose"),
        choices=Comparison.Purpose.choices,
        required=False,
        initial=Comparison.Purpose.TRAINING,
        help_text=_("Rankings only. Evaluation rankings are never trained on."),
    )
    round_number = forms.IntegerField(
        min_value=0, required=False, label=_("Round"), help_text=_("Only work of this round.")
    )
    guideline_version = forms.IntegerField(
        label=_("Guideline version"), min_value=1, required=False, help_text=_("Only work done under this version.")
    )
    accepted_only = forms.BooleanField(
        required=False,
        label=_("Accepted work only"),
        help_text=_("What a reviewer has accepted. Returned work never comes in."),
    )
    without_labelers = forms.ModelMultipleChoiceField(
        queryset=Membership.objects.none(),
        to_field_name="labeler_key",
        required=False,
        label=_("Without the work of"),
        help_text=_("For people whose work should not be learned from, such as those on top of the quality page."),
    )
    limit = forms.IntegerField(
        min_value=1, required=False, label=_("At most"), help_text=_("The oldest rows come first.")
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer_people(self.fields["without_labelers"], project)

    def rules(self) -> dict[str, Any]:
        """The rules that `datasets.services.freeze` takes."""
        said = self.cleaned_data
        rules = {key: said[key] for key in ("splits", "limit") if said[key]}
        if said["kind"] != Snapshot.Kind.PROMPTS:
            rules |= {key: said[key] for key in ("round_number", "guideline_version") if said[key] is not None}
            rules |= {"accepted_only": True} if said["accepted_only"] else {}
            if people := [str(place.labeler_key) for place in said["without_labelers"]]:
                rules["without_labelers"] = people
        if said["kind"] == Snapshot.Kind.RANKINGS and said["purpose"]:
            rules["purpose"] = said["purpose"]
        return rules
