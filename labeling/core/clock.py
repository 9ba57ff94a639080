"""Time comes from the database, so that hosts whose clocks differ still agree about leases."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def db_now() -> datetime:
    """The database server's clock right now (not the transaction's start)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def try_lock(name: str) -> bool:
    """Take a transaction-long advisory lock named `name`; False when another transaction holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        return bool(cursor.fetchone()[0])


def take_long() -> None:
    """Let the present transaction take as long as its task may, commit included.

    The usual limits are for requests. An import of a million lines checks three million keys when it commits, and a worker
    that shares its processor may pause for a minute between two statements; Celery's time limit ends what hangs.
    """
    with connection.cursor() as cursor:
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET LOCAL {name} = 0")
