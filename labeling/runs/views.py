"""Run pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from labeling.core.errors import BadInput, WrongState
from labeling.core.filters import KindAndStateFilter
from labeling.core.kept_words import told
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.runs import charts, directory, samples, selectors, services
from labeling.runs.forms import OFFERED, RunForm, prefilled
from labeling.runs.models import Run
from training.configs import CONFIGS, describe
from training.contracts import Kind

LOG_LINES = 60


@require_safe
@member(Role.ENGINEER)
def runs(request: ProjectRequest, slug: str) -> HttpResponse:
    """All runs of the project, by kind and state; tick some to compare."""
    states = [("live", _("Not over")), ("over", _("Over")), *Run.State.choices]
    form = KindAndStateFilter(request.GET or None, kinds=Run.Kind.choices, states=states)
    wanted = form.wanted()
    page = paginate(request, selectors.filtered(project=request.project, **wanted), size=30, by="created_at")
    for run in page.rows:
        run.shown = {"took": selectors.duration(run), "left": selectors.time_left(run), "key": key_number(run)}  # type: ignore[attr-defined]
    context = {
        "form": form,
        "filtered": bool(wanted),
        "page": page,
        "is_live": any(not run.is_over for run in page.rows),
    }
    return render(request, "runs/runs.html", context)


def key_number(run: Run) -> tuple[str, float] | None:
    """The number that says most about a run of this kind, and its title."""
    for chart in charts.CHARTS[run.kind]:
        for name in (f"valid/{chart.metric}", chart.metric):
            if name in run.latest:
                return str(chart.title), run.latest[name]
    return None


@require_safe
@member(Role.ENGINEER)
def run(request: ProjectRequest, slug: str, run: UUID) -> HttpResponse:
    """One run: progress, charts, texts, log, lineage; `with` lays other runs over the charts."""
    found = selectors.one(project=request.project, run_id=run)
    folder = directory.path_of(found)
    beside = overlaid(request, found)
    texts = samples.newest(folder)
    context = {
        "run": found,
        "charts": charts.charts_of(found),
        "others": charts.others_of(found),
        "beside": beside,
        "comparable": comparable(found, beside),
        "left": selectors.time_left(found),
        "took": selectors.duration(found),
        "steps": selectors.steps_in_all(found),
        "samples": texts,
        "sample_facts": sorted({name for text in texts for name in text.facts}),
        "odd": [text for text in texts if text.oddities],
        "log": directory.log_tail(folder, lines=LOG_LINES),
        "config": config_rows(found, beside),
        "inputs": found.inputs.select_related("checkpoint").order_by("role", "id"),
        "data": found.data.select_related("snapshot").order_by("id"),
        "facts": facts_of(found),
    }
    return render(request, "runs/run.html", context)


def overlaid(request: ProjectRequest, run: Run) -> list[Run]:
    """The runs named by `with`, of this project, at most six with this one."""
    wanted = []
    for raw in request.GET.getlist("with")[:20]:
        try:
            wanted.append(UUID(raw))
        except ValueError:
            continue
    found = Run.objects.filter(project=request.project, pk__in=wanted).exclude(pk=run.pk).order_by("-created_at")
    return list(found[: selectors.MOST_OVERLAID - 1])


def comparable(run: Run, beside: list[Run]) -> list[Run]:
    """Other runs of the same kind with numbers to show."""
    taken = [run.pk, *(other.pk for other in beside)]
    rows = Run.objects.filter(Q(metrics_rows__gt=0), project=run.project, kind=run.kind).exclude(pk__in=taken)
    return list(rows.order_by("-created_at")[:30])


def config_rows(run: Run, beside: list[Run]) -> list[dict[str, Any]]:
    """Every setting with its value, whether it is the default, and the values of the runs beside it."""
    return [
        {
            "name": setting["name"],
            "help": setting["help"],
            "value": run.config.get(setting["name"]),
            "is_default": run.config.get(setting["name"]) == setting["default"],
            "beside": [other.config.get(setting["name"]) for other in beside],
            "differs": any(other.config.get(setting["name"]) != run.config.get(setting["name"]) for other in beside),
        }
        for setting in describe(CONFIGS[Kind(run.kind)])
    ]


def facts_of(run: Run) -> list[tuple[str, Any]]:
    """The final numbers that the stage reported, flat."""
    metrics = run.result.get("report") or run.result.get("metrics") or {}
    rows: list[tuple[str, Any]] = []
    for name, value in metrics.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        rows += [
            (f"{name} {part}".strip().replace("_", " "), said)
            for part, said in inner
            if not isinstance(said, (dict, list))
        ]
    return rows


@require_http_methods(["GET", "POST"])
@member(Role.ENGINEER)
def run_new(request: ProjectRequest, slug: str) -> HttpResponse:
    """Choose a kind, then its inputs, data and settings."""
    kind = request.GET.get("kind", "")
    if kind not in OFFERED:
        return render(request, "runs/choose.html", {"kinds": OFFERED})
    if request.method == "POST":
        form = RunForm(request.POST, project=request.project, kind=kind)
        if form.is_valid() and (queued := try_queue(request, form)):
            messages.success(request, _("%(name)s is queued.") % {"name": queued.name})
            return redirect("run", slug, queued.pk)
    else:
        form = RunForm(
            project=request.project,
            kind=kind,
            initial=prefilled(request.project, kind, request.GET, earlier(request, kind)),
        )
    context = {"form": form, "kind": kind, "label": Run.Kind(kind).label}
    return render(request, "runs/new.html", context, status=400 if form.errors else 200)


def earlier(request: ProjectRequest, kind: str) -> Run | None:
    """The run named by `like`, when it is of this kind."""
    try:
        wanted = UUID(request.GET.get("like", ""))
    except ValueError:
        return None
    return Run.objects.filter(project=request.project, kind=kind, pk=wanted).first()


def try_queue(request: ProjectRequest, form: RunForm) -> Run | None:
    """The queued run; None with the error beside its field."""
    said = form.cleaned_data
    try:
        return services.queue_run(
            project=request.project,
            kind=form.stage.value,
            name=said["name"],
            config=form.config(),
            by=request.user,  # type: ignore[arg-type]
            snapshots=form.snapshots(),
            inputs=form.inputs(),
            seed=said["seed"],
        )
    except BadInput as problem:
        form.add_error(problem.field if problem.field in form.fields else None, told(problem.detail))
        return None


@require_http_methods(["GET", "POST"])
@member(Role.ENGINEER)
def run_stop(request: ProjectRequest, slug: str, run: UUID) -> HttpResponse:
    """Say what stopping keeps and loses, then ask the run to stop."""
    found = selectors.one(project=request.project, run_id=run)
    back = reverse("run", args=[slug, found.pk])
    if request.method == "POST":
        try:
            stopped = services.request_cancel(run=found, by=request.user)  # type: ignore[arg-type]
        except WrongState as problem:
            messages.error(request, problem.detail)
        else:
            over = stopped.state == Run.State.CANCELLED
            messages.success(
                request,
                _("%(name)s is cancelled.") % {"name": found.name}
                if over
                else _("%(name)s is being stopped.") % {"name": found.name},
            )
        return redirect(back)
    facts = [_("The run ends as cancelled and cannot be continued; its numbers, texts and log stay.")]
    if found.state == Run.State.QUEUED:
        facts.append(_("It has not begun: no work is lost."))
    else:
        lost = {"time": selectors.duration(found) or _("No time"), "step": f"{found.step:,}"}
        facts.append(_("%(time)s of work at step %(step)s makes no checkpoint.") % lost)
    context = {
        "title": _("Stop %(name)s?") % {"name": found.name},
        "facts": facts,
        "action": _("Stop the run"),
        "back": back,
        "danger": True,
    }
    return render(request, "components/confirm.html", context)
