"""What others ask about projects, their people and their guidelines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from labeling.people.models import Role, User
from labeling.projects.languages import spoken
from labeling.projects.models import Acceptance, Guideline, Membership, Project


class Place(NamedTuple):
    """A project as one person sees it in a menu."""

    project_id: int
    name: str
    role: str
    url: str


def membership(user: User, project: Project) -> Membership | None:
    """This person's place in the project, whatever its state; None for strangers."""
    return Membership.objects.select_related("project").filter(user=user, project=project).first()


def unwanted_categories(*, project: Project, user: User) -> list[str]:
    """The project's warned categories, unless this person has said that they take such work; then none."""
    if not project.warned_categories:
        return []
    takes = Membership.objects.filter(project=project, user=user, takes_sensitive=True).exists()
    return [] if takes else list(project.warned_categories)


def memberships_of(user: User) -> QuerySet[Membership]:
    """Every project of this person, by name."""
    return Membership.objects.filter(user=user).select_related("project").order_by("project__name")


def start_page(place: Membership) -> str:
    """Where this person begins in this project: contractors at their queue, the others at the overview."""
    return reverse("queue" if place.role == Role.CONTRACTOR else "overview", args=[place.project.slug])


def places_of(memberships: Iterable[Membership]) -> list[Place]:
    """These projects, as the menu shows them."""
    return [
        Place(place.project_id, place.project.name, place.get_role_display(), start_page(place))
        for place in memberships
    ]


def members(
    project: Project, *, role: str = "", state: str = "", text: str = "", language: str = ""
) -> QuerySet[Membership]:
    """The people of a project; `text` is looked for in names and addresses. A `language` without a region finds them all."""
    rows = Membership.objects.filter(project=project).select_related("user")
    if role:
        rows = rows.filter(role=role)
    if state:
        rows = rows.filter(state=state)
    if text:
        rows = rows.filter(Q(user__name__icontains=text) | Q(user__email__icontains=text))
    if language:
        meant = [code for code, _name in spoken(project) if f"{code}-".startswith(f"{language}-")]
        rows = rows.filter(languages__overlap=meant)
    return rows


def current_guideline(project: Project) -> Guideline | None:
    """The newest published version; None before the first one."""
    return Guideline.objects.filter(project=project, version__gt=0).order_by("-version").first()


def guideline_draft(project: Project) -> Guideline | None:
    """The draft; None before anybody has written one."""
    return Guideline.objects.filter(project=project, version=0).first()


def published_guidelines(project: Project) -> QuerySet[Guideline]:
    """All published versions, newest first, with `accepted`: how many people accepted each."""
    rows = Guideline.objects.filter(project=project, version__gt=0).select_related("published_by")
    return rows.annotate(accepted=Count("acceptances")).order_by("-version")


def guideline_version(project: Project, version: int) -> Guideline | None:
    """One version, 0 being the draft; None where there is none."""
    return Guideline.objects.filter(project=project, version=version).first()


def last_accepted(user: User, project: Project) -> int:
    """The newest version that this person accepted; 0 before the first one."""
    rows = Acceptance.objects.filter(guideline__project=project, user=user).order_by("-guideline__version")
    return rows.values_list("guideline__version", flat=True).first() or 0


def has_accepted(user: User, project: Project) -> bool:
    """Whether this person accepted the current guideline; False also when none is published: then there is no work."""
    current = current_guideline(project)
    return current is not None and Acceptance.objects.filter(guideline=current, user=user).exists()


def fresh(project: Project) -> Project:
    """A copy read anew: a form may write on it without touching the one the page shows."""
    return Project.objects.get(pk=project.pk)
