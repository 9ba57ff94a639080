"""API tokens: `Authorization: Bearer hf_<id>_<secret>`."""

from __future__ import annotations

import hashlib
import hmac

from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from labeling.people.models import ApiToken, User


class ApiTokenAuthentication(BaseAuthentication):
    """Look the token up by its public id and compare digests in constant time."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """(user, token), or None when the request carries no token; raises AuthenticationFailed for a bad one."""
        parts = get_authorization_header(request).decode("latin-1").split()
        if not parts or parts[0] != self.keyword:
            return None
        pieces = parts[1].split("_", 2) if len(parts) == 2 else []
        if len(pieces) != 3 or pieces[0] != "hf":
            raise AuthenticationFailed(_("The token is malformed: it looks like hf_<id>_<secret>."))
        token = ApiToken.objects.select_related("user").filter(key_id=pieces[1]).first()
        digest = hashlib.sha256(parts[1].encode()).hexdigest()
        if token is None or not hmac.compare_digest(token.digest, digest):
            raise AuthenticationFailed(_("The token is not known."))
        now = timezone.now()
        if token.revoked_at or token.expires_at <= now or not token.user.is_active:
            raise AuthenticationFailed(_("The token has expired or was revoked: make a new one on your account page."))
        if token.last_used_at is None or (now - token.last_used_at).total_seconds() > 60:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Makes DRF answer 401 rather than 403 when credentials are missing."""
        return self.keyword
