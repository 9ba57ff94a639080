"""What every page needs: the project it belongs to and the navigation of this person's role there."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext, gettext_noop

from labeling.people.models import Role
from labeling.people.permissions import is_shut_out
from labeling.projects.models import Membership
from labeling.projects.selectors import places_of

LABELERS = {Role.CONTRACTOR, Role.REVIEWER}
STAFF = {Role.ENGINEER, Role.ADMIN}
EVERYONE = LABELERS | STAFF

# name of the page, its label, who sees it
NAVIGATION: list[tuple[str, str, set[Role]]] = [
    ("overview", gettext_noop("Overview"), STAFF | {Role.REVIEWER}),
    ("queue", gettext_noop("Label"), EVERYONE - {Role.ENGINEER}),
    ("prompts", gettext_noop("Prompts"), STAFF),
    ("batches", gettext_noop("Tasks"), STAFF),
    ("snapshots", gettext_noop("Data"), STAFF),
    ("runs", gettext_noop("Runs"), STAFF),
    ("checkpoints", gettext_noop("Checkpoints"), STAFF),
    ("quality", gettext_noop("Quality"), STAFF | {Role.REVIEWER}),
    ("reviews", gettext_noop("Review"), {Role.REVIEWER, Role.ADMIN}),
    ("people", gettext_noop("People"), {Role.ADMIN}),
    ("guideline", gettext_noop("Guideline"), EVERYONE),
    ("project-settings", gettext_noop("Settings"), {Role.ADMIN}),
]


class Item(NamedTuple):
    """One link of the navigation."""

    url: str
    label: str
    current: bool


def navigation(request: HttpRequest, membership: Membership) -> list[Item]:
    """The links of this membership's role; the one whose address begins this page's address is current."""
    items = []
    for name, label, roles in NAVIGATION:
        if membership.role not in roles:
            continue
        url = reverse(name, args=[membership.project.slug])
        exact = name == "overview"
        items.append(Item(url, gettext(label), request.path == url if exact else request.path.startswith(url)))
    return items


def shell(request: HttpRequest) -> dict[str, Any]:
    """`project`, `membership`, `nav` and `my_projects`, from what `projects.access.member` set on the request."""
    membership: Membership | None = getattr(request, "membership", None)
    return {
        "project": getattr(request, "project", None),
        "membership": membership,
        "nav": navigation(request, membership) if membership and not is_shut_out(membership) else [],
        "my_projects": SimpleLazyObject(lambda: places_of(getattr(request, "memberships", []))),
    }
