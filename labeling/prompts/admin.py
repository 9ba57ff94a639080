"""The back door: to look things up."""

from __future__ import annotations

from django.contrib import admin

from labeling.prompts.models import Prompt, PromptImport


@admin.register(Prompt)
class PromptAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Changed only on the project's own pages."""

    list_display = ["summary", "project", "split", "state", "owner_key"]
    list_filter = ["project", "split", "state"]
    search_fields = ["summary", "owner_key"]

    def has_add_permission(self, request: object) -> bool:
        """Imports make prompts."""
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        """No."""
        return False


@admin.register(PromptImport)
class PromptImportAdmin(PromptAdmin):
    """Imports."""

    list_display = ["source", "project", "created_by", "created_at"]
    list_filter = ["project"]
    search_fields = ["source"]
