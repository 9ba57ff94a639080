"""Creating comparison tasks, and reading the comparison screen's form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from labeling.assignments.forms import BatchForm, Plan
from labeling.assignments.models import TaskBatch
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons import selectors, services
from labeling.comparisons.models import Comparison, Completion, Strength
from labeling.people.models import User
from labeling.projects.flags import Flag
from labeling.projects.models import Project
from labeling.prompts.models import Prompt


class ComparisonBatchForm(BatchForm):
    """Policies × prompts × K, from completions that no comparison has used yet."""

    field_order = (
        "checkpoints",
        "samplers",
        "k",
        "purpose",
        "split",
        "category",
        "limit",
        "overlap",
        "priority",
        "title",
    )
    checkpoints = forms.ModelMultipleChoiceField(
        queryset=Checkpoint.objects.none(),
        to_field_name="public_id",
        widget=forms.CheckboxSelectMultiple,
        label=_("Policies"),
        help_text=_("Their completions are taken in turn."),
        error_messages={"required": _("Choose at least one policy.")},
    )
    samplers = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Sampler settings"),
        help_text=_("None chosen: completions of every setting."),
    )
    k = forms.IntegerField(
        min_value=services.MIN_K,
        max_value=services.MAX_K,
        label="K",
        help_text=_("Completions per comparison. Of a policy's equal answers one is shown."),
    )
    purpose = forms.ChoiceField(
        label=_("Purpose"),
        choices=Comparison.Purpose.choices,
        initial=Comparison.Purpose.TRAINING,
        help_text=_("Evaluation comparisons are never trained on; use prompts of the validation or test split."),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, project=project, **kwargs)
        chosen: Any = self.fields["checkpoints"]
        used = Completion.objects.filter(project=project).values("checkpoint")
        chosen.queryset = Checkpoint.objects.filter(project=project, pk__in=used)
        offered: Any = self.fields["samplers"]
        offered.choices = [(str(one), one.label()) for one in selectors.samplers(project)]
        self.fields["k"].initial = project.completions_per_comparison
        self.fields["overlap"].help_text = gettext("By different people. Empty: %(overlap)d, as the project says.") % {
            "overlap": project.overlap
        }

    def clean(self) -> dict[str, Any]:
        """Evaluation stands on held-out prompts."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if said.get("purpose") == Comparison.Purpose.EVALUATION and said.get("split") == Prompt.Split.TRAIN:
            self.add_error("split", _("Evaluation needs prompts that are not trained on: choose validation or test."))
        if said.get("purpose") == Comparison.Purpose.TRAINING and said.get("split") == Prompt.Split.TEST:
            self.add_error("split", _("Test prompts are kept for evaluation: choose train or validation."))
        return said

    def prompts(self) -> list[Prompt]:
        """The prompts that have completions of the chosen policies."""
        said = self.cleaned_data
        rows = Prompt.objects.filter(project=self.project, state=Prompt.State.ACTIVE, split=said["split"])
        if said["category"]:
            rows = rows.filter(category=said["category"])
        sampled = Completion.objects.filter(project=self.project, checkpoint__in=said["checkpoints"]).values("prompt")
        return list(rows.filter(pk__in=sampled).order_by("pk"))

    def groups(self) -> list[list[Completion]]:
        """One group per comparison."""
        said = self.cleaned_data
        groups = selectors.completion_groups(
            project=self.project,
            checkpoints=said["checkpoints"],
            prompts=self.prompts(),
            k=said["k"],
            samplers=[one for one in selectors.samplers(self.project) if str(one) in said["samplers"]],
        )
        return groups[: said["limit"]]

    def plan(self) -> Plan:
        """Counts of comparisons, judgements and what is held back."""
        said, groups = self.cleaned_data, self.groups()
        kept, held_back = services.hold_back_leaks(groups, purpose=said["purpose"])
        if not kept:
            link = reverse("run-new", args=[self.project.slug]) + "?kind=sample"
            missing = gettext(
                "No prompt of this choice has %(k)d unused completions of these policies. Sample some first."
            ) % {"k": said["k"]}
            return Plan(0, [], missing, link)
        overlap = said["overlap"] or self.project.overlap
        number, rankings = len(kept), len(kept) * overlap
        facts = [
            ngettext("%(n)d comparison of up to %(k)d.", "%(n)d comparisons of up to %(k)d.", number)
            % {"n": number, "k": said["k"]},
            ngettext("%(n)d ranking will be asked for.", "%(n)d rankings will be asked for.", rankings)
            % {"n": rankings},
        ]
        if held_back:
            named = ngettext(
                "%(n)d completion names its model and is held back.",
                "%(n)d completions name their model and are held back.",
                held_back,
            )
            facts.append(named % {"n": held_back})
        return Plan(len(kept), facts)

    def create(self, *, by: User) -> TaskBatch:
        """One comparison per prompt."""
        said = self.cleaned_data
        return services.create_comparisons(
            project=self.project,
            groups=self.groups(),
            by=by,
            overlap=said["overlap"],
            priority=said["priority"] or 0,
            purpose=said["purpose"],
            title=said["title"],
        )


@dataclass
class Answer:
    """What the comparison screen posted, read by letter: the draft as posted, and what is missing or wrong by field."""

    draft: dict[str, Any]
    places: dict[str, int] = field(default_factory=dict)
    ratings: dict[str, dict[str, Any]] = field(default_factory=dict)
    strength: int | None = None
    errors: dict[str, str] = field(default_factory=dict)

    def tiers(self) -> list[list[str]]:
        """Letters by place, best first."""
        return [
            [letter for letter, place in self.places.items() if place == n] for n in sorted(set(self.places.values()))
        ]


def read_answer(post: QueryDict, *, letters: Sequence[str], asks_strength: bool) -> Answer:
    """Read the posted form; `errors` name every response that has no place or no quality yet."""
    answer = Answer(draft=read_draft(post, letters))
    for letter in letters:
        place, quality = number(post, f"rank-{letter}", len(letters)), number(post, f"q-{letter}", 7)
        if place is None:
            answer.errors[f"rank-{letter}"] = gettext("Choose a place for %(letter)s.") % {"letter": letter}
        else:
            answer.places[letter] = place
        if quality is None:
            answer.errors[f"q-{letter}"] = gettext("Rate the quality of %(letter)s.") % {"letter": letter}
        flags = [flag for flag in post.getlist(f"flag-{letter}") if flag in Flag.values]
        answer.ratings[letter] = {"quality": quality, "flags": flags}
    if asks_strength and len(answer.places) == 2 and len(set(answer.places.values())) == 2:
        said = post.get("strength", "")
        if said in map(str, Strength.values):
            answer.strength = int(said)
        else:
            answer.errors["strength"] = gettext("Say how much better the better one is.")
    return answer


def read_draft(post: QueryDict, letters: Sequence[str]) -> dict[str, Any]:
    """The form's own fields, as drafts keep them."""
    single = ["reason", "better", "strength", *(f"{name}-{letter}" for letter in letters for name in ("rank", "q"))]
    draft: dict[str, Any] = {name: post[name] for name in single if post.get(name)}
    for name in ["prompt_flag", *(f"flag-{letter}" for letter in letters)]:
        if said := post.getlist(name):
            draft[name] = said
    return draft


def number(post: QueryDict, name: str, highest: int) -> int | None:
    """A whole number from 1 to `highest`; None for anything else."""
    said = post.get(name, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 3 and 1 <= int(said) <= highest else None
