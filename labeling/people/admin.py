"""The back door: people can be seen and closed here; they are made by invitations."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin

from labeling.people.models import ApiToken, User

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Loop, back door"


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Passwords are set by their owners only."""

    list_display = ["email", "name", "is_active", "is_staff", "is_simulated", "date_joined"]
    search_fields = ["email", "name"]
    list_filter = ["is_active", "is_staff", "is_simulated"]
    fields = ["email", "name", "is_active", "is_staff", "is_superuser"]
    readonly_fields = ["email"]

    def has_add_permission(self, request: object) -> bool:
        """Accounts come from invitations, the first one from `manage.py createsuperuser`."""
        return False


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """To look at only: the secret is not here."""

    list_display = ["key_id", "name", "user", "expires_at", "last_used_at", "revoked_at"]
    fields = [
        "user",
        "name",
        "key_id",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    readonly_fields = [
        "user",
        "name",
        "key_id",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]

    def has_add_permission(self, request: object) -> bool:
        """Only their owner makes tokens."""
        return False
