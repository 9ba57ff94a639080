"""Tasks, and one slot for each judgement a task needs (reliability.md DATA-4)."""

from __future__ import annotations

import random
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from labeling.projects.models import Guideline, Project
from labeling.prompts.models import Prompt

USER = settings.AUTH_USER_MODEL
RND_RANGE = 2**31
HIDDEN_PRIORITY = -(2**15)  # a small queue beside the others: only a chosen share of claims is served from it


def random_place() -> int:
    """Where a slot stands in its queue; drawn when it is made, so that claiming never sorts by random (LOAD-1)."""
    return random.randrange(RND_RANGE)


class TaskBatch(models.Model):
    """Tasks created by one decision."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="batches")
    kind = models.CharField(max_length=20)
    title = models.CharField(max_length=120)
    settings = models.JSONField(default=dict)
    round_number = models.PositiveIntegerField(null=True)
    created_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.title


class Task(models.Model):
    """One thing to be judged `overlap` times by different people."""

    class State(models.TextChoices):
        """Paused tasks keep their submitted work and hand out no more; withdrawn ones are gone for good."""

        OPEN = "open", pgettext_lazy("task", "Open")
        PAUSED = "paused", _("Paused")
        DONE = "done", _("Done")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    TRANSITIONS = {
        "open": {"paused", "done", "withdrawn"},
        "paused": {"open", "withdrawn", "done"},
        "done": {"open"},
        "withdrawn": set(),
    }

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks")
    batch = models.ForeignKey(TaskBatch, null=True, on_delete=models.CASCADE, related_name="tasks")
    kind = models.CharField(max_length=20)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="tasks")
    priority = models.SmallIntegerField(default=0, help_text="Higher comes first.")
    overlap = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    round_number = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["project", "kind", "state", "-id"], name="task_lists"),
            models.Index(fields=["project", "round_number"], name="task_rounds"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Slot(models.Model):
    """One needed judgement. `project`, `batch`, `kind` and `priority` repeat the task's: claims and counts read one index each."""

    class State(models.TextChoices):
        """`paused` slots belong to paused tasks."""

        OPEN = "open", pgettext_lazy("task", "Open")
        PAUSED = "paused", _("Paused")
        LEASED = "leased", _("Leased")
        SUBMITTED = "submitted", _("Submitted")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    TRANSITIONS = {
        "open": {"leased", "paused", "withdrawn", "submitted"},
        "paused": {"open", "withdrawn"},
        "leased": {"open", "submitted", "withdrawn", "paused"},
        "submitted": {"leased", "open"},
        "withdrawn": set(),
    }

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="slots")
    batch = models.ForeignKey(
        TaskBatch, null=True, on_delete=models.CASCADE, related_name="slots", db_index=False, help_text="The task's."
    )
    ordinal = models.PositiveSmallIntegerField()
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20)
    priority = models.SmallIntegerField(default=0)
    rnd = models.IntegerField(default=random_place)
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    labeler = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="slots")
    guideline = models.ForeignKey(Guideline, null=True, on_delete=models.PROTECT, related_name="+")
    lease_token = models.UUIDField(null=True)
    leased_at = models.DateTimeField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    draft = models.JSONField(null=True)
    draft_saved_at = models.DateTimeField(null=True)
    active_seconds = models.PositiveIntegerField(default=0)
    submitted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "ordinal"], name="one_slot_per_ordinal"),
            models.UniqueConstraint(fields=["task", "labeler"], name="one_slot_per_task_and_labeler"),
            models.UniqueConstraint(
                fields=["labeler", "project"], condition=Q(state="leased"), name="one_live_lease_per_labeler"
            ),
            models.CheckConstraint(
                condition=~Q(state="leased")
                | Q(labeler__isnull=False, lease_token__isnull=False, lease_expires_at__isnull=False),
                name="a_lease_has_a_holder_a_token_and_an_end",
            ),
            models.CheckConstraint(
                condition=~Q(state="submitted") | Q(labeler__isnull=False, submitted_at__isnull=False),
                name="submitted_work_has_an_author_and_a_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["project", "kind", "-priority", "rnd", "id"], condition=Q(state="open"), name="slot_queue"
            ),
            models.Index(fields=["id"], condition=Q(priority=HIDDEN_PRIORITY), name="slot_hidden"),
            models.Index(fields=["batch", "state"], name="slot_counts"),
            models.Index(
                fields=["project", "submitted_at"],
                include=["labeler", "kind", "state", "priority", "active_seconds"],
                name="slot_pace",
            ),
            models.Index(fields=["lease_expires_at"], condition=Q(state="leased"), name="slot_leases"),
            models.Index(fields=["labeler", "project", "-submitted_at"], name="slot_history"),
        ]

    def __str__(self) -> str:
        return f"slot {self.ordinal} of task {self.task_id}"


class KeptDraft(models.Model):
    """A draft whose slot went to somebody else: nothing typed is ever lost. It also proves that the person once held the task."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="kept_drafts")
    slot = models.ForeignKey(
        Slot, null=True, on_delete=models.CASCADE, related_name="+", help_text="Where it was written."
    )
    labeler = models.ForeignKey(USER, on_delete=models.CASCADE, related_name="kept_drafts")
    draft = models.JSONField()
    leased_at = models.DateTimeField(null=True, help_text="Since when the person had the task.")
    kept_at = models.DateTimeField(auto_now=True)
    late_at = models.DateTimeField(
        null=True, help_text="When it was submitted after all; the task is not offered again."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "labeler"], name="one_kept_draft_per_task_and_labeler")]

    def __str__(self) -> str:
        return f"draft of {self.labeler} for task {self.task_id}"


class Skip(models.Model):
    """A person passed on a task and never sees it again."""

    class Reason(models.TextChoices):
        """Why. Costs nothing."""

        UNCLEAR = "unclear", _("The prompt is unclear")
        OUTSIDE = "outside", _("Outside my knowledge")
        UNSAFE = "unsafe", _("Unsafe for me")
        BROKEN = "broken", _("Broken text")
        PERSONAL = "personal", _("It holds somebody's personal data")
        OTHER = "other", _("Something else")

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="skips")
    labeler = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="skips")
    reason = models.CharField(max_length=8, choices=Reason.choices)
    note = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "labeler"], name="one_skip_per_task_and_labeler")]

    def __str__(self) -> str:
        return f"{self.labeler} skipped task {self.task_id}"


class QueueCursor(models.Model):
    """Where a labeler's search for the next slot goes on (LOAD-2): candidates before it were seen and not eligible."""

    labeler = models.ForeignKey(USER, on_delete=models.CASCADE, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20)
    priority = models.SmallIntegerField()
    rnd = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["labeler", "project", "kind"], name="one_cursor_per_queue")]

    def __str__(self) -> str:
        return f"{self.kind} cursor of {self.labeler_id}"
