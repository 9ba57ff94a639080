"""How allauth behaves here: nobody can register; accounts come from invitations."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from labeling.people.models import User


class ClosedRegistration(DefaultAccountAdapter):
    """Sign-up is closed for everyone, and people made of code cannot enter."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Always False."""
        return False

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """allauth goes on with a user whom the backend refused; stop the simulated here, the inactive there."""
        if user.is_simulated:
            return HttpResponseRedirect(reverse("account_inactive"))
        answer: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return answer
