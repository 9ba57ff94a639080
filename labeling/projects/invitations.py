"""Invitations: a single-use link whose secret is kept only as a hash (AUTHN-1)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.core import audit
from labeling.core.choices import offered
from labeling.core.errors import BadInput, Conflict, NotAllowed, NotFound
from labeling.people.models import Role, User
from labeling.projects import pay
from labeling.projects.languages import checked
from labeling.projects.models import Invitation, Membership, Project

LIFETIME = timedelta(hours=72)
UNUSABLE = gettext_lazy(
    "This invitation was used, withdrawn or is older than 72 hours. Ask the admin who sent it for a new one."
)


def digest(secret: str) -> str:
    """What the database keeps of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def invite(
    *, project: Project, email: str, role: str, by: User, languages: Iterable[str] = (), pay_rate: Decimal | None = None
) -> tuple[Invitation, str]:
    """A new invitation and the secret of its link, which nobody can read again. Earlier open ones to this address end.

    Languages and pay rate hold from the day the person joins. Raises BadInput for a bad address, role, language or rate,
    Conflict when the person is a member already.
    """
    email = User.objects.normalize_email(email)
    try:
        validate_email(email)
    except ValidationError as problem:
        raise BadInput(_("That is no e-mail address; it looks like name@example.org."), field="email") from problem
    if role not in Role.values:
        raise BadInput(
            _("There is no role %(role)s; choose from %(values)s.") % {"role": role, "values": offered(Role)},
            field="role",
        )
    if Membership.objects.filter(project=project, user__email__iexact=email).exists():
        raise Conflict(_("%(email)s is in this project already.") % {"email": email}, field="email")
    terms = {"languages": checked(languages), "pay_rate": pay_rate}
    pay.check_rate(project, pay_rate)
    now = timezone.now()
    usable(project).filter(email__iexact=email).update(revoked_at=now)
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        project=project,
        email=email,
        role=role,
        digest=digest(secret),
        invited_by=by,
        expires_at=now + LIFETIME,
        **terms,
    )
    rate = {} if pay_rate is None else {"pay_rate": pay.as_text(pay_rate), "currency": project.currency}
    audit.record("invited", invitation, by=by, after={"role": role, "languages": invitation.languages, **rate})
    return invitation, secret


def usable(project: Project | None = None) -> models.QuerySet[Invitation]:
    """Invitations whose link still works."""
    rows = Invitation.objects.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())
    return rows if project is None else rows.filter(project=project)


def find(secret: str) -> Invitation:
    """The invitation behind a link; NotFound, in the same words, for a wrong, used, withdrawn or old one."""
    invitation = usable().select_related("project", "invited_by").filter(digest=digest(secret)).first()
    if invitation is None:
        raise NotFound(str(UNUSABLE))
    return invitation


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, by: User) -> Invitation:
    """Withdraw an invitation that nobody has used."""
    locked = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if locked.accepted_at:
        raise Conflict(_("%(email)s has accepted already: pause the member instead.") % {"email": locked.email})
    if locked.revoked_at is None:
        locked.revoked_at = timezone.now()
        locked.save(update_fields=["revoked_at"])
        audit.record("withdrew", locked, by=by)
    return locked


@transaction.atomic
def accept_invitation(*, secret: str, name: str = "", password: str = "", user: User | None = None) -> User:
    """Use an invitation up: make the account it is for, or let the signed-in `user` it is for join.

    Raises NotFound for a link that does not work (any more), NotAllowed for somebody else's, BadInput for a weak password.
    """
    invitation = find(secret)
    locked = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if locked.accepted_at or locked.revoked_at:
        raise NotFound(str(UNUSABLE))
    known = User.objects.filter(email__iexact=locked.email).first()
    if known is None:
        known = new_account(email=locked.email, name=name, password=password)
    elif user is None or user.pk != known.pk:
        raise NotAllowed(
            _("There is an account for %(email)s: sign in with it, then open the link again.") % {"email": locked.email}
        )
    if Membership.objects.filter(project=locked.project, user=known).exists():
        raise Conflict(_("You are in this project already."))
    screened = locked.role == Role.CONTRACTOR and locked.project.requires_screening
    state = Membership.State.QUALIFYING if screened else Membership.State.ACTIVE
    place = Membership.objects.create(
        project=locked.project, user=known, role=locked.role, state=state, languages=locked.languages
    )
    locked.accepted_by, locked.accepted_at = known, timezone.now()
    locked.save(update_fields=["accepted_by", "accepted_at"])
    audit.record("accepted", locked, by=known)
    audit.record("joined", place, by=known, after={"role": place.role, "state": place.state})
    if locked.pay_rate is not None:
        pay.set_pay_rate(membership=place, rate=locked.pay_rate, by=locked.invited_by)
    return known


def new_account(*, email: str, name: str, password: str) -> User:
    """An account for an invited person; BadInput names what is wrong."""
    name = " ".join(name.split())
    if not name:
        raise BadInput(_("Write the name that colleagues should see."), field="name")
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as problem:
        raise BadInput(" ".join(problem.messages), field="password") from problem
    user = User.objects.create_user(email, password, name=name)
    audit.record("created", user, by=user)
    return user
