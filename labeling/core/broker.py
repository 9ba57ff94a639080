"""Waking a worker. A wake-up may be lost: the sweep finds the row within seconds."""

from __future__ import annotations

import logging

import redis
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from labeling.celery import app

log = logging.getLogger(__name__)


def wake(task: str, *args: object) -> None:
    """After the transaction commits, ask a worker to run the task of this name; failure is logged and left to the sweep."""

    def publish() -> None:
        try:
            app.send_task(task, args=args, retry=False, expires=300)
        except (OperationalError, OSError, redis.RedisError) as problem:
            log.warning("could not wake %s: %s; the sweep will find the row", task, problem)

    transaction.on_commit(publish, robust=True)


def broker_answers() -> bool:
    """Whether Redis answers a ping within a second."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
