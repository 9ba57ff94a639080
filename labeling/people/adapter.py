"""How allauth behaves here: nobody can register; accounts come from invitations."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedRegistration(DefaultAccountAdapter):
    """Sign-up is closed for everyone."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Always False."""
        return False
