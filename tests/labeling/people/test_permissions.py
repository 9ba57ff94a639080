"""Scopes carry only what the person's role carries."""

from __future__ import annotations

import pytest
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from labeling.core.errors import NotAllowed, NotFound
from labeling.people.models import ApiToken, Role
from labeling.people.permissions import ROLES_OF_SCOPE, scoped
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_every_scope_says_which_roles_carry_it() -> None:
    assert set(ROLES_OF_SCOPE) == set(ApiToken.Scope.values)
    assert all(Role.CONTRACTOR not in roles for roles in ROLES_OF_SCOPE.values())


def test_there_is_no_permission_for_an_unknown_scope() -> None:
    with pytest.raises(ValueError, match="everything"):
        scoped("everything")
    with pytest.raises(ValueError, match="is not a valid"):
        scoped(read="runs:read")


@pytest.mark.parametrize(
    ("method", "role", "passes"),
    [("get", Role.REVIEWER, True), ("post", Role.REVIEWER, False), ("post", Role.ENGINEER, True)],
)
def test_reading_and_writing_may_need_different_scopes(method: str, role: Role, passes: bool) -> None:
    place = MembershipFactory(role=role)
    request = getattr(APIRequestFactory(), method)("/")
    request.user, request.auth = place.user, None
    view = APIView()
    view.kwargs = {"slug": place.project.slug}
    permission = scoped(read="runs:read", write="runs:write")()
    if passes:
        assert permission.has_permission(request, view) and request.project == place.project
    else:
        with pytest.raises(NotAllowed):
            permission.has_permission(request, view)


def test_for_strangers_the_project_does_not_exist() -> None:
    place = MembershipFactory(role=Role.ADMIN)
    request = APIRequestFactory().get("/")
    request.user, request.auth = UserFactory(), None
    view = APIView()
    view.kwargs = {"slug": place.project.slug}
    with pytest.raises(NotFound):
        scoped("runs:read")().has_permission(request, view)
