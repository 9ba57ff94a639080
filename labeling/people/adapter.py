"""How allauth behaves here: nobody can register, accounts come from invitations, authenticator apps call us Loop."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from labeling.core import audit
from labeling.people.browsers import browser_name
from labeling.people.models import User


class ClosedRegistration(DefaultAccountAdapter):  # type: ignore[misc]
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

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        """Every sign-in is in the audit log."""
        audit.record("signed in", user, by=user, after={"browser": browser_name(request.headers.get("User-Agent", ""))})
        answer: HttpResponse = super().post_login(request, user, **kwargs)
        return answer

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """A wrong password for a known address is in the audit log; unknown addresses are not kept."""
        super().authentication_failed(request, **credentials)
        user = User.objects.filter(email__iexact=credentials.get("email") or "").first()
        if user is not None:
            audit.record("failed sign-in", user)

    def logout(self, request: HttpRequest) -> None:
        """Every sign-out is in the audit log."""
        if isinstance(request.user, User):
            audit.record("signed out", request.user, by=request.user)
        super().logout(request)


def keys() -> MultiFernet:
    """Encrypts with SECRET_KEY, decrypts with that and its fallbacks."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    hashes = (hashlib.sha256(b"loop second factor\n" + secret.encode()).digest() for secret in secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in hashes])


class SecondFactor(DefaultMFAAdapter):  # type: ignore[misc]
    """How authenticator apps are introduced to us, and how their secrets are kept."""

    def encrypt(self, text: str) -> str:
        """The secret under SECRET_KEY: a copy of the database alone makes no codes."""
        return keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """The other way; also with SECRET_KEY_FALLBACKS."""
        return keys().decrypt(encrypted_text.encode()).decode()

    def get_totp_issuer(self) -> str:
        """The name in the person's app."""
        return "Loop"

    def build_totp_svg(self, url: str) -> SafeString:
        """The QR code, drawn by the qrcode package from a URL of ours: no text of anybody is in it."""
        return mark_safe(str(super().build_totp_svg(url)))
