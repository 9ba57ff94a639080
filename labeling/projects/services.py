"""Writes: projects, memberships, guidelines. Invitations have a file of their own and are offered here too."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling.core import audit, transitions
from labeling.core.choices import offered
from labeling.core.errors import BadInput, Conflict, NotAllowed, WrongState
from labeling.people.models import Role, User
from labeling.projects import pay, selectors
from labeling.projects.invitations import accept_invitation, invite, revoke_invitation
from labeling.projects.languages import set_languages
from labeling.projects.models import Acceptance, Guideline, Membership, Project

__all__ = [
    "accept_guideline",
    "accept_invitation",
    "add_member",
    "appeal",
    "change_role",
    "create_project",
    "invite",
    "next_guideline",
    "pause_member",
    "publish_guideline",
    "resume_member",
    "revoke_invitation",
    "save_guideline_draft",
    "set_languages",
    "set_paused",
    "update_project",
]

SETTINGS = frozenset(
    field.name
    for field in Project._meta.concrete_fields
    if field.name not in {"id", "slug", "created_at", "created_by"}
)
FIXED = frozenset({"seed", "valid_percent", "test_percent"})  # the split follows from them
MAX_GUIDELINE = 200_000
MAX_APPEAL = 2000


def check(row: Project) -> None:
    """Raise BadInput for the first setting out of its bounds."""
    try:
        row.full_clean(exclude=["slug", "created_by"], validate_unique=False)
    except ValidationError as problem:
        field, messages = next(iter(problem.message_dict.items()))
        raise BadInput(f"{field}: {messages[0]}", field=field) from problem
    if row.valid_percent + row.test_percent > 90:
        raise BadInput(
            _("valid_percent and test_percent together leave less than 10 % to train on: lower one of them."),
            field="test_percent",
        )


def in_log(value: Any) -> Any:
    """A setting as the audit log keeps it."""
    return str(value) if isinstance(value, Decimal) else value


def free_slug(name: str) -> str:
    """A short address for the project that nobody has yet."""
    base = slugify(name)[:50] or "project"
    taken = set(Project.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for n in range(1, len(taken) + 3) if (slug := base if n == 1 else f"{base}-{n}") not in taken)


@transaction.atomic
def create_project(*, name: str, by: User, **settings: Any) -> Project:
    """A project with its maker as first admin. A random seed decides the split unless `seed` is given."""
    if unknown := set(settings) - SETTINGS - {"slug"}:
        raise BadInput(
            _("There is no project setting %(unknown)s.") % {"unknown": sorted(unknown)[0]}, field=sorted(unknown)[0]
        )
    settings.setdefault("seed", secrets.randbelow(2**31))
    settings.setdefault("slug", free_slug(name))
    project = Project(name=name, created_by=by, **settings)
    check(project)
    pay.check_currency(project, before=project.currency)
    project.save()
    Membership.objects.create(project=project, user=by, role=Role.ADMIN)
    audit.record("created", project, by=by, after={"name": name, "seed": project.seed})
    return project


@transaction.atomic
def update_project(*, project: Project, by: User, **settings: Any) -> Project:
    """Change settings. Those that decide the split are fixed as soon as there are prompts."""
    project = Project.objects.select_for_update().get(pk=project.pk)
    if unknown := set(settings) - SETTINGS:
        raise BadInput(
            _("There is no project setting %(unknown)s.") % {"unknown": sorted(unknown)[0]}, field=sorted(unknown)[0]
        )
    before = {name: getattr(project, name) for name, value in settings.items() if getattr(project, name) != value}
    if (fixed := sorted(FIXED & set(before))) and project.prompts.exists():
        raise Conflict(
            _("%(fixed)s cannot change any more: the split of the imported prompts follows from it.")
            % {"fixed": fixed[0]},
            field=fixed[0],
        )
    currency = project.currency
    for name in before:
        setattr(project, name, settings[name])
    check(project)
    pay.check_currency(project, before=currency)
    if before:
        project.save(update_fields=list(before))
        told = [{name: in_log(said[name]) for name in before} for said in (before, settings)]
        audit.record("changed", project, by=by, before=told[0], after=told[1])
    return project


def set_paused(*, project: Project, paused: bool, by: User) -> Project:
    """Stop or go on handing out work in the whole project."""
    return update_project(project=project, by=by, is_paused=paused)


# ---- people


@transaction.atomic
def add_member(*, project: Project, user: User, role: str, by: User | None, state: str = "active") -> Membership:
    """Put an existing person into the project; Conflict when they are in it already."""
    if role not in Role.values:
        raise BadInput(
            _("There is no role %(role)s; choose from %(values)s.") % {"role": role, "values": offered(Role)},
            field="role",
        )
    if state not in Membership.State.values:
        raise BadInput(
            _("There is no state %(state)s; choose from %(values)s.")
            % {"state": state, "values": offered(Membership.State)},
            field="state",
        )
    place, fresh = Membership.objects.get_or_create(project=project, user=user, defaults={"role": role, "state": state})
    if not fresh:
        raise Conflict(
            _("%(user)s is in this project already, as %(state)s.")
            % {"user": user, "state": place.get_role_display().lower()}
        )
    audit.record("joined", place, by=by, after={"role": role, "state": state})
    return place


def keep_one_admin(place: Membership) -> None:
    """Refuse to take the last active admin away."""
    admins = Membership.objects.select_for_update().filter(
        project=place.project, role=Role.ADMIN, state=Membership.State.ACTIVE, user__is_active=True
    )
    if list(admins.values_list("pk", flat=True)) == [place.pk]:
        raise Conflict(
            _("%(user)s is the project's only admin: make somebody else admin first.") % {"user": place.user}
        )


@transaction.atomic
def change_role(*, membership: Membership, role: str, by: User) -> Membership:
    """Give a member another role; the project keeps at least one admin."""
    if role not in Role.values:
        raise BadInput(
            _("There is no role %(role)s; choose from %(values)s.") % {"role": role, "values": offered(Role)},
            field="role",
        )
    place = Membership.objects.select_for_update(of=("self",)).select_related("user", "project").get(pk=membership.pk)
    if place.role == role:
        return place
    keep_one_admin(place)
    before, place.role = place.role, role
    place.save(update_fields=["role"])
    audit.record("changed role", place, by=by, before={"role": before}, after={"role": role})
    return place


@transaction.atomic
def pause_member(*, membership: Membership, reason: str, by: User) -> Membership:
    """Hand this person no more work, and say why; what they have begun stays theirs until its lease ends."""
    reason = reason.strip()
    if not reason:
        raise BadInput(_("Write the reason: the person will read it."), field="reason")
    keep_one_admin(membership)
    return transitions.move(membership, to=Membership.State.PAUSED, by=by, **paused_fields(reason=reason, by=by))


def paused_fields(*, reason: str, by: User | None) -> dict[str, Any]:
    """What a membership says when it is paused: why, when and by whom, and no appeal yet."""
    now = timezone.now()
    return {"paused_reason": reason, "paused_at": now, "paused_by": by, "appeal": "", "appealed_at": None}


@transaction.atomic
def take_sensitive_work(*, membership: Membership, takes: bool, by: User) -> Membership:
    """Give this person work with a content warning, or no longer; a task they hold stays theirs, and skipping is free."""
    if membership.user_id != by.pk:
        raise NotAllowed(_("Only you decide whether you take such work."))
    place = Membership.objects.select_for_update(of=("self",)).get(pk=membership.pk)
    if place.takes_sensitive != takes:
        place.takes_sensitive = takes
        place.save(update_fields=["takes_sensitive"])
        audit.record("takes_sensitive" if takes else "leaves_sensitive", place, by=by)
    return place


@transaction.atomic
def appeal(*, membership: Membership, text: str, by: User) -> Membership:
    """Keep what a paused person says to the reason, over what they said before; an admin reads it and decides."""
    text = text.strip()
    if membership.user_id != by.pk:
        raise NotAllowed(_("Only the person who is paused may appeal."))
    if not 1 <= len(text) <= MAX_APPEAL:
        raise BadInput(_("Write your appeal in at most %(most)d characters.") % {"most": MAX_APPEAL}, field="text")
    place = Membership.objects.select_for_update(of=("self",)).get(pk=membership.pk)
    if place.state != Membership.State.PAUSED:
        raise WrongState(_("You are not paused: there is nothing to appeal."))
    place.appeal, place.appealed_at = text, timezone.now()
    place.save(update_fields=["appeal", "appealed_at"])
    audit.record("appealed", place, by=by, after={"characters": len(text)})
    return place


def resume_member(*, membership: Membership, by: User) -> Membership:
    """Let a paused or qualifying person work."""
    return transitions.move(
        membership, to=Membership.State.ACTIVE, by=by, paused_reason="", appeal="", appealed_at=None
    )


# ---- guidelines


@transaction.atomic
def save_guideline_draft(*, project: Project, body: str, by: User, evaluation: str = "") -> Guideline:
    """Keep the draft; nobody but admins sees it before it is published. `evaluation` is what counts in final evaluations."""
    if not body.strip():
        raise BadInput(_("A guideline needs text: say what a good answer is."), field="body")
    said = {"body": body, "evaluation": evaluation.strip()}
    for field, text in said.items():
        if len(text) > MAX_GUIDELINE:
            raise BadInput(
                _("A guideline has at most %(most)s characters; this one has %(body)s.")
                % {"most": f"{MAX_GUIDELINE:,}", "body": f"{len(text):,}"},
                field=field,
            )
    draft, _created = Guideline.objects.update_or_create(project=project, version=0, defaults=said)
    audit.record("saved draft", draft, by=by, after={"characters": sum(map(len, said.values()))})
    return draft


def next_guideline(*, project: Project) -> tuple[Guideline, int]:
    """The draft, and the number of the version that publishing would make; WrongState or Conflict when there is nothing new."""
    draft = selectors.guideline_draft(project)
    if draft is None:
        raise WrongState(_("There is no draft to publish: write one first."))
    current = selectors.current_guideline(project)
    if current is not None and current.whole == draft.whole:
        raise Conflict(
            _("The draft says the same as version %(version)s: change it before you publish.")
            % {"version": current.version}
        )
    return draft, current.version + 1 if current else 1


@transaction.atomic
def publish_guideline(*, project: Project, by: User) -> Guideline:
    """Publish the draft as the next version. From now on everybody must accept it before more work is handed out."""
    Project.objects.select_for_update().get(pk=project.pk)
    draft, version = next_guideline(project=project)
    said = {"body": draft.body, "evaluation": draft.evaluation}
    published = Guideline.objects.create(
        project=project, version=version, published_at=timezone.now(), published_by=by, **said
    )
    audit.record("published", published, by=by, after={"version": version})
    return published


@transaction.atomic
def accept_guideline(*, guideline: Guideline, user: User) -> Acceptance:
    """Record that this member has read the current version; accepting twice is one acceptance."""
    if selectors.membership(user, guideline.project) is None:
        raise NotAllowed(_("Only members of the project accept its guideline."))
    current = selectors.current_guideline(guideline.project)
    if current is None or current.pk != guideline.pk:
        raise Conflict(_("A newer version has been published: read and accept that one."))
    acceptance, fresh = Acceptance.objects.get_or_create(guideline=guideline, user=user)
    if fresh:
        audit.record("accepted", guideline, by=user, after={"version": guideline.version})
    return acceptance
