"""The audit log: one row per thing that somebody or something did."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Event(models.Model):
    """Append-only. `hash` chains each row to the one before it; a sweep seals new rows, so that writers never wait for each other."""

    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    verb = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=60)
    project_id = models.BigIntegerField(null=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    request_id = models.CharField(max_length=32, blank=True)
    at = models.DateTimeField(auto_now_add=True)
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["object_type", "object_id"], name="event_by_object"),
            models.Index(fields=["project_id", "-id"], name="event_by_project"),
            models.Index(fields=["project_id", "verb", "-id"], name="event_by_verb"),
            models.Index(fields=["at"], name="event_by_time"),
            models.Index(fields=["id"], condition=models.Q(hash=""), name="event_unsealed"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.object_type} {self.object_id}"


class ChainCheck(models.Model):
    """How far the chain of events was followed; one row. A sweep goes on from `last`, and begins again at the end."""

    last = models.BigIntegerField(default=0, help_text="The last event whose hash was found right.")
    hash = models.CharField(max_length=64, blank=True)
    broken_at = models.BigIntegerField(
        null=True, help_text="The first event whose hash was wrong, in the newest full look."
    )
    complete_at = models.DateTimeField(null=True, help_text="When the whole chain was last followed to its end.")
    complete_until = models.BigIntegerField(default=0, help_text="The last event of that look.")

    def __str__(self) -> str:
        return f"chain up to {self.last}"
