"""Writing and sealing the audit log (reliability.md LOG-1)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db import models, transaction

from labeling.core.clock import try_lock
from labeling.core.middleware import request_id
from labeling.core.models import Event


def record(
    verb: str,
    target: models.Model,
    *,
    by: Any = None,
    project_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Event:
    """Add one event inside the caller's transaction. Never put prompt text or secrets in `before` or `after`."""
    if project_id is None:
        project_id = (
            target.pk if target._meta.label_lower == "projects.project" else getattr(target, "project_id", None)
        )
    return Event.objects.create(
        actor=by if by is not None and by.pk else None,
        verb=verb,
        object_type=target._meta.label_lower,
        object_id=str(target.pk),
        project_id=project_id,
        before=before or {},
        after=after or {},
        request_id=request_id.get(),
    )


def digest(event: Event, previous: str) -> str:
    """SHA-256 over the previous hash and everything the row says."""
    said = [
        previous,
        event.pk,
        event.actor_id,
        event.verb,
        event.object_type,
        event.object_id,
        event.project_id,
        event.before,
        event.after,
        event.request_id,
        event.at.isoformat(),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@transaction.atomic
def seal_events(*, limit: int = 5000) -> int:
    """Chain the events not yet sealed, in order; returns how many. Only one sealer works at a time."""
    if not try_lock("seal-events"):
        return 0
    previous = Event.objects.exclude(hash="").order_by("-id").values_list("hash", flat=True).first() or ""
    fresh = list(Event.objects.filter(hash="").order_by("id")[:limit])
    for event in fresh:
        event.hash = previous = digest(event, previous)
    Event.objects.bulk_update(fresh, ["hash"], batch_size=500)
    return len(fresh)


def broken_link() -> int | None:
    """The id of the first sealed event whose hash does not follow from the one before it; None when the chain holds."""
    previous = ""
    for event in Event.objects.exclude(hash="").order_by("id").iterator(chunk_size=2000):
        if digest(event, previous) != event.hash:
            return int(event.pk)
        previous = event.hash
    return None
