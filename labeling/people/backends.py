"""Who may log in."""

from __future__ import annotations

from allauth.account.auth_backends import AuthenticationBackend

from labeling.people.models import User


class PeopleBackend(AuthenticationBackend):  # type: ignore[misc]
    """Active people only; simulated ones never. Django asks at every request, so a deactivated person's sessions die at once."""

    def user_can_authenticate(self, user: User) -> bool:
        """Called at login and for every request of a session."""
        return user.is_active and not user.is_simulated
