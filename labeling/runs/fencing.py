"""Writes of one attempt at a run. `attempt` is the fencing token: once another attempt began, nothing of the old one is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from labeling.core import audit, transitions
from labeling.runs.models import LIVE, TERMINAL, Run

RELEASED: dict[str, Any] = {"lease_owner": "", "lease_expires_at": None, "eta_seconds": None}


class LostAttempt(Exception):
    """The run is over, was queued again, or belongs to a later attempt: stop everything and write nothing."""


def lease_end(seconds: float | None = None) -> Any:
    """The database's now plus one lease, or so many seconds."""
    return Now() + timedelta(seconds=settings.RUN_LEASE_SECONDS if seconds is None else seconds)


def hold(*, run_id: UUID, attempt: int) -> Run:
    """Lock the row for this attempt inside the caller's transaction; raises LostAttempt."""
    run = (
        Run.objects.select_for_update(of=("self",))
        .select_related("project")
        .filter(pk=run_id, attempt=attempt, state__in=LIVE)
        .first()
    )
    if run is None:
        raise LostAttempt(f"attempt {attempt} of run {run_id} is over")
    return run


@transaction.atomic
def change(*, run_id: UUID, attempt: int, to: str = "", **changes: Any) -> Run:
    """Write `changes`, and move to state `to` when one is given (writing an event); raises LostAttempt or WrongState."""
    run = hold(run_id=run_id, attempt=attempt)
    before = run.state
    if to and to != before:
        if to not in Run.TRANSITIONS[before]:
            raise transitions.refusal(run, to)
        changes = {"state": to, **(RELEASED if to in (*TERMINAL, Run.State.QUEUED) else {}), **changes}
        audit.record("moved", run, before={"state": before}, after={"state": to, "attempt": attempt})
    for name, value in changes.items():
        setattr(run, name, value)
    run.save(update_fields=list(changes))
    run.refresh_from_db(fields=[name for name, value in changes.items() if hasattr(value, "resolve_expression")])
    return run


def renew(*, run_id: UUID, attempt: int) -> datetime | None:
    """Renew the lease by the database's clock; returns when a stop was asked for, if it was. Raises LostAttempt."""
    held = Run.objects.filter(pk=run_id, attempt=attempt, state__in=LIVE)
    if not held.update(heartbeat_at=Now(), lease_expires_at=lease_end()):
        raise LostAttempt(f"attempt {attempt} of run {run_id} is over")
    return stop_asked(run_id=run_id)


def stop_asked(*, run_id: UUID) -> datetime | None:
    """When somebody asked for this run to stop."""
    asked: datetime | None = Run.objects.values_list("cancel_requested_at", flat=True).get(pk=run_id)
    return asked
