"""Home, the overview and the pages of rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from labeling.core.errors import LoopError
from labeling.core.kept_words import told
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.people.requests import SignedInRequest
from labeling.projects.access import ProjectRequest, member
from labeling.projects.selectors import memberships_of, start_page
from labeling.rounds import activity, figures, overview, selectors, services
from labeling.rounds.forms import OpenForm, SettingsForm
from labeling.rounds.gates import gates_of
from labeling.rounds.models import Round

READERS = (Role.ADMIN, Role.ENGINEER, Role.REVIEWER)
DRIVERS = (Role.ADMIN, Role.ENGINEER)
ROUNDS = 20  # on a page


@require_safe
@login_required
def home(request: SignedInRequest) -> HttpResponse:
    """To the one project a person has, or to the list of them."""
    places = list(memberships_of(request.user)[:2])
    return redirect(start_page(places[0]) if len(places) == 1 else "projects")


@require_safe
@member(*READERS)
def show_overview(request: ProjectRequest, slug: str) -> HttpResponse:
    """Where the loop stands."""
    project = request.project
    loop_round = selectors.newest(project=project)
    counted = figures.recent(project, loop_round)
    stops = overview.stations(project, loop_round, counted)
    run = selectors.run_at_work(loop_round) if loop_round else None
    context = {
        "loop_round": loop_round,
        "headline": overview.headline(project, loop_round),
        "stations": stops,
        "ways": overview.ways(stops, loop_round),
        "run": run,
        "minis": activity.minis(run) if run else [],
        "gates": counted.gates,
        "first_steps": [] if loop_round else activity.first_steps(project),
        "needs": activity.needs(project, loop_round, counted),
        "week": activity.week(counted),
        "preferences": activity.preferences(project),
        "may_drive": request.membership.role in DRIVERS,
    }
    return render(request, "rounds/overview.html", context)


@require_safe
@member(*READERS)
def rounds(request: ProjectRequest, slug: str) -> HttpResponse:
    """All rounds with their numbers."""
    page = paginate(request, selectors.rounds(project=request.project), size=ROUNDS, by="number")
    is_open = Round.objects.filter(project=request.project).exclude(state=Round.State.CLOSED).exists()
    context = {
        "page": page,
        "rows": selectors.lines(page.rows),
        "may_open": request.membership.role in DRIVERS and not is_open,
    }
    return render(request, "rounds/rounds.html", context)


@require_safe
@member(*READERS)
def show_round(request: ProjectRequest, slug: str, number: int) -> HttpResponse:
    """One round: its gates, what it has made, and the buttons to drive it."""
    loop_round = one(request, number)
    gates = gates_of(loop_round)
    context = {
        "loop_round": loop_round,
        "gates": gates,
        "is_open": all(gate.passed for gate in gates),
        "may_override": not all(gate.passed for gate in gates) and all(g.passed or g.threshold for g in gates),
        "steps": selectors.steps(loop_round),
        "run": selectors.run_at_work(loop_round),
        "standing": selectors.standing(loop_round),
        "is_newest": not Round.objects.filter(project=request.project, number__gt=number).exists(),
        "may_drive": request.membership.role in DRIVERS,
    }
    return render(request, "rounds/round.html", context)


@member(*DRIVERS)
def round_new(request: ProjectRequest, slug: str) -> HttpResponse:
    """Open the next round."""
    project = request.project
    last = selectors.newest(project=project)
    form = OpenForm(request.POST or None, project=project, loop_round=last or Round(project=project))
    if request.method == "POST" and form.is_valid():
        try:
            opened = services.open_round(
                project=project, by=request.user, configs=form.configs(), policy=form.cleaned_data["policy"]
            )
        except LoopError as problem:
            blame(form, problem)
        else:
            messages.success(request, _("Round %(number)s is open.") % {"number": opened.number})
            return redirect("round", slug, opened.number)
    context = {
        "form": form,
        "title": _("Open round %(last)s") % {"last": last.number + 1 if last else 1},
        "action": _("Open the round"),
    }
    context["back"] = reverse("rounds", args=[slug])
    return render(request, "rounds/settings.html", context, status=400 if form.is_bound else 200)


@member(*DRIVERS)
def round_settings(request: ProjectRequest, slug: str, number: int) -> HttpResponse:
    """Change counts and settings of the stages that are still to come."""
    loop_round = one(request, number)
    form = SettingsForm(request.POST or None, loop_round=loop_round)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_configs(round_id=loop_round.pk, configs=form.configs(), by=request.user)
        except LoopError as problem:
            blame(form, problem)
        else:
            messages.success(request, _("Stages that have not started will use these settings."))
            return redirect("round", slug, number)
    context = {"form": form, "title": _("Settings of round %(number)s") % {"number": number}, "action": _("Save")}
    context["back"] = reverse("round", args=[slug, number])
    return render(request, "rounds/settings.html", context, status=400 if form.is_bound else 200)


def blame(form: SettingsForm, problem: LoopError) -> None:
    """Put an error beside the field it names."""
    field = problem.field.removeprefix("plan.")
    known = field if field in form.fields else "stages" if problem.field else None
    if known == "stages":  # `ppo.updates: …`, which says the setting once
        detail = problem.detail.removeprefix(f"{field.rpartition('.')[2]}: ")
        form.add_error(known, told(f"{problem.field}: {detail}"))
    else:
        form.add_error(known, told(problem.detail))


# ---------------------------------------------------------------- buttons


def button(act: Callable[[Round, Any], str]) -> Callable[..., HttpResponse]:
    """A view that lets one service act on a round and returns to its page with what came of it."""

    @require_POST
    @member(*DRIVERS)
    def view(request: ProjectRequest, slug: str, number: int) -> HttpResponse:
        loop_round = one(request, number)
        try:
            messages.success(request, act(loop_round, request.user))
        except LoopError as problem:
            messages.error(request, told(problem.detail))
        return redirect("round", slug, number)

    return view


def _advance(loop_round: Round, by: Any) -> str:
    changed = services.advance_round(round_id=loop_round.pk, by=by)
    return _("The round went one step on.") if changed else _("Nothing to do yet: see what the round waits for.")


def _override(loop_round: Round, by: Any) -> str:
    services.advance_round(round_id=loop_round.pk, by=by, override=True)
    return _("The round went on past its thresholds.")


def _retry(loop_round: Round, by: Any) -> str:
    services.retry_stage(round_id=loop_round.pk, by=by)
    services.advance_round(round_id=loop_round.pk, by=by)
    return _("The stage starts again.")


def _collect(loop_round: Round, by: Any) -> str:
    services.collect_more(round_id=loop_round.pk, by=by)
    return _("The round collects rankings again.")


def _sample(loop_round: Round, by: Any) -> str:
    services.sample_again(round_id=loop_round.pk, by=by)
    services.advance_round(round_id=loop_round.pk, by=by)
    return _("The policy is sampled for more comparisons.")


def _autopilot(loop_round: Round, by: Any) -> str:
    on = not loop_round.project.autopilot
    services.set_autopilot(project=loop_round.project, on=on, by=by)
    return _("Autopilot drives from here.") if on else _("Autopilot is off: the buttons below take each step.")


advance, override, retry = button(_advance), button(_override), button(_retry)
collect_more, sample_again, autopilot = button(_collect), button(_sample), button(_autopilot)


@member(*DRIVERS)
def round_close(request: ProjectRequest, slug: str, number: int) -> HttpResponse:
    """Close a round early, after saying what that does."""
    loop_round = one(request, number)
    back = reverse("round", args=[slug, number])
    if request.method == "POST":
        try:
            services.close_round(round_id=loop_round.pk, by=request.user)
        except LoopError as problem:
            messages.error(request, problem.detail)
        return redirect(back)
    context = {
        "title": _("Close round %(number)s?") % {"number": number},
        "facts": selectors.closing_facts(loop_round),
        "action": _("Close the round"),
        "back": back,
        "danger": True,
    }
    return render(request, "components/confirm.html", context)


def one(request: ProjectRequest, number: int) -> Round:
    """The project's round of this number, or 404."""
    found = selectors.numbered(project=request.project, number=number)
    if found is None:
        raise Http404
    return found
