"""Who may open a project's pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from rest_framework.request import Request

from labeling.core.errors import NotAllowed, NotFound
from labeling.people.models import Role
from labeling.people.permissions import is_shut_out, must_not_be_paused
from labeling.people.requests import SignedInRequest
from labeling.projects.models import Membership, Project
from labeling.projects.selectors import memberships_of

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class ProjectRequest(SignedInRequest):
    """A request that `member` let through, for annotations: it knows its project and the person's place in it."""

    project: Project
    membership: Membership
    memberships: list[Membership]


def member(*roles: str, paused: bool = False) -> Callable[[View], View]:
    """Let only members of the project `slug` in, and only these roles (none given: every role; an admin passes always).

    Sets `request.project`, `request.membership` and, for the menu of projects, `request.memberships`. A stranger gets 404, so that nobody learns which projects exist;
    a member of another role gets 403. Paused reviewers, engineers and admins are led to where they can appeal, unless the
    page is open to the `paused`; paused contractors keep their own pages and are given no new work (`assignments.claim`).
    """

    def decorate(view: View) -> View:
        @login_required
        @wraps(view)
        def inner(request: SignedInRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
            places = list(memberships_of(request.user))
            place = next((one for one in places if one.project.slug == slug), None)
            if place is None:
                raise Http404
            request.project, request.membership, request.memberships = place.project, place, places  # type: ignore[attr-defined]
            if roles and place.role not in {*roles, Role.ADMIN}:
                raise PermissionDenied
            if is_shut_out(place) and not paused:
                return redirect("appeal", slug)
            return view(request, slug, *args, **kwargs)

        return inner  # type: ignore[return-value]

    return decorate


def project_for_api(request: Request, slug: str, *roles: str) -> Project:
    """The project of an API request, for these roles and admins; NotFound for strangers, NotAllowed for other roles."""
    place = Membership.objects.select_related("project").filter(project__slug=slug, user=request.user).first()  # type: ignore[misc]
    if place is None:
        raise NotFound(_("There is no such project."))
    if roles and place.role not in {*roles, Role.ADMIN}:
        raise NotAllowed(
            _("Your role in this project (%(role)s) may not do this; it is for: %(roles)s.")
            % {
                "role": place.get_role_display().lower(),
                "roles": ", ".join(str(Role(role).label).lower() for role in roles),
            }
        )
    must_not_be_paused(place)
    return place.project
