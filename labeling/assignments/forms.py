"""What pages post to assignments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.assignments import kinds
from labeling.assignments.models import Skip, Task, TaskBatch
from labeling.assignments.services import MAX_OVERLAP, MAX_PRIORITY
from labeling.assignments.skip import MAX_NOTE
from labeling.core.errors import BadInput
from labeling.core.filters import FilterForm
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts.models import Prompt
from labeling.prompts.selectors import categories

MAX_PROMPTS = 100_000


class BatchFilter(FilterForm):
    """Filters of the list of batches; they live in the address."""

    kind = forms.ChoiceField(required=False, label=_("Kind"))
    state = forms.ChoiceField(
        required=False,
        label=_("With tasks that are"),
        choices=[("", _("In any state")), *Task.State.choices],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("Every kind")), *((kind.name, capfirst(kind.noun)) for kind in kinds.every())]
        self.fields["kind"].choices = choices  # type: ignore[attr-defined]


class SkipForm(forms.Form):
    """Why somebody passes on a task."""

    reason = forms.ChoiceField(
        label=_("Reason"),
        choices=Skip.Reason.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose a reason for skipping.")},
    )
    note = forms.CharField(
        max_length=MAX_NOTE,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        label=_("Anything to add?"),
    )


class PriorityForm(forms.Form):
    """Another place in the queue."""

    priority = forms.IntegerField(min_value=-MAX_PRIORITY, max_value=MAX_PRIORITY, label=_("Priority"))


class BatchForm(forms.Form):
    """What every kind's batch form has: which prompts, how often, how urgent. Each kind adds `plan` and `create`."""

    title = forms.CharField(label=_("Title"), max_length=120, required=False, help_text=_("Empty: how many of what."))
    split = forms.ChoiceField(label=_("Split"), choices=Prompt.Split.choices, initial=Prompt.Split.TRAIN)
    category = forms.ChoiceField(label=_("Category"), required=False)
    limit = forms.IntegerField(
        min_value=1,
        max_value=MAX_PROMPTS,
        required=False,
        label=_("At most"),
        help_text=_("Prompts; the oldest come first."),
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=MAX_OVERLAP,
        required=False,
        label=_("Judgements per task"),
        help_text=_("By different people."),
    )
    priority = forms.IntegerField(
        label=_("Priority"),
        min_value=-MAX_PRIORITY,
        max_value=MAX_PRIORITY,
        required=False,
        initial=0,
        help_text=_("Higher comes first."),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.project = project
        chosen: Any = self.fields["category"]
        chosen.choices = [("", _("Any")), *((name, name) for name in categories(project))]

    def plan(self) -> Plan:
        """What `create` would make of the valid form; writes nothing."""
        raise NotImplementedError

    def create(self, *, by: User) -> TaskBatch:
        """Create the tasks; BadInput when there is nothing to create."""
        raise NotImplementedError


@dataclass(frozen=True)
class Plan:
    """What a batch would be: sentences with counts, the number of tasks, and what to do when something is missing."""

    tasks: int
    facts: list[str]
    missing: str = ""
    missing_url: str = ""


def hidden_fields(post: QueryDict) -> tuple[UUID, UUID, int]:
    """(token, submission, active seconds) of a work screen's form; BadInput when they are not what the page put there."""
    try:
        token, submission = UUID(post.get("token", "")), UUID(post.get("submission", ""))
        seconds = int(post.get("active_seconds") or 0)
    except ValueError as problem:
        raise BadInput(
            gettext("The page's hidden fields are damaged: reload the page; your draft is kept.")
        ) from problem
    return token, submission, max(seconds, 0)
