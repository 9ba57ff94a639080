"""Users and their API tokens."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person does in one project."""

    CONTRACTOR = "contractor", _("Contractor")
    REVIEWER = "reviewer", _("Reviewer")
    ENGINEER = "engineer", _("Engineer")
    ADMIN = "admin", _("Admin")


class Language(models.TextChoices):
    """The languages of the interface, each in its own words; the values are Django's language codes."""

    ENGLISH = "en", "English"
    SIMPLIFIED_CHINESE = "zh-hans", "简体中文"


class UserManager(BaseUserManager["User"]):
    """People are found by e-mail, whatever its case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person who can log in once a password is set."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person who may do everything, the back door included."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """Kept in lower case throughout: nobody tells people apart by the case of an address."""
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        """Case-insensitive."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Roles are per project (projects.Membership); `is_staff` may create projects and use the back door."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(max_length=254)
    name = models.CharField(max_length=120, blank=True)
    language = models.CharField(
        max_length=7, blank=True, choices=Language.choices, help_text="Empty: the browser's language."
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("platform admin", default=False)
    is_simulated = models.BooleanField(default=False, help_text="Made of code: cannot log in.")
    date_joined = models.DateTimeField(auto_now_add=True)
    erased_at = models.DateTimeField(null=True, editable=False, help_text="Since when nobody knows who this was.")

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[misc]

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_user_per_email")]

    def __str__(self) -> str:
        if self.erased_at is not None:
            return gettext("Erased person %(key)s") % {"key": self.public_id.hex[:4]}
        return self.name or self.email

    @property
    def initials(self) -> str:
        """Two letters for the avatar."""
        parts = (self.name or self.email.split("@")[0]).replace(".", " ").split()
        return "".join(part[0] for part in parts[:2]).upper() or "?"


class ApiToken(models.Model):
    """A hashed, scoped, expiring key for programs (reliability.md AUTHN-7). The secret is shown once and never stored."""

    class Scope(models.TextChoices):
        """What a token may do; the person's roles still apply."""

        PROMPTS_WRITE = "prompts:write", _("Import prompts")
        TASKS_READ = "tasks:read", _("Read prompts and tasks")
        TASKS_WRITE = "tasks:write", _("Create tasks")
        DATASETS_READ = "datasets:read", _("Read and download snapshots")
        DATASETS_WRITE = "datasets:write", _("Freeze snapshots")
        RUNS_READ = "runs:read", _("Read runs, metrics and checkpoints")
        RUNS_WRITE = "runs:write", _("Start and cancel runs, promote checkpoints")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    key_id = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=30, choices=Scope.choices), default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.key_id})"
