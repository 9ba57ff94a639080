"""The registry of checkpoints."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from labeling.projects.models import Project


class Checkpoint(models.Model):
    """Weights in a directory that never changes. `path` is under the artifact root; a base may live elsewhere (or be a hub name)."""

    class Kind(models.TextChoices):
        """What it is for."""

        BASE = "base", _("Base")
        POLICY = "policy", _("Policy")
        REWARD = "reward", _("Reward model")

    class State(models.TextChoices):
        """One policy and one reward model of a project are promoted."""

        CANDIDATE = "candidate", _("Candidate")
        PROMOTED = "promoted", _("Promoted")
        RETIRED = "retired", _("Retired")

    TRANSITIONS = {
        "candidate": {"promoted", "retired"},
        "promoted": {"candidate", "retired"},
        "retired": {"candidate"},
    }

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="checkpoints")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    name = models.CharField(max_length=80)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    reward = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.PROTECT,
        related_name="optimised",
        help_text="What a PPO policy was trained against.",
    )
    path = models.CharField(max_length=500)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    bytes = models.BigIntegerField(default=0)
    metrics = models.JSONField(default=dict)
    state = models.CharField(max_length=9, choices=State.choices, default=State.CANDIDATE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_checkpoint_per_name"),
            models.UniqueConstraint(
                fields=["project", "kind"],
                condition=Q(state="promoted"),
                name="one_promoted_checkpoint_per_kind",
            ),
        ]

    def __str__(self) -> str:
        return self.name
