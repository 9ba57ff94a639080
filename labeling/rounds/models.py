"""Rounds: where the loop stands."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from labeling.checkpoints.models import Checkpoint
from labeling.datasets.models import Snapshot
from labeling.projects.models import Project
from labeling.runs.models import Run


class Round(models.Model):
    """One turn of the loop. `rounds.services.advance_round` is the flow chart over `state`."""

    class State(models.TextChoices):
        """What the round waits for."""

        DEMONSTRATIONS = "demonstrations", _("Collecting demonstrations")
        SFT = "sft", _("Supervised fine-tuning")
        SAMPLE = "sample", _("Sampling completions")
        COMPARISONS = "comparisons", _("Collecting rankings")
        REWARD = "reward", _("Training the reward model")
        PPO = "ppo", _("PPO")
        NEXT = "next", _("Sampling the new policy for the next round")
        CLOSED = "closed", _("Closed")

    TRANSITIONS = {
        "demonstrations": {"sft", "closed"},
        "sft": {"sample", "demonstrations", "closed"},
        "sample": {"comparisons", "sft", "closed"},
        "comparisons": {"reward", "sample", "closed"},
        "reward": {"ppo", "comparisons", "closed"},
        "ppo": {"next", "reward", "closed"},
        "next": {"closed", "ppo"},
        "closed": set(),
    }

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=14, choices=State.choices, default=State.DEMONSTRATIONS)
    blocked = models.TextField(blank=True, help_text="Why autopilot stopped and what a person can do.")
    configs = models.JSONField(default=dict, help_text="Stage settings of this round that differ from the defaults.")

    policy = models.ForeignKey(
        Checkpoint, null=True, on_delete=models.PROTECT, related_name="+", help_text="What this round starts from."
    )
    reward = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="+")
    new_policy = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT, related_name="+")

    demonstrations_snapshot = models.ForeignKey(Snapshot, null=True, on_delete=models.PROTECT, related_name="+")
    prompts_snapshot = models.ForeignKey(Snapshot, null=True, on_delete=models.PROTECT, related_name="+")
    rankings_snapshot = models.ForeignKey(Snapshot, null=True, on_delete=models.PROTECT, related_name="+")
    heldout_snapshot = models.ForeignKey(Snapshot, null=True, on_delete=models.PROTECT, related_name="+")
    sft_run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="+")
    sample_run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="+")
    reward_run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="+")
    ppo_run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="+")
    next_run = models.ForeignKey(Run, null=True, on_delete=models.PROTECT, related_name="+")

    opened_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_round_per_number"),
            models.UniqueConstraint(
                fields=["project"], condition=~Q(state="closed"), name="one_open_round_per_project"
            ),
        ]

    def __str__(self) -> str:
        return f"round {self.number} of {self.project}"
