"""Creating demonstration tasks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from labeling.assignments.forms import BatchForm, Plan
from labeling.assignments.models import TaskBatch
from labeling.demonstrations import own, selectors, services
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts import writing
from labeling.prompts.models import Prompt


class DemonstrationBatchForm(BatchForm):
    """Prompts that nobody has been asked to answer yet."""

    field_order = ("split", "category", "limit", "overlap", "priority", "title")

    def prompts(self) -> list[Prompt]:
        """The prompts chosen."""
        said = self.cleaned_data
        rows = selectors.prompts_without_task(project=self.project, split=said["split"], category=said["category"])
        return list(rows[: said["limit"]])

    def plan(self) -> Plan:
        """Counts of tasks and judgements."""
        number, overlap = len(self.prompts()), self.cleaned_data["overlap"] or 1
        if not number:
            missing = gettext("Every prompt of this choice has a demonstration task already, or there is none.")
            return Plan(0, [], missing)
        asked = number * overlap
        facts = [
            ngettext("%(n)d task, one per prompt.", "%(n)d tasks, one per prompt.", number) % {"n": number},
            ngettext("%(n)d demonstration will be asked for.", "%(n)d demonstrations will be asked for.", asked)
            % {"n": asked},
        ]
        return Plan(number, facts)

    def create(self, *, by: User) -> TaskBatch:
        """One task per prompt."""
        said = self.cleaned_data
        return services.create_demonstration_tasks(
            project=self.project,
            prompts=self.prompts(),
            by=by,
            overlap=said["overlap"],
            priority=said["priority"] or 0,
            title=said["title"],
        )


class OwnPromptBatchForm(BatchForm):
    """Prompts that labelers write themselves, each with its answer."""

    field_order = ("prompt_kind", "brief", "limit", "split", "category", "priority", "title")
    overlap = None  # type: ignore[assignment]  # every task asks for another prompt
    prompt_kind = forms.ChoiceField(
        choices=Prompt.Kind.choices,
        label=_("Kind"),
        help_text=_(
            "Plain: any prompt. Few-shot: an instruction with examples. User-based: from the use case you describe."
        ),
    )
    brief = forms.CharField(
        label=_("Brief"),
        required=False,
        max_length=writing.MAX_BRIEF,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("What the prompts shall be about, in Markdown; for user-based ones the use case."),
    )
    category = forms.CharField(
        label=_("Category"),  # type: ignore[assignment]
        required=False,
        max_length=60,
        help_text=_("The prompts get it."),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, project=project, **kwargs)
        number = self.fields["limit"]
        number.label, number.help_text, number.required = _("How many"), _("Prompts to be written."), True

    def clean(self) -> dict[str, Any]:
        """User-based prompts need their use case."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if said.get("prompt_kind") == Prompt.Kind.USER_BASED and not (said.get("brief") or "").strip():
            self.add_error("brief", gettext("Describe the use case that the prompts shall come from."))
        return said

    def plan(self) -> Plan:
        """Counts of tasks."""
        number = self.cleaned_data["limit"]
        fact = ngettext("%(n)s prompt with its answer will be asked for.", "%(n)s prompts with their answers will be asked for.", number)  # fmt: skip
        return Plan(number, [fact % {"n": number}])

    def create(self, *, by: User) -> TaskBatch:
        """One task per prompt to be written."""
        said = self.cleaned_data
        brief = writing.brief(
            project=self.project, kind=said["prompt_kind"], text=said["brief"], category=said["category"].strip(),
            split=said["split"],
        )  # fmt: skip
        return own.create_own_prompt_tasks(
            project=self.project, brief=brief, number=said["limit"], by=by, priority=said["priority"] or 0,
            title=said["title"],
        )  # fmt: skip
