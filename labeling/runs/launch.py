"""From a claimed run to a detached supervisor. A deploy or a worker restart does not touch what is started here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from labeling.runs import claim, detach, directory, fencing
from labeling.runs import kept_words as words
from labeling.runs.models import Run
from training.contracts import ContractError


def start_run(*, run_id: UUID) -> Run | None:
    """Claim the run, prepare its directory and start its supervisor; None when there was nothing to claim."""
    run = claim.claim_run(run_id=run_id)
    if run is None:
        return None
    try:
        folder = directory.prepare(run)
        spawn_supervisor(run, folder)
    except (ContractError, OSError, ValueError) as problem:
        fencing.change(
            run_id=run.pk,
            attempt=run.attempt,
            to=Run.State.FAILED,
            error=words.NOT_PREPARED % {"problem": problem},
            finished_at=Now(),
        )
    return run


def spawn_supervisor(run: Run, folder: Path) -> None:
    """`manage.py supervise_run`, in a session of its own, with none of our files open."""
    manage = str(settings.BASE_DIR / "manage.py")
    command = [sys.executable, manage, "supervise_run", str(run.pk), str(run.attempt)]
    subprocess.run(
        [sys.executable, "-I", "-S", detach.__file__, str(folder / "supervisor.log"), *command],
        check=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "DB_POOL_SIZE": "2"},
        timeout=30,
    )
