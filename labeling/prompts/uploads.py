"""Imports too large for one request: the file waits under the artifact root, a worker reads it, the page shows how far it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from labeling.core import audit, broker
from labeling.core.clock import take_long, try_lock
from labeling.core.errors import BadInput
from labeling.core.files import artifact_path, store_file
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts.models import PromptImport
from labeling.prompts.reading import lines_of
from labeling.prompts.services import fill

IN_REQUEST = 1024 * 1024  # bytes: about 5,000 short prompts, read in a second or two
LOST_AFTER = timedelta(seconds=10)


def queue_import(*, project: Project, file: UploadedFile[Any], fmt: str, by: User, source: str) -> PromptImport:
    """Keep the file and let a worker import it; the row says how it goes."""
    relative = f"imports/{uuid.uuid4()}"
    store_file(artifact_path(relative), file.chunks())
    with transaction.atomic():
        batch = PromptImport.objects.create(
            project=project,
            source=source[:200],
            created_by=by,
            fmt=fmt,
            upload=relative,
            state=PromptImport.State.QUEUED,
            language=get_language() or settings.LANGUAGE_CODE,
        )
        audit.record("queued import", batch, by=by, after={"bytes": file.size})
        broker.wake("prompts.import", batch.pk)
    return batch


def run_import(import_id: int) -> str:
    """Import a waiting file, all or none, and remove it; returns the state. A second worker finds the lock taken and leaves.

    A worker that dies leaves the row as it was: its rows are rolled back and the sweep starts it again.
    """
    with transaction.atomic():
        if not try_lock(f"prompt-import-{import_id}"):
            return PromptImport.State.QUEUED
        batch = PromptImport.objects.select_related("project", "created_by").get(pk=import_id)
        if batch.state != PromptImport.State.QUEUED:
            return batch.state
        path = artifact_path(batch.upload)
        take_long()
        try:
            with override(batch.language), path.open("rb") as file, telling(batch) as tell:
                fill(batch, lines=lines_of(file), fmt=batch.fmt, tell=tell)
        except BadInput as problem:
            fail(batch, {"detail": problem.detail, **problem.extra})
        except OSError as problem:
            with override(batch.language):
                detail = _("The file cannot be read (%(why)s): upload it again.") % {"why": problem.strerror}
            fail(batch, {"detail": detail})
    path.unlink(missing_ok=True)
    return batch.state


def fail(batch: PromptImport, report: dict[str, object]) -> None:
    """Keep what is wrong with the lines; none of them came in."""
    batch.state, batch.report = PromptImport.State.FAILED, report
    batch.save(update_fields=["state", "report"])
    audit.record("refused import", batch, by=batch.created_by, after={"errors": report.get("error_count", 1)})


@contextmanager
def telling(batch: PromptImport) -> Iterator[Callable[[int], None]]:
    """A way to say how many lines were read while the import's own transaction is still open: on a connection beside it."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as beside:

        def tell(lines: int) -> None:
            beside.execute("UPDATE prompts_promptimport SET lines_read = %s WHERE id = %s", [lines, batch.pk])

        yield tell


def waiting(limit: int = 20) -> list[int]:
    """Imports whose wake-up was lost, or whose worker died."""
    rows = PromptImport.objects.filter(state=PromptImport.State.QUEUED, created_at__lt=Now() - LOST_AFTER)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:limit])
