"""Runs: the row is the truth; brokers and processes come and go (reliability.md JOB-1…14)."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from labeling.checkpoints.models import Checkpoint
from labeling.datasets.models import Snapshot
from labeling.projects.models import Project

LIVE = ("starting", "running", "cancelling")
TERMINAL = ("succeeded", "failed", "cancelled")


class Run(models.Model):
    """One training, sampling or evaluation job."""

    class Kind(models.TextChoices):
        """The names of modules in `training/`."""

        PRETRAIN = "pretrain", _("Pretrain")
        SFT = "sft", _("Supervised fine-tuning")
        SAMPLE = "sample", _("Sampling")
        REWARD = "reward", _("Reward model")
        PPO = "ppo", _("PPO")
        EVALUATE = "evaluate", _("Evaluation")

    class State(models.TextChoices):
        """Terminal is terminal: a trigger refuses to leave succeeded, failed and cancelled."""

        QUEUED = "queued", _("Queued")
        STARTING = "starting", _("Starting")
        RUNNING = "running", _("Running")
        CANCELLING = "cancelling", _("Stopping")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    TRANSITIONS = {
        "queued": {"starting", "cancelled", "failed"},
        "starting": {"running", "queued", "cancelling", "failed", "cancelled"},
        "running": {"succeeded", "queued", "cancelling", "failed", "cancelled"},
        "cancelling": {"cancelled", "succeeded", "failed"},
        "succeeded": set(),
        "failed": set(),
        "cancelled": set(),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=80)
    config = models.JSONField(default=dict)
    seed = models.PositiveBigIntegerField(default=0)
    round_number = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    waiting_for = models.CharField(max_length=200, blank=True, help_text="Why it is still queued.")

    attempt = models.PositiveIntegerField(default=0, help_text="The fencing token: every later write names it.")
    max_attempts = models.PositiveSmallIntegerField(default=3)
    lease_owner = models.CharField(max_length=120, blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    process = models.JSONField(
        default=dict, help_text="host, boot id, pid, start time of the supervisor and its group."
    )
    device = models.CharField(max_length=40, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    step = models.BigIntegerField(default=0)
    progress = models.FloatField(default=0.0, help_text="0 to 1.")
    eta_seconds = models.FloatField(null=True)
    metrics_rows = models.PositiveIntegerField(default=0, help_text="Lines of metrics.jsonl stored so far.")
    latest = models.JSONField(default=dict, help_text="The newest value of every metric.")
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    exit_code = models.IntegerField(null=True)
    output = models.OneToOneField(Checkpoint, null=True, on_delete=models.PROTECT, related_name="run")
    manifest_sha256 = models.CharField(max_length=64, blank=True)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["device"], condition=Q(state__in=LIVE) & ~Q(device=""), name="one_live_run_per_device"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=LIVE) | Q(lease_expires_at__isnull=False, heartbeat_at__isnull=False),
                name="a_live_run_has_a_lease_and_a_heartbeat",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "created_at"], name="run_queue"),
            models.Index(fields=["project", "kind", "-created_at"], name="run_lists"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_live(self) -> bool:
        """A supervisor holds it."""
        return self.state in LIVE

    @property
    def is_over(self) -> bool:
        """It will not change any more."""
        return self.state in TERMINAL

    @property
    def folder(self) -> str:
        """The run directory, relative to the artifact root."""
        return f"runs/{self.pk}"


class RunInput(models.Model):
    """A checkpoint a run reads, by role: policy, reward, reference."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="inputs")
    role = models.CharField(max_length=12)
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.RESTRICT, related_name="used_by")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "role", "checkpoint"], name="an_input_is_named_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.checkpoint}"


class RunData(models.Model):
    """A snapshot a run reads."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="data")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.RESTRICT, related_name="used_by")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "snapshot"], name="a_snapshot_is_read_once")]

    def __str__(self) -> str:
        return str(self.snapshot)


class RunMetric(models.Model):
    """One line of metrics.jsonl. `row` counts lines, so a poll asks for what came after the last it has."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="metrics")
    row = models.PositiveIntegerField()
    step = models.BigIntegerField()
    split = models.CharField(max_length=12, default="train")
    time = models.FloatField(help_text="Unix seconds.")
    values = models.JSONField()

    class Meta:
        ordering = ["row"]
        constraints = [models.UniqueConstraint(fields=["run", "row"], name="one_metric_per_line")]

    def __str__(self) -> str:
        return f"step {self.step} of {self.run_id}"
