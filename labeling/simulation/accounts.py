"""Accounts to try the product with: one person per role, with random passwords kept in a file only we can read."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.conf import settings
from django.db import transaction

from labeling.people.models import Role, User
from labeling.projects import services as projects
from labeling.projects.models import Membership, Project

DOMAIN = "loop.example"
PEOPLE = {
    Role.CONTRACTOR: "Casey Contractor",
    Role.REVIEWER: "Robin Reviewer",
    Role.ADMIN: "Alex Admin",
    Role.ENGINEER: "Eli Engineer",
}
CHANGED = "(changed by its owner)"


def credentials_file() -> Path:
    """Where the passwords are kept."""
    path: Path = settings.VAR_DIR / "credentials.json"
    return path


@transaction.atomic
def demo_people() -> dict[str, User]:
    """The four people by role, made where they are missing; a new password is in the credentials file before the row is."""
    kept = read_passwords()
    people = {}
    for role, name in PEOPLE.items():
        email = f"{role.value}@{DOMAIN}"
        user = User.objects.filter(email=email).first()
        if user is None:
            kept[email] = secrets.token_urlsafe(12)
            user = User.objects.create_user(email, kept[email], name=name, is_staff=role == Role.ADMIN)
        people[role.value] = user
    write_passwords(kept)
    return people


def ensure_demo_accounts() -> list[tuple[str, str, str]]:
    """(role, e-mail, password) of the four people. Where there is no project yet they get one with something to do."""
    from labeling.simulation.starter import starter_project

    people = demo_people()
    if not Project.objects.exists():
        starter_project(people=people)
    kept = read_passwords()
    return [
        (role, user.email, kept[user.email] if still_opens(user, kept) else CHANGED) for role, user in people.items()
    ]


def still_opens(user: User, kept: dict[str, str]) -> bool:
    """Whether the kept password still opens the account."""
    return user.email in kept and user.check_password(kept[user.email])


def join(*, project: Project, people: dict[str, User]) -> None:
    """Make the four people members of a project, each in their role; those who are members already stay as they are."""
    for role, user in people.items():
        if not Membership.objects.filter(project=project, user=user).exists():
            projects.add_member(project=project, user=user, role=role, by=people[Role.ADMIN])


def read_passwords() -> dict[str, str]:
    """What the credentials file says; nothing when there is none."""
    try:
        kept: dict[str, str] = json.loads(credentials_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept


def write_passwords(kept: dict[str, str]) -> None:
    """Replace the credentials file by one that only its owner may read."""
    path = credentials_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump(kept, out, indent=1)
    fresh.replace(path)
