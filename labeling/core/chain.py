"""Following the chain of the audit log bit by bit, so that a page can say whether it holds without reading all of it."""

from __future__ import annotations

from django.db import transaction

from labeling.core.audit import digest
from labeling.core.clock import db_now, try_lock
from labeling.core.models import ChainCheck, Event

STEP = 5000


def chain_state() -> ChainCheck:
    """What the sweep has found so far; an unsaved row before its first step."""
    return ChainCheck.objects.filter(pk=1).first() or ChainCheck(pk=1)


@transaction.atomic
def follow_chain(*, limit: int = STEP) -> int:
    """Check the next `limit` sealed events; returns how many. At the end, or at a break, the next step begins anew."""
    if not try_lock("follow-chain"):
        return 0
    check = chain_state()
    events = list(Event.objects.exclude(hash="").filter(pk__gt=check.last).order_by("pk")[:limit])
    for event in events:
        if digest(event, check.hash) != event.hash:
            check.broken_at, check.last, check.hash, check.complete_at = event.pk, 0, "", db_now()
            check.save()
            return len(events)
        check.last, check.hash = event.pk, event.hash
    if len(events) < limit:
        check.complete_at, check.complete_until, check.broken_at = db_now(), check.last, None
        check.last, check.hash = 0, ""
    check.save()
    return len(events)
