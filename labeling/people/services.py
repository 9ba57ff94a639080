"""Names, tokens, sessions, and closing an account."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.core import audit
from labeling.core.errors import BadInput, Conflict, NotAllowed, NotFound
from labeling.people import selectors
from labeling.people.models import ApiToken, Language, User

MAX_TOKEN_DAYS = 90


@transaction.atomic
def rename(*, user: User, name: str) -> User:
    """Set the name that colleagues see."""
    name = " ".join(name.split())
    if not name:
        raise BadInput(_("Write the name that colleagues should see."), field="name")
    user.name = name
    user.save(update_fields=["name"])
    audit.record("renamed", user, by=user)  # no name: the log cannot forget one
    return user


@transaction.atomic
def choose_language(*, user: User, language: str) -> User:
    """Show this person every page in this language from now on; empty means the browser's."""
    if language and language not in Language.values:
        raise BadInput(
            _("Choose one of these languages: %(known)s.") % {"known": ", ".join(map(str, Language.labels))},
            field="language",
        )
    user.language = language
    user.save(update_fields=["language"])
    return user


@transaction.atomic
def create_token(*, user: User, name: str, scopes: list[str], days: int) -> tuple[ApiToken, str]:
    """A new API token and its secret, which nobody can read again; only its SHA-256 is kept.

    Raises NotAllowed for people who only label, BadInput for unknown scopes or a life longer than 90 days.
    """
    if not selectors.may_have_tokens(user):
        raise NotAllowed(_("API tokens are for engineers, reviewers and admins; your account only labels."))
    if unknown := set(scopes) - set(ApiToken.Scope.values):
        raise BadInput(
            _("There is no scope %(unknown)s; choose from %(values)s.")
            % {"unknown": sorted(unknown)[0], "values": ", ".join(ApiToken.Scope.values)},
            field="scopes",
        )
    if not scopes:
        raise BadInput(_("Choose at least one thing the token may do."), field="scopes")
    if not 1 <= days <= MAX_TOKEN_DAYS:
        raise BadInput(_("A token lives between 1 and %(most)s days.") % {"most": MAX_TOKEN_DAYS}, field="days")
    key_id = secrets.token_hex(4)
    secret = f"hf_{key_id}_{secrets.token_urlsafe(32)}"
    try:
        with transaction.atomic():
            token = ApiToken.objects.create(
                user=user,
                name=name,
                key_id=key_id,
                digest=hashlib.sha256(secret.encode()).hexdigest(),
                scopes=sorted(set(scopes)),
                expires_at=timezone.now() + timedelta(days=days),
            )
    except IntegrityError as clash:  # one in four billion
        raise Conflict(_("That key is taken; try once more.")) from clash
    audit.record("created", token, by=user, after={"name": name, "scopes": token.scopes, "days": days})
    return token, secret


@transaction.atomic
def revoke_token(*, user: User, token_id: int) -> ApiToken:
    """End one of the person's own tokens at once; ending it twice changes nothing."""
    token = ApiToken.objects.select_for_update().filter(user=user, pk=token_id).first()
    if token is None:
        raise NotFound(_("You have no such token."))
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit.record("revoked", token, by=user)
    return token


@transaction.atomic
def end_session(*, user: User, session_id: int) -> None:
    """Sign one of the person's own browsers out."""
    entry = UserSession.objects.filter(user=user, pk=session_id).first()
    if entry is None:
        raise NotFound(_("You have no such session; it may have ended already."))
    audit.record("ended session of", user, by=user)
    entry.end()


@transaction.atomic
def deactivate(*, user: User, by: User) -> User:
    """Close an account: sessions and tokens stop working at the next request, what the person did stays."""
    if user.pk == by.pk:
        raise NotAllowed(_("You cannot deactivate your own account; ask another admin."))
    user.is_active = False
    user.save(update_fields=["is_active"])
    keys = UserSession.objects.filter(user=user).values_list("session_key", flat=True)
    Session.objects.filter(session_key__in=list(keys)).delete()
    UserSession.objects.filter(user=user).delete()
    ApiToken.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
    audit.record("deactivated", user, by=by, before={"is_active": True}, after={"is_active": False})
    return user


@transaction.atomic
def reactivate(*, user: User, by: User) -> User:
    """Open an account again. Its old tokens stay revoked."""
    if user.erased_at is not None:
        raise Conflict(_("Nobody knows any more whose account this was: it stays closed."))
    user.is_active = True
    user.save(update_fields=["is_active"])
    audit.record("reactivated", user, by=by, before={"is_active": False}, after={"is_active": True})
    return user
