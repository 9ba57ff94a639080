"""Taking a queued run: one attempt, one device, one lease (reliability.md JOB-3, JOB-12)."""

from __future__ import annotations

import os
import socket
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from labeling.core import audit
from labeling.datasets.models import Snapshot
from labeling.runs import devices, fencing
from labeling.runs import kept_words as words
from labeling.runs.models import Run


@transaction.atomic
def claim_run(*, run_id: UUID) -> Run | None:
    """Make a queued run `starting` with a new attempt number; None when it is not queued, locked, or has to wait.

    A run that has to wait says what for. A run that cannot ever start fails with the reason.
    """
    run = (
        Run.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("project")
        .filter(pk=run_id, state=Run.State.QUEUED)
        .first()
    )
    if run is None:
        return None
    failed = [item.snapshot.name for item in run.data.select_related("snapshot") if is_failed(item.snapshot)]
    if failed:
        end_unstarted(run, words.SNAPSHOT_FAILED % {"name": failed[0]})
        return None
    if waiting := waits_for_data(run) or take_device(run):
        if waiting != run.waiting_for:
            Run.objects.filter(pk=run.pk).update(waiting_for=waiting[:200])
        return None
    audit.record("moved", run, before={"state": "queued"}, after={"state": "starting", "attempt": run.attempt})
    return run


def is_failed(snapshot: Snapshot) -> bool:
    """Its files could not be written."""
    return snapshot.state == Snapshot.State.FAILED


def waits_for_data(run: Run) -> str:
    """The first snapshot whose files are still being written, as a sentence."""
    for item in run.data.select_related("snapshot"):
        if item.snapshot.state != Snapshot.State.READY:
            return words.FILES_NOT_WRITTEN % {"name": item.snapshot.name}
    return ""


def take_device(run: Run) -> str:
    """Give the run the first free device and start its attempt; otherwise say why it has to wait."""
    wanted = str(run.config.get("device", devices.AUTO))
    fitting, taken = devices.suitable(wanted), devices.holders()
    for device in fitting:
        if device in taken:
            continue
        try:
            with transaction.atomic():
                begin_attempt(run, device)
            return ""
        except IntegrityError:  # another run took it at the same moment
            continue
    if not fitting:
        return words.NO_SUCH_DEVICE % {"wanted": wanted, "devices": ", ".join(devices.admitted())}
    taken = devices.holders()
    busy = ", ".join(f"{device} ({taken[device].name})" for device in fitting if device in taken)
    return words.DEVICES_TAKEN % {"devices": busy}


def begin_attempt(run: Run, device: str) -> None:
    """Count the attempt up, with a lease and a heartbeat from the first moment on (JOB-5)."""
    Run.objects.filter(pk=run.pk, state=Run.State.QUEUED).update(
        state=Run.State.STARTING,
        attempt=run.attempt + 1,
        device=device,
        waiting_for="",
        heartbeat_at=Now(),
        lease_expires_at=fencing.lease_end(settings.RUN_TAKEOVER_SECONDS),
        lease_owner=f"{socket.gethostname()}:{os.getpid()}",
        process={"host": socket.gethostname()},
    )
    run.refresh_from_db()


def end_unstarted(run: Run, error: str) -> None:
    """Fail a run that is still queued."""
    audit.record("moved", run, before={"state": run.state}, after={"state": "failed"})
    Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED, error=error, waiting_for="", finished_at=Now())
