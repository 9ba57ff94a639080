"""Demonstrations: immutable; an edit inserts a new revision."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from labeling.assignments.models import Slot, Task
from labeling.projects.flags import PromptFlag
from labeling.projects.models import Guideline, Project
from labeling.prompts.models import Prompt

KIND = "demonstration"
OWN_KIND = "own_prompt"


class Demonstration(models.Model):
    """An ideal answer to a prompt. `late` work came after its slot went to somebody else: kept, never trained on unseen."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="demonstrations")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="demonstrations")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="demonstrations")
    slot = models.ForeignKey(Slot, null=True, on_delete=models.PROTECT, related_name="demonstrations")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="demonstrations")
    guideline = models.ForeignKey(Guideline, null=True, on_delete=models.PROTECT, related_name="+")
    submission = models.UUIDField(unique=True)
    text = models.TextField()
    prompt_flags = ArrayField(models.CharField(max_length=20, choices=PromptFlag.choices), default=list)
    active_seconds = models.PositiveIntegerField(default=0)
    late = models.BooleanField(default=False)
    supersedes = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="superseded_by")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["slot"], condition=Q(supersedes=None, late=False), name="one_demonstration_per_slot"
            ),
            models.CheckConstraint(condition=Q(late=True) | Q(slot__isnull=False), name="only_late_work_has_no_slot"),
            models.CheckConstraint(condition=~Q(text=""), name="a_demonstration_is_not_empty"),
        ]
        indexes = [
            models.Index(fields=["project", "-id"], name="demonstration_lists"),
            models.Index(
                fields=["project", "late", "created_at"],
                condition=Q(supersedes=None),
                include=["labeler", "active_seconds"],
                name="demonstration_days",
            ),
        ]

    def __str__(self) -> str:
        return f"demonstration {self.pk}"
