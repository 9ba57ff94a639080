"""Completions, comparisons of K of them, and what labelers made of those."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from labeling.assignments.models import Slot, Task
from labeling.checkpoints.models import Checkpoint
from labeling.projects.flags import Flag, PromptFlag
from labeling.projects.models import Guideline, Project
from labeling.prompts.models import Prompt


class Strength(models.IntegerChoices):
    """How much better the better of two is (Llama 2); becomes the reward margin."""

    NEGLIGIBLE = 0, _("Negligibly better or unsure")
    SLIGHT = 1, _("Slightly better")
    BETTER = 2, _("Better")
    SIGNIFICANT = 3, _("Significantly better")


class Completion(models.Model):
    """One text a policy gave to a prompt, with the sampler that produced it. Immutable."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="completions")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="completions")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="completions")
    source_run = models.UUIDField(null=True, help_text="The sample run that produced it.")
    source_id = models.CharField(max_length=120, blank=True, help_text="Its id in that run's records.")
    text = models.TextField(blank=True)
    finish_reason = models.CharField(max_length=8)
    token_count = models.PositiveIntegerField()
    logprob = models.FloatField(help_text="Nats, summed over the tokens.")
    temperature = models.FloatField()
    top_p = models.FloatField()
    max_new_tokens = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source_run", "source_id"], condition=~Q(source_id=""), name="a_sampled_record_is_stored_once"
            )
        ]
        indexes = [models.Index(fields=["project", "prompt", "checkpoint"], name="completion_lookup")]

    def __str__(self) -> str:
        return f"completion {self.pk}"


class HeldBack(models.Model):
    """A completion that says which model it comes from; a person may still let it be compared."""

    class State(models.TextChoices):
        """Only released ones are compared."""

        HELD = "held", _("Held back")
        RELEASED = "released", _("Released")
        KEPT_OUT = "kept_out", _("Kept out")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        "held": {"released", "kept_out"},
        "released": {"kept_out"},
        "kept_out": {"released"},
    }

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="held_back")
    completion = models.OneToOneField(Completion, on_delete=models.CASCADE, related_name="held_back")
    words = models.CharField(max_length=120, help_text="What gives the model away.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.HELD)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "state", "-id"], name="held_back_lists")]

    def __str__(self) -> str:
        return f"{self.completion_id}: {self.words}"


class Comparison(models.Model):
    """K completions of one prompt, to be ranked."""

    class Purpose(models.TextChoices):
        """Evaluation comparisons stand on held-out prompts and are never trained on."""

        TRAINING = "training", _("Training")
        EVALUATION = "evaluation", _("Evaluation")

    task = models.OneToOneField(Task, on_delete=models.CASCADE, related_name="comparison")
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.TRAINING)
    completions = models.ManyToManyField(Completion, through="ComparisonItem", related_name="comparisons")

    def __str__(self) -> str:
        return f"comparison {self.pk}"


class ComparisonItem(models.Model):
    """One completion's place in a comparison (the stored order, not the shown one)."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="items")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "completion"], name="a_completion_once_per_comparison"),
            models.UniqueConstraint(fields=["comparison", "position"], name="one_completion_per_position"),
        ]

    def __str__(self) -> str:
        return f"{self.completion_id} at {self.position}"


class DisplayOrder(models.Model):
    """The order one labeler saw: place 1 is A."""

    slot = models.ForeignKey(Slot, on_delete=models.CASCADE, related_name="display_order")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    place = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(fields=["slot", "place"], name="one_completion_per_shown_place"),
            models.UniqueConstraint(fields=["slot", "completion"], name="a_completion_is_shown_once"),
        ]

    def __str__(self) -> str:
        return f"{self.completion_id} shown at {self.place}"


class Ranking(models.Model):
    """One labeler's judgement of one comparison. Immutable; an edit inserts a new revision."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rankings")
    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="rankings")
    slot = models.ForeignKey(Slot, null=True, on_delete=models.PROTECT, related_name="rankings")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="rankings")
    guideline = models.ForeignKey(Guideline, null=True, on_delete=models.PROTECT, related_name="+")
    submission = models.UUIDField(unique=True)
    reason = models.TextField(blank=True)
    strength = models.SmallIntegerField(null=True, choices=Strength.choices)
    prompt_flags = ArrayField(models.CharField(max_length=20, choices=PromptFlag.choices), default=list)
    active_seconds = models.PositiveIntegerField(default=0)
    late = models.BooleanField(default=False)
    supersedes = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="superseded_by")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["slot"], condition=Q(supersedes=None, late=False), name="one_ranking_per_slot"
            ),
            models.CheckConstraint(
                condition=Q(late=True) | Q(slot__isnull=False), name="only_late_ranking_has_no_slot"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-id"], name="ranking_lists"),
            models.Index(
                fields=["project", "late", "created_at"],
                condition=Q(supersedes=None),
                include=["labeler", "active_seconds"],
                name="ranking_days",
            ),
        ]

    def __str__(self) -> str:
        return f"ranking {self.pk}"


class RankedItem(models.Model):
    """A completion's place in a ranking: 1 is best; equal places are ties."""

    ranking = models.ForeignKey(Ranking, on_delete=models.CASCADE, related_name="items")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    rank = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["rank", "id"]
        constraints = [
            models.UniqueConstraint(fields=["ranking", "completion"], name="a_completion_is_ranked_once"),
            models.CheckConstraint(condition=Q(rank__gte=1, rank__lte=9), name="rank_from_1_to_9"),
        ]

    def __str__(self) -> str:
        return f"{self.completion_id}: {self.rank}"


class Rating(models.Model):
    """A completion judged on its own: quality 1–7 and flags."""

    ranking = models.ForeignKey(Ranking, on_delete=models.CASCADE, related_name="ratings")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    quality = models.PositiveSmallIntegerField(null=True)
    flags = ArrayField(models.CharField(max_length=20, choices=Flag.choices), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ranking", "completion"], name="a_completion_is_rated_once"),
            models.CheckConstraint(
                condition=Q(quality=None) | Q(quality__gte=1, quality__lte=7), name="quality_from_1_to_7"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.completion_id}: {self.quality}/7"
