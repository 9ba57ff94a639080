"""Requests of people who are signed in, for annotations."""

from __future__ import annotations

from django.http import HttpRequest

from labeling.people.models import User


class SignedInRequest(HttpRequest):
    """What a view behind `login_required` gets: somebody is there."""

    user: User  # type: ignore[assignment]
