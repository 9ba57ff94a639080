"""Reading runs: lists, metrics as columns, progress in words."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import models
from django.utils.translation import gettext as _

from labeling.core.errors import NotFound
from labeling.projects.models import Project
from labeling.runs.models import LIVE, TERMINAL, Run, RunMetric

MOST_POINTS = 2000  # of one series in one answer
MOST_ROWS = 20_000  # read for one answer
MOST_OVERLAID = 6
Series = dict[str, dict[str, list[float]]]


def one(*, project: Project, run_id: UUID) -> Run:
    """A run of this project; NotFound otherwise."""
    rows = Run.objects.select_related("project", "output", "created_by", "cancel_requested_by")
    run = rows.filter(project=project, pk=run_id).first()
    if run is None:
        raise NotFound(_("There is no such run in this project."))
    return run


def filtered(*, project: Project, kind: str = "", state: str = "") -> models.QuerySet[Run]:
    """The project's runs; `state` may also be `live` or `over`. Unknown values do not narrow."""
    rows = Run.objects.filter(project=project).select_related("created_by", "output")
    if kind in Run.Kind.values:
        rows = rows.filter(kind=kind)
    groups = {"live": ("queued", *LIVE), "over": TERMINAL}
    if state in groups:
        rows = rows.filter(state__in=groups[state])
    elif state in Run.State.values:
        rows = rows.filter(state=state)
    return rows


# ---- metrics


def series_of(
    run: Run, *, after: int = -1, since_step: int | None = None, until_step: int | None = None
) -> tuple[Series, int]:
    """Metrics as columns {name: {"step", "time", "value"}} of the rows after `after`, and the last row number.

    Names of other splits than train carry the split in front (`valid/sft/loss`). Long series are thinned to their
    lowest and highest values; ask for a range of steps to see it in full.
    """
    rows = RunMetric.objects.filter(run=run, row__gt=after)
    if since_step is not None:
        rows = rows.filter(step__gte=since_step)
    if until_step is not None:
        rows = rows.filter(step__lte=until_step)
    expected = max(0, run.metrics_rows - after - 1) if since_step is None and until_step is None else rows.count()
    if expected > MOST_ROWS:
        stride = -(-expected // MOST_ROWS)
        last_row = run.metrics_rows - 1
        rows = rows.annotate(place=models.F("row") % stride).filter(models.Q(place=0) | models.Q(row=last_row))
    return columns(rows.order_by("row").values_list("row", "step", "split", "time", "values"), after)


def columns(rows: Iterable[tuple[int, int, str, float, dict[str, float]]], after: int) -> tuple[Series, int]:
    """Rows turned into columns, progress left out."""
    found: Series = {}
    last = after
    for row, step, split, moment, values in rows:
        last = row
        prefix = "" if split == "train" else f"{split}/"
        for name, value in values.items():
            if name.startswith(("progress/fraction", "progress/eta")):
                continue
            column = found.setdefault(prefix + name, {"step": [], "time": [], "value": []})
            column["step"].append(step)
            column["time"].append(moment)
            column["value"].append(value)
    return {name: thin(column) for name, column in found.items()}, last


def thin(column: dict[str, list[float]], most: int = MOST_POINTS) -> dict[str, list[float]]:
    """At most `most` points: the lowest and the highest of every bucket, and both ends."""
    count = len(column["value"])
    if count <= most:
        return column
    values, width = column["value"], -(-count * 2 // (most - 2))
    kept = {0, count - 1}
    for start in range(0, count, width):
        bucket = range(start, min(start + width, count))
        kept |= {min(bucket, key=values.__getitem__), max(bucket, key=values.__getitem__)}
    places = sorted(kept)
    return {name: [column[name][at] for at in places] for name in column}


def answer(
    run: Run, *, after: int, attempt: int | None = None, since: int | None = None, until: int | None = None
) -> dict[str, Any]:
    """What a poll gets. `reset` says that the run began anew and what the caller has is to be forgotten."""
    reset = after >= run.metrics_rows or (attempt is not None and attempt != run.attempt)
    after = -1 if reset else after
    series, last = series_of(run, after=after, since_step=since, until_step=until)
    return {
        "run": str(run.pk),
        "name": run.name,
        "state": run.state,
        "is_over": run.is_over,
        "attempt": run.attempt,
        "reset": reset,
        "last": last,
        "step": run.step,
        "steps": steps_in_all(run),
        "progress": round(run.progress, 4),
        "left": time_left(run),
        "series": series,
    }


# ---- words


def steps_in_all(run: Run) -> int | None:
    """How many steps it will take, from its own progress; None while unknown."""
    return round(run.step / run.progress) if run.step and run.progress else None


def time_left(run: Run) -> str:
    """`About 2 h 10 min left`; "" when it is not known."""
    if run.eta_seconds is None or run.is_over or run.state == Run.State.QUEUED:
        return ""
    return _("About %(time)s left") % {"time": spoken(run.eta_seconds)}


def spoken(seconds: float) -> str:
    """`40 s`, `12 min`, `2 h 10 min`, `3 days 4 h`."""
    whole = max(0, round(seconds))
    if whole < 90:
        return _("%(seconds)d s") % {"seconds": whole}
    minutes = round(whole / 60)
    if minutes < 90:
        return _("%(minutes)d min") % {"minutes": minutes}
    hours, minutes = divmod(minutes, 60)
    if hours < 48 and not minutes:
        return _("%(hours)d h") % {"hours": hours}
    if hours < 48:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    return _("%(days)d days %(hours)d h") % {"days": hours // 24, "hours": hours % 24}


def duration(run: Run) -> str:
    """How long it has worked, or worked in all; "" before it began."""
    if run.started_at is None:
        return ""
    end = run.finished_at.timestamp() if run.finished_at else time.time()
    return spoken(end - run.started_at.timestamp())
