"""What an account has: tokens and sessions."""

from __future__ import annotations

from allauth.usersessions.models import UserSession
from django.db.models import QuerySet
from django.http import HttpRequest

from labeling.people.models import ApiToken, Role, User


def may_have_tokens(user: User) -> bool:
    """Whether this account does more than label: a platform admin, or more than a contractor somewhere (AUTHN-7)."""
    return user.is_staff or user.memberships.exclude(role=Role.CONTRACTOR).exists()


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """The person's tokens, newest first, the revoked too."""
    return ApiToken.objects.filter(user=user).order_by("-id")


def sessions_of(request: HttpRequest) -> list[UserSession]:
    """The browsers in which this person is signed in, this one first; entries whose session is gone are left out."""
    entries = [entry for entry in UserSession.objects.filter(user=request.user) if entry.exists()]
    return sorted(entries, key=lambda entry: entry.session_key != request.session.session_key)
