"""Prompts and the imports that brought them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from labeling.core.kept_words import told
from labeling.projects.models import Project


class PromptImport(models.Model):
    """One upload: what came in and what was made of it. Large ones wait for a worker; their file stays until they are over."""

    class State(models.TextChoices):
        """Failed means that nothing was kept; `report` names the bad lines."""

        QUEUED = "queued", _("In progress")
        DONE = "done", _("Done")
        FAILED = "failed", _("Nothing imported")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {"queued": {"done", "failed"}, "done": set(), "failed": set()}

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompt_imports")
    source = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    report = models.JSONField(default=dict)
    state = models.CharField(max_length=6, choices=State.choices, default=State.DONE)
    upload = models.CharField(max_length=200, blank=True, help_text="The waiting file, under the artifact root.")
    fmt = models.CharField(max_length=5, blank=True)
    language = models.CharField(max_length=8, default="en", help_text="Of whoever asked: bad lines are told in it.")
    lines_read = models.PositiveBigIntegerField(default=0, help_text="While it runs; told outside its transaction.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.source


class Prompt(models.Model):
    """A conversation that ends with the user's turn."""

    class Kind(models.TextChoices):
        """How it was written (InstructGPT, section 3.2)."""

        PLAIN = "plain", _("Plain")
        FEW_SHOT = "few_shot", _("Few-shot")
        USER_BASED = "user_based", _("User-based")

    class Split(models.TextChoices):
        """A pure function of the project's seed and the owner."""

        TRAIN = "train", _("Train")
        VALID = "valid", _("Validation")
        TEST = "test", _("Test")

    class State(models.TextChoices):
        """Only active prompts get tasks; a brief asks labelers to write prompts and is never answered itself."""

        ACTIVE = "active", pgettext_lazy("prompt", "Active")
        QUARANTINED = "quarantined", _("Quarantined")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        BRIEF = "brief", _("Brief")

    TRANSITIONS = {
        "active": {"quarantined", "withdrawn"},
        "quarantined": {"active", "withdrawn"},
        "withdrawn": {"active"},
        "brief": set(),
    }

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompts")
    messages = models.JSONField()
    summary = models.CharField(max_length=200, help_text="The start of the user's last turn, for lists.")
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.PLAIN)
    category = models.CharField(max_length=60, blank=True)
    owner_key = models.CharField(max_length=120, blank=True)
    split = models.CharField(max_length=5, choices=Split.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.ACTIVE)
    content_hash = models.CharField(max_length=64)
    prefix_hash = models.CharField(
        max_length=32, blank=True, help_text="Of a long beginning; equal ones are duplicates."
    )
    metadata = models.JSONField(default=dict)
    personal_data = ArrayField(
        models.CharField(max_length=10), default=list, help_text="Kinds of personal data that hygiene found."
    )
    imported = models.ForeignKey(PromptImport, null=True, on_delete=models.SET_NULL, related_name="prompts")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "content_hash"], name="one_prompt_per_content")]
        indexes = [
            models.Index(fields=["project", "state", "split", "-id"], name="prompt_lists"),
            models.Index(fields=["project", "state", "split"], name="prompt_counts"),
            models.Index(fields=["project", "owner_key"], name="prompt_owner"),
            models.Index(fields=["project", "category", "-id"], name="prompt_category"),
            models.Index(fields=["project", "prefix_hash"], condition=~models.Q(prefix_hash=""), name="prompt_prefix"),
        ]

    def __str__(self) -> str:
        return self.summary

    @property
    def heading(self) -> str:
        """The summary as a page shows it: of a brief that says nothing, in the reader's language."""
        return told(self.summary) if self.state == self.State.BRIEF else self.summary
