"""Screening: what people who qualify first are asked, what they did, and what was decided (Ouyang et al. 2022, B.1)."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from labeling.assignments.models import Slot, Task
from labeling.projects.models import Membership, Project

USER = settings.AUTH_USER_MODEL


class ScreeningRule(models.Model):
    """When somebody passes. The defaults are those of InstructGPT: 75 % agreement on rankings and on flags, 6 of 7 for demonstrations."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="screening_rule")
    min_agreement = models.PositiveSmallIntegerField(default=75, validators=[MaxValueValidator(100)])
    min_flags = models.PositiveSmallIntegerField(default=75, validators=[MaxValueValidator(100)])
    min_grade = models.FloatField(default=6.0, validators=[MinValueValidator(1.0), MaxValueValidator(7.0)])
    question = models.TextField(blank=True)
    decides_alone = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"screening of project {self.project_id}"


class ScreeningItem(models.Model):
    """One thing that everybody who qualifies is asked: a control to rank, or a prompt to answer where `control` is empty."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="screening_items")
    task = models.OneToOneField(Task, on_delete=models.CASCADE, related_name="screening_item")
    control = models.OneToOneField(
        "quality.ControlItem", null=True, on_delete=models.CASCADE, related_name="screening_item"
    )
    is_asked = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"screening item {self.pk}"


class Qualification(models.Model):
    """One person's screening in one project. A decision keeps the figures it rests on; they stay when items change."""

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="qualification")
    answer = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True)
    passed = models.BooleanField(null=True)
    note = models.CharField(max_length=300, blank=True)
    agreement = models.FloatField(
        null=True, help_text="Share of known pairs put in order when it was decided; null: none was asked."
    )
    flagging = models.FloatField(
        null=True,
        help_text="Share of completions of known harm flagged rightly when it was decided; null: none was asked.",
    )
    grade = models.FloatField(
        null=True, help_text="Mean grade of the demonstrations when it was decided, 1 to 7; null: none was graded."
    )
    decided_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(passed=None, decided_at=None) | Q(passed__isnull=False, decided_at__isnull=False),
                name="a_screening_decision_has_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"qualification of {self.membership_id}"


class ScreeningPiece(models.Model):
    """What one person did with one item. Work of such a slot never enters a snapshot."""

    qualification = models.ForeignKey(Qualification, on_delete=models.CASCADE, related_name="pieces")
    item = models.ForeignKey(ScreeningItem, on_delete=models.CASCADE, related_name="pieces")
    slot = models.OneToOneField(Slot, on_delete=models.CASCADE, related_name="screening")
    grade = models.PositiveSmallIntegerField(null=True, help_text="Of a demonstration, 1 to 7.")
    graded_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    graded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["item"]
        constraints = [
            models.UniqueConstraint(fields=["qualification", "item"], name="one_piece_per_person_and_item"),
            models.CheckConstraint(
                condition=Q(grade=None) | Q(grade__gte=1, grade__lte=7, graded_by__isnull=False),
                name="a_grade_is_from_1_to_7_and_has_an_author",
            ),
        ]

    def __str__(self) -> str:
        return f"piece {self.item_id} of {self.qualification_id}"
