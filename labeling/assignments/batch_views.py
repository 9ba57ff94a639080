"""Batches of tasks: list, look, pause, resume, prioritise, withdraw. Creating them is a page of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.assignments import forecast, kinds, selectors, services
from labeling.assignments.forms import BatchFilter, PriorityForm
from labeling.assignments.models import Slot, Task, TaskBatch
from labeling.core.errors import LoopError
from labeling.core.pagination import chunks_of, paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.projects.exports import exported
from labeling.projects.saved_views import filters_of, saved_views
from labeling.prompts.models import Prompt

TASKS_PER_PAGE = 50
COLUMNS = ("id", "title", "kind", "round", "created", "created by")
SLOT_WORDS = {"leased": gettext_lazy("In progress")}
SETTING_WORDS = {
    "purpose": gettext_lazy("Purpose"),
    "prompt_kind": gettext_lazy("Kind of prompt"),
    "overlap": gettext_lazy("Judgements per task"),
    "priority": gettext_lazy("Priority"),
    "held_back": gettext_lazy("Completions held back"),
    "dropped": gettext_lazy("Comparisons left out for them"),
}
VALUE_WORDS = {
    "purpose": {"training": gettext_lazy("Training"), "evaluation": gettext_lazy("Evaluation")},
    "prompt_kind": dict(Prompt.Kind.choices),
}


@require_safe
@member(Role.ENGINEER)
def batches(request: ProjectRequest, slug: str) -> HttpResponse:
    """All batches with counts of their judgements, by kind and state."""
    form = BatchFilter(request.GET or None)
    wanted = form.wanted()
    page = paginate(request, selectors.batches(project=request.project, **wanted))
    counts = selectors.slot_counts(page.rows)
    context = {
        "page": page,
        "rows": [(row, kinds.named(row.kind), counts[row.pk]) for row in page.rows],
        "forecasts": forecast.forecasts(request.project),
        "saved": saved_views(request.project, request.user, "batches"),
        "form": form,
        "filtered": bool(wanted),
        "filters": filters_of(request.GET.urlencode()),
    }
    return render(request, "assignments/batches.html", context)


@require_POST
@member(Role.ENGINEER)
def batches_export(request: ProjectRequest, slug: str) -> StreamingHttpResponse:
    """The batches that the filters match with counts of their judgements, as a CSV file, oldest first."""
    rows = selectors.batches(project=request.project, **BatchFilter(request.GET).meant())
    return exported(request, "tasks", lines(rows))


def lines(rows: QuerySet[TaskBatch]) -> Iterator[tuple[object, ...]]:
    """The header, then one row a batch."""
    states = Slot.State.values
    yield (*COLUMNS, *states)
    for chunk in chunks_of(rows):
        counts = selectors.slot_counts(chunk)
        for row in chunk:
            numbers = [counts[row.pk][state] for state in states]
            yield (str(row.public_id), row.title, row.kind, row.round_number, row.created_at.isoformat(), str(row.created_by or ""), *numbers)  # fmt: skip


def settings_of(batch: TaskBatch) -> list[tuple[Any, Any]]:
    """How the batch was made, in words; nothing is said of what held nothing back."""
    said = {name: value for name, value in batch.settings.items() if value or name not in {"held_back", "dropped"}}
    return [
        (word, VALUE_WORDS.get(name, {}).get(said[name], said[name]))
        for name, word in SETTING_WORDS.items()
        if name in said
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@member(Role.ENGINEER)
def batch_new(request: ProjectRequest, slug: str) -> HttpResponse:
    """Choose the kind (`?kind=`), choose what goes in, see the counts, create."""
    name = request.POST.get("kind") or request.GET.get("kind", "")
    if name not in kinds.names():
        return render(request, "assignments/batch_kinds.html", {"kinds": kinds.every()})
    kind = kinds.named(name)
    said = request.POST if request.method == "POST" else request.GET if "split" in request.GET else None
    form = kind.batch_form(said, project=request.project)
    valid = form.is_valid()
    if request.method == "POST" and valid:
        try:
            made = form.create(by=request.user)
        except LoopError as problem:
            form.add_error(problem.field if problem.field in form.fields else None, problem.detail)
            valid = False
        else:
            messages.success(request, _("Created %(count)s tasks.") % {"count": made.tasks.count()})
            return redirect("batch", slug, made.public_id)
    context = {"kind": kind, "form": form, "plan": form.plan() if valid else None, "said": lists_of(said)}
    return render(request, "assignments/batch_new.html", context, status=400 if form.errors else 200)


def lists_of(said: QueryDict | None) -> list[tuple[str, str]]:
    """Every posted name and value, to be posted again; without what the page adds itself."""
    pairs = said.lists() if said else ()
    return [(name, value) for name, values in pairs for value in values if name != "csrfmiddlewaretoken"]


@require_safe
@member(Role.ENGINEER)
def batch(request: ProjectRequest, slug: str, batch: UUID) -> HttpResponse:
    """One batch: its numbers, how it was made, its tasks."""
    found = selectors.one_batch(project=request.project, public_id=batch)
    tasks = Task.objects.filter(batch=found).select_related("prompt")
    page = paginate(request, tasks, size=TASKS_PER_PAGE)
    counts = selectors.slot_counts([found])[found.pk]
    context = {
        "batch": found,
        "kind": kinds.named(found.kind),
        "slots": [(SLOT_WORDS.get(state, label), counts[state]) for state, label in Slot.State.choices],
        "settings": settings_of(found),
        "tasks": selectors.task_counts(found),
        "page": page,
    }
    return render(request, "assignments/batch.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Role.ENGINEER)
def pause(request: ProjectRequest, slug: str, batch: UUID) -> HttpResponse:
    """Say what would be paused; hand out no more."""
    found = selectors.one_batch(project=request.project, public_id=batch)
    if request.method == "POST":
        number = services.pause_batch(found, by=request.user)
        messages.success(
            request,
            ngettext(
                "%(n)d task paused. Work in progress may still be finished.",
                "%(n)d tasks paused. Work in progress may still be finished.",
                number,
            )
            % {"n": number},
        )
        return redirect("batch", slug, batch)
    slots, tasks = selectors.slot_counts([found])[found.pk], selectors.task_counts(found)
    facts = [
        ngettext(
            "%(n)d task will not be handed out until you resume it.",
            "%(n)d tasks will not be handed out until you resume them.",
            tasks["open"],
        )
        % {"n": tasks["open"]},
        ngettext(
            "%(n)d judgement is waiting to be handed out.",
            "%(n)d judgements are waiting to be handed out.",
            slots["open"],
        )
        % {"n": slots["open"]},
        ngettext(
            "%(n)d is in progress and may still be finished.",
            "%(n)d are in progress and may still be finished.",
            slots["leased"],
        )
        % {"n": slots["leased"]},
    ]
    return confirm(request, found, _("Pause “%(title)s”?") % {"title": found.title}, facts, _("Pause"))


@require_http_methods(["GET", "HEAD", "POST"])
@member(Role.ENGINEER)
def prioritise(request: ProjectRequest, slug: str, batch: UUID) -> HttpResponse:
    """Say how many tasks would move in the queue; move them."""
    found = selectors.one_batch(project=request.project, public_id=batch)
    form = PriorityForm(request.POST or None, initial={"priority": found.settings.get("priority", 0)})
    if request.method == "POST" and form.is_valid():
        number = services.prioritise_batch(found, priority=form.cleaned_data["priority"], by=request.user)
        messages.success(
            request,
            ngettext("%(n)d task has the new priority.", "%(n)d tasks have the new priority.", number) % {"n": number},
        )
        return redirect("batch", slug, batch)
    tasks = selectors.task_counts(found)
    facts = [
        ngettext(
            "%(n)d task that is not done will move in the queue.",
            "%(n)d tasks that are not done will move in the queue.",
            tasks["open"] + tasks["paused"],
        )
        % {"n": tasks["open"] + tasks["paused"]},
        _("Higher numbers are handed out first; what is in progress stays with its labeler."),
    ]
    return confirm(request, found, _("Change the priority"), facts, _("Change it"), form=form)


def confirm(
    request: ProjectRequest, found: TaskBatch, title: str, facts: list[str], action: str, **more: Any
) -> HttpResponse:
    """The page before a change to a batch."""
    back = reverse("batch", args=[request.project.slug, found.public_id])
    context = {"title": title, "facts": facts, "action": action, "back": back, **more}
    return render(request, "components/confirm.html", context, status=400 if request.method == "POST" else 200)


@require_POST
@member(Role.ENGINEER)
def resume(request: ProjectRequest, slug: str, batch: UUID) -> HttpResponse:
    """Hand out again."""
    number = services.resume_batch(selectors.one_batch(project=request.project, public_id=batch), by=request.user)
    said = ngettext("%(n)d task is handed out again.", "%(n)d tasks are handed out again.", number)
    messages.success(request, said % {"n": number})
    return redirect("batch", slug, batch)


@require_http_methods(["GET", "HEAD", "POST"])
@member(Role.ENGINEER)
def withdraw(request: ProjectRequest, slug: str, batch: UUID) -> HttpResponse:
    """Say what would be withdrawn; withdraw it."""
    found = selectors.one_batch(project=request.project, public_id=batch)
    if request.method == "POST":
        gone = services.withdraw_batch(found, by=request.user)
        gone_tasks = ngettext("%(n)d task withdrawn.", "%(n)d tasks withdrawn.", gone["tasks"]) % {"n": gone["tasks"]}
        gone_slots = ngettext(
            "%(n)d judgement is no longer wanted.", "%(n)d judgements are no longer wanted.", gone["slots"]
        )
        messages.success(request, f"{gone_tasks} {gone_slots % {'n': gone['slots']}}")
        return redirect("batch", slug, batch)
    slots, tasks = selectors.slot_counts([found])[found.pk], selectors.task_counts(found)
    tasks_left, unbegun = tasks["open"] + tasks["paused"], slots["open"] + slots["paused"]
    facts = [
        ngettext(
            "%(n)d task that is not done will be withdrawn for good.",
            "%(n)d tasks that are not done will be withdrawn for good.",
            tasks_left,
        )
        % {"n": tasks_left},
        ngettext(
            "%(n)d judgement that nobody has begun will not be asked for.",
            "%(n)d judgements that nobody has begun will not be asked for.",
            unbegun,
        )
        % {"n": unbegun},
        ngettext(
            "%(n)d person is working on one right now; their draft is kept, and what they still send is stored as late.",
            "%(n)d people are working on one right now; their drafts are kept, and what they still send is stored as late.",
            slots["leased"],
        )
        % {"n": slots["leased"]},
        ngettext(
            "%(n)d submitted judgement stays as it is.",
            "%(n)d submitted judgements stay as they are.",
            slots["submitted"],
        )
        % {"n": slots["submitted"]},
    ]
    return confirm(
        request, found, _("Withdraw “%(title)s”?") % {"title": found.title}, facts, _("Withdraw"), danger=True
    )
