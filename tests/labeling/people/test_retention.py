"""What is left of sessions and limits goes when they are over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.people.tasks import forget_ended
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


def kept_in_cache() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key FROM core_cache")
        return [key for (key,) in cursor.fetchall()]


def test_what_is_over_goes_and_what_is_not_stays() -> None:
    clients = [Client(), Client(), Client()]
    for client in clients:
        client.post(reverse("account_login"), {"login": UserFactory().email, "password": PASSWORD})
    over, ended, live = (client.session.session_key for client in clients)
    Session.objects.filter(session_key=over).update(expire_date=timezone.now() - timedelta(seconds=1))
    Session.objects.filter(session_key=ended).delete()  # as a new password does
    cache.clear()
    cache.set("limit-of-198.51.100.7", 3, -5)
    cache.set("fresh", 1, 60)
    assert UserSession.objects.count() == 3
    assert forget_ended() == 4
    assert list(UserSession.objects.values_list("session_key", flat=True)) == [live]
    assert [key for key in kept_in_cache() if key.endswith(("fresh", ".7"))] == [":1:fresh"]
    assert forget_ended() == 0
