"""The back door to snapshots: read only."""

from django.contrib import admin

from labeling.datasets.models import Snapshot


@admin.register(Snapshot)
class SnapshotAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Frozen rows are not edited by hand."""

    list_display = ["name", "project", "kind", "rows", "state", "created_at"]
    list_filter = ["kind", "state"]

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        """Nobody changes a snapshot."""
        return False
