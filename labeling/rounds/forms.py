"""Opening a round, and changing what it is told to do."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.checkpoints import selectors as registry
from labeling.checkpoints.models import Checkpoint
from labeling.datasets.forms import offer_people
from labeling.projects.models import Membership, Project
from labeling.rounds.models import Round
from labeling.rounds.plan import STAGES, plan_of

COUNTS = {  # the plan's counts: label and help
    "sample_prompts": (_("Sample prompts"), _("Training prompts that get completions to rank.")),
    "overlap": (_("Overlap"), _("People who rank each training comparison.")),
    "evaluation_prompts": (
        _("Evaluation prompts"),
        _("Held-out prompts on which the new policy meets the one it started from."),
    ),
    "evaluation_overlap": (_("Evaluation overlap"), _("People who rank each of those.")),
    "next_prompts": (
        _("Next prompts"),
        _("Training prompts for the next round's comparisons; 0 stops after the evaluation."),
    ),
    "seed": (_("Seed"), _("Seed of this round's runs.")),
}


class SettingsForm(forms.Form):
    """The plan's counts as fields; stage settings as one JSON object."""

    stages = forms.CharField(
        required=False,
        label=_("Settings of the stages"),
        widget=forms.Textarea(attrs={"rows": 12, "class": "field mono", "spellcheck": "false"}),
    )

    without_labelers = forms.ModelMultipleChoiceField(
        queryset=Membership.objects.none(),
        to_field_name="labeler_key",
        required=False,
        label=_("Without the work of"),
        help_text=_(
            "The round's snapshots of demonstrations and rankings leave these people out, and its gates do not count their work; "
            "the next rounds go on so. A snapshot that is frozen already stays as it is."
        ),
    )

    def __init__(self, *args: Any, loop_round: Round, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plan = plan_of(loop_round)
        offer_people(self.fields["without_labelers"], loop_round.project)
        self.fields["without_labelers"].initial = plan.without_labelers
        self.fields["stages"].help_text = gettext(
            "JSON: %(example)s. Stages: %(stages)s. What is left out keeps its default."
        ) % {"example": '{"ppo": {"updates": 30}}', "stages": ", ".join(STAGES)}
        for name, (label, text) in COUNTS.items():
            least = 0 if name in ("evaluation_prompts", "next_prompts", "seed") else 1
            self.fields[name] = forms.IntegerField(
                min_value=least, initial=getattr(plan, name), label=label, help_text=text
            )
        said = {part: settings for part, settings in loop_round.configs.items() if part != "plan"}
        self.fields["stages"].initial = json.dumps(said, indent=1) if said else ""
        last = ("without_labelers", "stages")
        self.order_fields([*(name for name in self.fields if name not in last), *last])

    def clean_stages(self) -> dict[str, Any]:
        """An object of objects."""
        raw = self.cleaned_data["stages"].strip()
        try:
            said = json.loads(raw) if raw else {}
        except ValueError as problem:
            raise forms.ValidationError(gettext("This is not JSON: %(why)s.") % {"why": problem}) from problem
        if not isinstance(said, dict) or "plan" in said:
            raise forms.ValidationError(
                _("Write one object that maps stages to their settings; counts have their own fields.")
            )
        return said

    def configs(self) -> dict[str, Any]:
        """What the round stores."""
        plan = {name: self.cleaned_data[name] for name in COUNTS}
        if people := [str(place.labeler_key) for place in self.cleaned_data["without_labelers"]]:
            plan["without_labelers"] = people
        return {**self.cleaned_data["stages"], "plan": plan}


class OpenForm(SettingsForm):
    """A new round also chooses where it starts."""

    policy = forms.ModelChoiceField(
        queryset=Checkpoint.objects.none(),
        required=False,
        label=_("Start from"),
        empty_label=_("Demonstrations (the first round)"),
        help_text=_("A policy skips demonstrations and supervised fine-tuning: the round begins by sampling it."),
    )

    def __init__(self, *args: Any, project: Project, loop_round: Round, **kwargs: Any) -> None:
        super().__init__(*args, loop_round=loop_round, **kwargs)
        field = self.fields["policy"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = registry.usable(project=project, kinds=(Checkpoint.Kind.POLICY,))
        self.initial["policy"] = registry.promoted(project=project, kind=Checkpoint.Kind.POLICY)
        self.order_fields(["policy"])
