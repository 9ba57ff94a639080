"""What is kept of people only for a while (reliability.md PRIV-4): once a session is over, nothing says any more from where it was."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone


def forget_ended() -> int:
    """Delete sessions that are over with the addresses they came from, and what the cache kept too long; returns how many rows."""
    now = timezone.now()
    gone: int = Session.objects.filter(expire_date__lt=now).delete()[0]
    gone += UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()[0]
    with (
        connection.cursor() as cursor
    ):  # limits of sign-in are kept by address; the cache itself only deletes when it is full
        cursor.execute("DELETE FROM core_cache WHERE expires < %s", [now])
        gone += cursor.rowcount
    return gone
