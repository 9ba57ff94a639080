"""Snapshots: frozen rows whose files can be rebuilt byte for byte."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from labeling.comparisons.models import Ranking
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Project
from labeling.prompts.models import Prompt


class Snapshot(models.Model):
    """A frozen set of revisions. The rows decide; the files under `path` are a rendering of them."""

    class Kind(models.TextChoices):
        """What the rows are; the names of record kinds in training/contracts.py."""

        DEMONSTRATIONS = "demonstrations", _("Demonstrations")
        RANKINGS = "rankings", _("Rankings")
        PROMPTS = "prompts", _("Prompts")

    class State(models.TextChoices):
        """Members are frozen at once; files are written by a task."""

        FREEZING = "freezing", _("Writing files")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    TRANSITIONS = {"freezing": {"ready", "failed"}, "ready": set(), "failed": {"freezing"}}

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="snapshots")
    kind = models.CharField(max_length=14, choices=Kind.choices)
    name = models.CharField(max_length=80)
    rules = models.JSONField(default=dict)
    rows = models.PositiveIntegerField(default=0)
    excluded = models.JSONField(default=dict, help_text="Rows left out, counted by cause.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.FREEZING)
    path = models.CharField(max_length=300, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    files = models.JSONField(default=list)
    error = models.TextField(blank=True)
    round_number = models.PositiveIntegerField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_snapshot_per_name")]

    def __str__(self) -> str:
        return self.name


class SnapshotMember(models.Model):
    """One row of a snapshot. What it points at can no longer be deleted."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="members")
    ordinal = models.PositiveIntegerField()
    split = models.CharField(max_length=5)
    demonstration = models.ForeignKey(Demonstration, null=True, on_delete=models.RESTRICT, related_name="snapshots")
    ranking = models.ForeignKey(Ranking, null=True, on_delete=models.RESTRICT, related_name="snapshots")
    prompt = models.ForeignKey(Prompt, null=True, on_delete=models.RESTRICT, related_name="snapshots")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "ordinal"], name="one_member_per_ordinal"),
            models.CheckConstraint(
                condition=Q(demonstration__isnull=False, ranking=None, prompt=None)
                | Q(demonstration=None, ranking__isnull=False, prompt=None)
                | Q(demonstration=None, ranking=None, prompt__isnull=False),
                name="a_member_is_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.ordinal} of {self.snapshot_id}"
