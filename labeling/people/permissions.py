"""What API views ask for: `permission_classes = [scoped("runs:read")]`, or `scoped(read="runs:read", write="runs:write")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from rest_framework.permissions import SAFE_METHODS, BasePermission

from labeling.core.errors import NotAllowed, NotFound
from labeling.people.models import ApiToken, Role

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

Scope = ApiToken.Scope
NOT_CONTRACTORS = frozenset({Role.REVIEWER, Role.ENGINEER, Role.ADMIN})
ENGINEERS = frozenset({Role.ENGINEER, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
PAUSED = "paused"  # a membership's state; projects stand right of us

ROLES_OF_SCOPE: dict[str, frozenset[Role]] = {
    Scope.PROMPTS_WRITE: ADMINS,
    Scope.TASKS_READ: NOT_CONTRACTORS,
    Scope.TASKS_WRITE: ENGINEERS,
    Scope.DATASETS_READ: ENGINEERS,
    Scope.DATASETS_WRITE: ENGINEERS,
    Scope.RUNS_READ: NOT_CONTRACTORS,
    Scope.RUNS_WRITE: ENGINEERS,
}


def must_carry(place: Any, scope: str) -> None:
    """NotAllowed unless the role of this membership carries the scope and is not paused."""
    if place.role not in ROLES_OF_SCOPE[scope]:
        raise NotAllowed(
            _("Your role in this project (%(role)s) may not use %(scope)s.")
            % {"role": place.get_role_display().lower(), "scope": scope}
        )
    must_not_be_paused(place)


def is_shut_out(place: Any) -> bool:
    """Whether this membership is paused and opens nothing. Paused contractors get no new work, but keep their own pages."""
    return bool(place.state == PAUSED and place.role != Role.CONTRACTOR)


def must_not_be_paused(place: Any) -> None:
    """NotAllowed, with the reason, for reviewers, engineers and admins who are paused."""
    if is_shut_out(place):
        raise NotAllowed(
            _("You are paused in this project (%(reason)s): read more and appeal on its page.")
            % {"reason": place.paused_reason},
            code="paused",
        )


class Scoped(BasePermission):
    """A token needs the scope; token or session, the person needs a role that carries it.

    Views under `projects/<slug>/` get `request.project` and `request.membership`; for strangers the project does not exist.
    """

    read: str
    write: str

    def has_permission(self, request: Request, view: APIView) -> bool:
        """False asks for credentials; raises NotAllowed or NotFound otherwise."""
        if not request.user.is_authenticated:
            return False
        scope = self.read if request.method in SAFE_METHODS else self.write
        if isinstance(request.auth, ApiToken) and scope not in request.auth.scopes:
            raise NotAllowed(
                _("This token lacks the scope %(scope)s: make one that has it on your account page.") % {"scope": scope}
            )
        places = request.user.memberships.select_related("project")
        roles = ROLES_OF_SCOPE[scope]
        slug = view.kwargs.get("slug")
        if slug is None:
            if not places.filter(role__in=roles).exclude(state=PAUSED).exists():
                raise NotAllowed(_("No project gives you a role that may use %(scope)s.") % {"scope": scope})
            return True
        place = places.filter(project__slug=slug).first()
        if place is None:
            raise NotFound(_("There is no such project."))
        must_carry(place, scope)
        request.project, request.membership = place.project, place  # type: ignore[attr-defined]
        return True


def scoped(scope: str = "", *, read: str = "", write: str = "") -> type[Scoped]:
    """A permission class for one scope, or one for GET and one for changes; ValueError when there is no such scope."""
    return type("Scoped", (Scoped,), {"read": Scope(read or scope), "write": Scope(write or scope)})
