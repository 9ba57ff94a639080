"""The back door: to look things up."""

from __future__ import annotations

from django.contrib import admin

from labeling.projects.models import Acceptance, Guideline, Invitation, Membership, Project


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Settings are changed on the project's own page."""

    list_display = ["name", "slug", "is_paused", "created_at"]
    readonly_fields = ["slug", "seed", "created_by"]


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Who belongs where."""

    list_display = ["user", "project", "role", "state"]
    list_filter = ["project", "role", "state"]
    search_fields = ["user__email", "user__name"]
    autocomplete_fields = ["user"]


class LookOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that services alone may write."""

    def has_add_permission(self, request: object) -> bool:
        """No."""
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        """No."""
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        """No."""
        return False


@admin.register(Invitation)
class InvitationAdmin(LookOnly):
    """Invitations; their secret is not here."""

    list_display = ["email", "project", "role", "expires_at", "accepted_at", "revoked_at"]
    fields = ["project", "email", "role", "invited_by", "expires_at", "accepted_by", "accepted_at", "revoked_at"]


@admin.register(Guideline)
class GuidelineAdmin(LookOnly):
    """Versions."""

    list_display = ["project", "version", "published_at", "published_by"]


@admin.register(Acceptance)
class AcceptanceAdmin(LookOnly):
    """Who has accepted what."""

    list_display = ["guideline", "user", "at"]
