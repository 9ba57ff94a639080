"""Comparisons whose ranking is known, reviews of submitted work, scores of reward models, the quality page's stored figures."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Comparison, Completion, Ranking
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Project
from labeling.prompts.models import Prompt
from labeling.quality.screening_models import Qualification, ScreeningItem, ScreeningPiece, ScreeningRule

__all__ = [
    "ControlItem",
    "Qualification",
    "Review",
    "ReviewCursor",
    "ScreeningItem",
    "ScreeningPiece",
    "ScreeningRule",
]

USER = settings.AUTH_USER_MODEL


class ControlItem(models.Model):
    """A comparison whose ranking is known. Labelers meet it among the others and cannot tell it apart."""

    comparison = models.OneToOneField(Comparison, on_delete=models.CASCADE, related_name="control")
    ranks = models.JSONField(help_text="Completion id, as text, to its rank: 1 is best, equal ranks are ties.")
    harmful = ArrayField(
        models.BigIntegerField(),
        null=True,
        help_text="Ids of the completions known to deserve a flag of harm (projects.flags.HARM); null: not known.",
    )
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"control {self.comparison_id}"

    @property
    def known(self) -> dict[int, int]:
        """The known ranks by completion id."""
        return {int(key): rank for key, rank in self.ranks.items()}


class Review(models.Model):
    """One submitted revision that a second person looks at, or has looked at."""

    class State(models.TextChoices):
        """Only waiting reviews can be decided; another revision gets a review of its own."""

        WAITING = "waiting", _("Waiting")
        ACCEPTED = "accepted", _("Accepted")
        RETURNED = "returned", _("Returned")
        REPLACED = "replaced", _("Replaced")

    class Reason(models.TextChoices):
        """Which rule asked for it; the first that fits."""

        REVISED = "revised", _("Revised")
        CONTROL = "control", _("Failed a control")
        FLAGGED = "flagged", _("Flagged")
        NEW_LABELER = "new_labeler", _("New labeler")
        RANDOM = "random", _("Random sample")
        REQUIRED = "required", _("All work is reviewed")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        "waiting": {"accepted", "returned", "replaced"},
        "accepted": {"returned"},
        "returned": {"accepted"},
        "replaced": set(),
    }

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="reviews")
    kind = models.CharField(max_length=20)
    ranking = models.OneToOneField(Ranking, null=True, on_delete=models.CASCADE, related_name="review")
    demonstration = models.OneToOneField(Demonstration, null=True, on_delete=models.CASCADE, related_name="review")
    labeler = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="reviews_of_work")
    author = models.ForeignKey(
        USER,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Whose work it is, also where a reviewer revised it.",
    )
    submitted_at = models.DateTimeField(help_text="When the author first sent the work.")
    reason = models.CharField(max_length=12, choices=Reason.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    note = models.TextField(blank=True, help_text="What the labeler reads.")
    reviewer = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ranking__isnull=False, demonstration=None) | Q(ranking=None, demonstration__isnull=False),
                name="a_review_is_of_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "replaced"]) | Q(reviewer__isnull=False, decided_at__isnull=False),
                name="a_decision_has_an_author_and_a_time",
            ),
            models.CheckConstraint(condition=~Q(state="returned") | ~Q(note=""), name="returned_work_has_a_note"),
        ]
        indexes = [
            models.Index(fields=["project", "state", "-id"], name="review_queue"),
            models.Index(fields=["labeler", "project", "state"], name="review_of_labeler"),
        ]

    def __str__(self) -> str:
        return f"review {self.pk}"

    @property
    def work(self) -> Ranking | Demonstration:
        """What is reviewed."""
        found = self.ranking if self.ranking is not None else self.demonstration
        assert found is not None  # the constraint above
        return found

    @property
    def prompt(self) -> Prompt:
        """What the work answers."""
        work = self.work
        return work.comparison.task.prompt if isinstance(work, Ranking) else work.prompt


class ReviewCursor(models.Model):
    """How far the sampling rules of a project have looked: work up to these ids was considered."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="+")
    last_ranking = models.BigIntegerField(default=0)
    last_demonstration = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"reviews of project {self.project_id}"


class RewardScore(models.Model):
    """What a reward model thinks of a completion it was not trained on."""

    completion = models.ForeignKey(Completion, on_delete=models.CASCADE, related_name="scores")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="scores")
    score = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["completion", "checkpoint"], name="one_score_per_completion_and_checkpoint")
        ]

    def __str__(self) -> str:
        return f"{self.completion_id}: {self.score:.3f}"


class Summary(models.Model):
    """The figures of one project's quality page, computed by the sweep from all its rankings."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="quality_summary")
    figures = models.JSONField()
    basis = models.CharField(
        max_length=200, help_text="Of what it was computed; another basis asks for another summary."
    )
    newest_ranking = models.BigIntegerField(default=0)
    seconds = models.FloatField(help_text="How long it took; the next one waits for ten times as long.")
    computed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"quality of {self.project}"


class WeeklyAgreement(models.Model):
    """One labeler's agreement with all others in one week; `week` is its Monday. What a contractor sees of their own."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    labeler = models.ForeignKey(USER, on_delete=models.CASCADE, related_name="+")
    week = models.DateField()
    agreement = models.FloatField()
    low = models.FloatField()
    high = models.FloatField()
    pairs = models.PositiveIntegerField()

    class Meta:
        ordering = ["week"]
        constraints = [
            models.UniqueConstraint(fields=["project", "labeler", "week"], name="one_agreement_per_labeler_and_week")
        ]

    def __str__(self) -> str:
        return f"{self.labeler_id} in {self.week}: {self.agreement:.3f}"


class Dispute(models.Model):
    """How much the people who ranked one comparison differ: the share of pairs that two of them ordered differently."""

    comparison = models.OneToOneField(Comparison, on_delete=models.CASCADE, related_name="dispute")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    round_number = models.PositiveIntegerField(null=True)
    labelers = models.PositiveSmallIntegerField()
    disagreement = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["project", "-disagreement", "-id"], name="dispute_list")]

    def __str__(self) -> str:
        return f"comparison {self.comparison_id}: {self.disagreement:.2f}"
