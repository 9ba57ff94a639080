"""Projects, memberships, invitations, guidelines."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from labeling.people.models import Role
from labeling.projects.currencies import known_currency
from labeling.projects.flags import Flag, PromptFlag, all_flags, all_prompt_flags

USER = settings.AUTH_USER_MODEL


def between(low: int, high: int) -> list[MinValueValidator | MaxValueValidator]:
    """Validators of a bounded number."""
    return [MinValueValidator(low), MaxValueValidator(high)]


def hourly_amount(help_text: str) -> models.DecimalField[Any, Any]:
    """A column for money per hour, in the project's currency."""
    return models.DecimalField(
        null=True,
        blank=True,
        max_digits=9,
        decimal_places=2,
        validators=between(0, 1_000_000),
        help_text=help_text,
    )


def language_codes() -> ArrayField[Any, Any]:
    """A column for what somebody works in."""
    codes = models.CharField(max_length=12)
    return ArrayField(
        codes, default=list, db_default=[], blank=True, help_text="BCP 47 codes of what the person works in."
    )


class Project(models.Model):
    """One policy, its people and its data. Settings are columns."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    description = models.TextField(blank=True)
    contact = models.CharField(
        max_length=300, blank=True, help_text="How labelers get help; they read it on their page."
    )
    next_work = models.CharField(max_length=300, blank=True, help_text="When more work comes, for when there is none.")
    seed = models.PositiveIntegerField(default=0, help_text="Decides the split of prompts; cannot change later.")
    is_paused = models.BooleanField(default=False, help_text="No new work is handed out.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")

    completions_per_comparison = models.PositiveSmallIntegerField("K", default=4, validators=between(2, 9))
    overlap = models.PositiveSmallIntegerField(default=1, validators=between(1, 20), help_text="Judgements per task.")
    lease_minutes = models.PositiveSmallIntegerField(default=30, validators=between(1, 1440))
    valid_percent = models.PositiveSmallIntegerField(default=5, validators=between(0, 50))
    test_percent = models.PositiveSmallIntegerField(default=20, validators=between(0, 50))
    prompts_per_owner = models.PositiveIntegerField(default=200, validators=between(1, 1_000_000))
    asks_strength = models.BooleanField(default=False, help_text="For K = 2, ask how much better.")
    flags = ArrayField(models.CharField(max_length=20, choices=Flag.choices), default=all_flags, blank=True)
    prompt_flags = ArrayField(
        models.CharField(max_length=20, choices=PromptFlag.choices), default=all_prompt_flags, blank=True
    )
    warned_categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    daily_goal = models.PositiveSmallIntegerField(default=40, validators=between(1, 10_000))

    daily_hours = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=between(1, 24),
        help_text="Active hours a day after which a person gets no new work.",
    )
    break_minutes = models.PositiveSmallIntegerField(
        default=60,
        db_default=60,
        validators=between(0, 480),
        help_text="Active time after which a break is suggested; 0: never.",
    )
    currency = models.CharField(
        max_length=3,
        blank=True,
        db_default="",
        validators=[known_currency],
        help_text="What rates and amounts are in: an ISO 4217 code.",
    )
    living_wage = hourly_amount("Per hour, to compare rates with.")

    requires_screening = models.BooleanField(default=False, help_text="New contractors qualify first.")
    leak_names = models.TextField(
        blank=True, help_text="Names of models or vendors, one a line; completions with one are held back."
    )
    control_percent = models.PositiveSmallIntegerField(default=0, validators=between(0, 50))
    requires_review = models.BooleanField(default=False, help_text="Only accepted work enters a snapshot.")
    review_percent = models.PositiveSmallIntegerField(default=0, validators=between(0, 100))
    review_first = models.PositiveSmallIntegerField(default=0, validators=between(0, 1000))
    review_controls = models.BooleanField(default=True)
    review_flagged = models.BooleanField(default=False)

    autopilot = models.BooleanField(
        default=False, help_text="Rounds go on by themselves when their thresholds are met."
    )
    demonstrations_target = models.PositiveIntegerField(default=64, validators=between(1, 10_000_000))
    comparisons_target = models.PositiveIntegerField(default=96, validators=between(1, 10_000_000))
    evaluation_target = models.PositiveIntegerField(default=48, validators=between(0, 10_000_000))
    min_reward_accuracy = models.FloatField(default=0.5)
    max_kl = models.FloatField(default=50.0, help_text="Nats per answer.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in one project. `labeler_key` is what snapshots call them (PRIV-2)."""

    class State(models.TextChoices):
        """Only `active` people are given work."""

        INVITED = "invited", _("Invited")
        QUALIFYING = "qualifying", _("Qualifying")
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        "invited": {"qualifying", "active"},
        "qualifying": {"active", "paused"},
        "active": {"paused"},
        "paused": {"active"},
    }

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.ACTIVE)
    labeler_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    languages = language_codes()
    paused_reason = models.CharField(max_length=300, blank=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    appeal = models.TextField(blank=True, help_text="What the paused person says to the reason.")
    appealed_at = models.DateTimeField(null=True)
    takes_sensitive = models.BooleanField(
        default=False, db_default=False, help_text="Takes tasks of the project's warned categories."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="one_membership_per_person_and_project")
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role} in {self.project}"


class Invitation(models.Model):
    """A single-use link, hashed, at most 72 hours old (AUTHN-1)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=12, choices=Role.choices)
    languages = language_codes()
    pay_rate = hourly_amount("Per hour of active time, from the day they join.")
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.email} as {self.role}"


class PayRate(models.Model):
    """What an hour of a member's active time pays from a day on, until the next one begins."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="pay_rates")
    rate = hourly_amount("Per hour of active time; empty: none.")
    since = models.DateField(help_text="The first day (UTC) it holds; until the next one.")
    set_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(fields=["membership", "since"], name="one_pay_rate_per_day"),
            models.CheckConstraint(condition=Q(rate=None) | Q(rate__gte=0), name="no_pay_rate_is_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.rate} from {self.since}"


class Guideline(models.Model):
    """One version of a project's instructions. Version 0 is the draft; published ones never change (a trigger holds that)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField(default=0)
    body = models.TextField()
    evaluation = models.TextField(
        blank=True,
        db_default="",
        help_text="What counts instead in final evaluations: Ouyang et al. 2022 put truthfulness and harmlessness first there.",
    )
    published_at = models.DateTimeField(null=True)
    published_by = models.ForeignKey(USER, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="one_guideline_per_version"),
            models.CheckConstraint(
                condition=Q(version=0, published_at=None) | Q(version__gt=0, published_at__isnull=False),
                name="only_the_draft_is_unpublished",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} guideline {self.version or 'draft'}"

    @property
    def whole(self) -> str:
        """All it says, as one Markdown text."""
        heading = _("In final evaluations")
        return f"{self.body}\n\n## {heading}\n\n{self.evaluation}" if self.evaluation else self.body


class Acceptance(models.Model):
    """A person has read and accepted one guideline version."""

    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, related_name="acceptances")
    user = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="acceptances")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["guideline", "user"], name="accept_a_guideline_once")]

    def __str__(self) -> str:
        return f"{self.user} accepted {self.guideline}"


class SavedView(models.Model):
    """Filters of a list under a name that one person gave them."""

    class List(models.TextChoices):
        """The lists whose filters can be kept: the names of their addresses."""

        PROMPTS = "prompts"
        BATCHES = "batches"
        REVIEWS = "reviews"
        PEOPLE = "people"
        AUDIT = "audit"
        LEAKS = "leaks"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(USER, on_delete=models.CASCADE, related_name="+")
    page = models.CharField(max_length=10, choices=List.choices)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, help_text="The query string, without the place in the list.")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "user", "page", "name"], name="one_saved_view_per_name")
        ]

    def __str__(self) -> str:
        return self.name
