"""Where a second factor is required, people who may change much go nowhere before they have one (AUTHN-3)."""

from __future__ import annotations

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from labeling.core.middleware import Handler
from labeling.people.models import Role

OPEN = ("/account/", "/static/", "/healthz", "/readyz", "/invitation/")


class RequireSecondFactor:
    """Sends platform admins, project admins and engineers without a second factor to set one up."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not settings.REQUIRE_MFA or request.path.startswith(OPEN) or not self.is_missing(request):
            return self.get_response(request)
        if request.path.startswith("/api/"):
            detail = _("Set up a second factor on your account page first.")
            return JsonResponse({"detail": detail, "code": "second_factor_missing"}, status=403)
        messages.warning(request, _("Your role needs a second factor. Set it up to go on."))
        return redirect("mfa_activate_totp")

    @staticmethod
    def is_missing(request: HttpRequest) -> bool:
        """Whether this person must have a second factor and has none."""
        user = request.user
        if not user.is_authenticated or is_mfa_enabled(user):
            return False
        return user.is_staff or user.memberships.filter(role__in=[Role.ADMIN, Role.ENGINEER]).exists()
