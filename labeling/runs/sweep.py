"""Every 15 seconds: what was forgotten is started, what died is cleared away and queued again (JOB-1, JOB-9)."""

from __future__ import annotations

import logging
import socket
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from labeling.core.broker import wake
from labeling.core.errors import LoopError
from labeling.runs import directory, ending, fencing, processes, publish
from labeling.runs import kept_words as words
from labeling.runs.models import LIVE, Run

log = logging.getLogger(__name__)
STARTS = 20  # queued runs woken in one sweep


def sweep() -> dict[str, int]:
    """Recover expired leases, then wake the queued runs; any number of sweeps at the same time do no harm."""
    expired = Run.objects.filter(state__in=LIVE, lease_expires_at__lt=Now()).order_by("lease_expires_at")
    return {"recovered": sum(try_recover(run) for run in expired), "woken": wake_queued()}


def wake_queued() -> int:
    """Ask for the start of queued runs, oldest first; those that find no device say so and stay queued."""
    queued = Run.objects.filter(state=Run.State.QUEUED).order_by("created_at")[:STARTS]
    for run in queued:
        wake("runs.start", str(run.pk))
    return len(queued)


def try_recover(run: Run) -> bool:
    """`recover`, with what goes wrong for one run kept from the others."""
    try:
        return recover(run)
    except fencing.LostAttempt:
        return False
    except (LoopError, OSError, ValueError):
        log.exception("run %s could not be recovered; the next sweep tries again", run.pk)
        return False


def recover(run: Run) -> bool:
    """Deal with a run whose supervisor fell silent: nothing of it may be alive before it is queued again (JOB-9)."""
    if not seize(run):
        return False
    if is_here(run) and not end_attempt(run):
        log.warning("run %s: something of attempt %s does not end", run.pk, run.attempt)
        return False
    if directory.finished(directory.path_of(run)):
        publish.publish(run_id=run.pk, attempt=run.attempt)
    else:
        verdict = ending.Verdict(words.SUPERVISOR_LOST, retry=True)
        ending.settle(run_id=run.pk, attempt=run.attempt, exit_code=None, verdict=verdict)
    return True


def is_here(run: Run) -> bool:
    """It was started on this host."""
    return bool(run.process.get("host", socket.gethostname()) == socket.gethostname())


def seize(run: Run) -> bool:
    """Take the expired lease, so that one sweep alone deals with it. What ran elsewhere is given another whole lease to fence itself."""
    patience = timedelta(seconds=0 if is_here(run) else settings.RUN_LEASE_SECONDS)
    expired = models.Q(lease_expires_at__lt=Now() - patience)
    held = Run.objects.filter(expired, pk=run.pk, attempt=run.attempt, state__in=LIVE)
    return bool(held.update(lease_owner="sweep", lease_expires_at=fencing.lease_end()))


def end_attempt(run: Run) -> bool:
    """Nothing of the attempt is left on this host (a restart of the machine has ended everything)."""
    boot = str(run.process.get("boot", ""))
    return bool(boot and boot != processes.boot_id()) or processes.end_attempt(run.pk, run.attempt, run.process)
