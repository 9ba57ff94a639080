"""Pages of hidden controls: list, make one from a comparison, make many where people agree, stop."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from labeling.assignments.models import HIDDEN_PRIORITY, Slot
from labeling.comparisons.models import Comparison
from labeling.core.errors import BadInput, Conflict
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.quality import control_items as services
from labeling.quality.models import ControlItem
from labeling.quality.review_forms import AgreedForm, ControlFilter, ControlForm, MoreForm

page = require_http_methods(["GET", "HEAD", "POST"])


@member(Role.ADMIN)
@require_safe
def controls(request: ProjectRequest, slug: str) -> HttpResponse:
    """All controls with what was asked and judged."""
    form = ControlFilter(request.GET or None)
    asked = form.cleaned_data["asked"] if form.is_bound and form.is_valid() else ""
    rows = services.controls(request.project, asked=asked)
    context = {"form": form, "filtered": bool(asked), "page": paginate(request, rows)}
    return render(request, "quality/controls.html", context)


@member(Role.ADMIN)
@page
def control_new(request: ProjectRequest, slug: str, task: Any) -> HttpResponse:
    """Give the known order of one comparison and make it a control."""
    comparison = services.one_comparison(request.project, task)
    responses = responses_of(comparison)
    form = ControlForm(request.POST or None, responses=responses)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            services.make_control(
                comparison=comparison,
                tiers=form.tiers(),
                judgements=said["judgements"],
                note=said["note"],
                harmful=said["harmful"] if said["knows_harm"] else None,
                by=request.user,
            )
        except (BadInput, Conflict) as problem:
            form.add_error(problem.field if problem.field in form.fields else None, problem.detail)
        else:
            messages.success(request, made(request, 1))
            return redirect("controls", slug)
    context = {"prompt": comparison.task.prompt, "responses": responses, "form": form}
    return render(request, "quality/control_new.html", context, status=400 if form.is_bound else 200)


def responses_of(comparison: Comparison) -> list[dict[str, Any]]:
    """The completions with the mean place that people gave them, best first."""
    said = services.said_so_far(comparison)
    found: list[dict[str, Any]] = []
    for number, item in enumerate(comparison.items.select_related("completion").order_by("position")):
        completion = item.completion
        places = [one[completion.pk] for one in said]
        mean = sum(places) / len(places) if places else float(number + 1)
        found.append({"pk": completion.pk, "text": completion.text, "mean": mean, "said": len(places)})
    found.sort(key=lambda one: one["mean"])
    means = sorted({one["mean"] for one in found})
    for number, one in enumerate(found):
        one |= {"letter": "ABCDEFGHI"[number], "rank": means.index(one["mean"]) + 1}
    return found


@member(Role.ADMIN)
@page
def controls_agreed(request: ProjectRequest, slug: str) -> HttpResponse:
    """Count the comparisons on which people agree; make controls of them."""
    said = request.POST or (request.GET if "least" in request.GET else None)
    form = AgreedForm(said)
    found = None
    if form.is_bound and form.is_valid():
        wanted = form.cleaned_data
        if request.method == "POST":
            number = services.make_controls(project=request.project, by=request.user, **wanted)
            messages.success(request, made(request, number))
            return redirect("controls", slug)
        found = len(services.unanimous(request.project, least=wanted["least"], limit=wanted["limit"]))
    context = {"form": form, "found": found, "wanted": form.cleaned_data if found is not None else {}}
    return render(request, "quality/controls_agreed.html", context, status=400 if form.errors else 200)


def made(request: ProjectRequest, number: int) -> str:
    """What happened, and what is still needed before anybody meets a control."""
    said = ngettext("%(n)d control made.", "%(n)d controls made.", number) % {"n": number}
    if request.project.control_percent:
        return said
    return said + " " + _("Set the control rate in the settings: now it is 0, so nobody is asked.")


@member(Role.ADMIN)
@page
def control_more(request: ProjectRequest, slug: str, control: int) -> HttpResponse:
    """Ask more people about this control."""
    found = get_object_or_404(ControlItem, pk=control, comparison__task__project=request.project)
    form = MoreForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        number = services.ask_more(control=found, judgements=form.cleaned_data["judgements"], by=request.user)
        messages.success(
            request, ngettext("%(n)d more person is asked.", "%(n)d more people are asked.", number) % {"n": number}
        )
        return redirect("controls", slug)
    context = {
        "title": _("Ask more people"),
        "facts": [about(found), _("Nobody is asked twice."), _("It comes up at the project's control rate.")],
        "action": _("Ask them"),
        "back": reverse("controls", args=[slug]),
        "form": form,
    }
    return render(request, "components/confirm.html", context, status=400 if form.is_bound else 200)


def about(control: ControlItem) -> str:
    """Which control a question is about."""
    return _("The prompt is “%(prompt)s”.") % {"prompt": control.comparison.task.prompt.heading}


@member(Role.ADMIN)
@page
def control_stop(request: ProjectRequest, slug: str, control: int) -> HttpResponse:
    """Say what would stop; hand this control out no more."""
    found = get_object_or_404(ControlItem, pk=control, comparison__task__project=request.project)
    if request.method == "POST":
        number = services.stop_control(control=found, by=request.user)
        messages.success(request, ngettext("The control is no longer handed out: %(n)d judgement withdrawn.", "The control is no longer handed out: %(n)d judgements withdrawn.", number) % {"n": number})  # fmt: skip
        return redirect("controls", slug)
    hidden = Slot.objects.filter(task=found.comparison.task_id, priority=HIDDEN_PRIORITY)
    waiting = hidden.filter(state__in=(Slot.State.OPEN, Slot.State.PAUSED)).count()
    judged = hidden.filter(state=Slot.State.SUBMITTED).count()
    context = {
        "title": _("Hand this control out no more?"),
        "facts": [
            about(found),
            ngettext(
                "%(n)d judgement that nobody has begun will not be asked for.",
                "%(n)d judgements that nobody has begun will not be asked for.",
                waiting,
            )
            % {"n": waiting},
            ngettext(
                "%(n)d judgement that was made stays and still counts.",
                "%(n)d judgements that were made stay and still count.",
                judged,
            )
            % {"n": judged},
        ],
        "action": _("Stop it"),
        "back": reverse("controls", args=[slug]),
        "danger": True,
    }
    return render(request, "components/confirm.html", context)
