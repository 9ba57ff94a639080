"""Erasing who somebody was (reliability.md PRIV-2): the work stays, under its random key; the person behind it does not."""

from __future__ import annotations

from collections.abc import Callable

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.core import audit
from labeling.core.errors import BadInput, Conflict
from labeling.people.models import User

Eraser = Callable[[User], None]
_ERASERS: list[Eraser] = []


def register(eraser: Eraser) -> None:
    """Have this called, too, when somebody is erased: it deletes what its app keeps of them besides their work. Once, when the app loads."""
    _ERASERS.append(eraser)


@transaction.atomic
def erase(*, user: User, by: User, typed: str) -> User:
    """Delete for good who this person is: address, name, password, second factor, sessions, tokens, appeals, drafts.

    What they submitted stays, so snapshots and their hashes do not change. `typed` is their address, as a check. Raises
    BadInput for another address, Conflict for somebody whose account is open (one's own is) or who is erased already.
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.erased_at is not None:
        raise Conflict(_("This person is erased already."))
    if user.is_active:
        raise Conflict(_("Close the account first."))
    if User.objects.normalize_email(typed) != user.email:
        raise BadInput(_("Write the person's address exactly: %(email)s.") % {"email": user.email}, field="typed")
    for eraser in _ERASERS:
        eraser(user)
    for model in (EmailAddress, Authenticator):
        model.objects.filter(user=user).delete()
    user.api_tokens.all().delete()
    user.groups.clear()
    user.user_permissions.clear()
    user.email, user.name, user.language = f"erased-{user.public_id}@erased.invalid", "", ""
    user.is_staff = user.is_superuser = False
    user.last_login, user.erased_at = None, timezone.now()
    user.set_unusable_password()
    user.save()
    back_door = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk))
    back_door.update(object_repr=str(user), change_message="")
    audit.record("erased", user, by=by)
    return user
