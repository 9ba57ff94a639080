"""`python manage.py demo_accounts`: one account per role, and a project with something to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from labeling.simulation.accounts import ensure_demo_accounts


class Command(BaseCommand):
    help = "Make one demo account per role where it is missing; print e-mails and passwords."

    def handle(self, *args: Any, **options: Any) -> None:
        """Only on the embedded database: real servers have people of their own."""
        if not settings.EMBEDDED:
            raise CommandError("DATABASE_URL names a server of yours: invite people instead of making demo accounts.")
        for role, email, password in ensure_demo_accounts():
            self.stdout.write(f"{role:<11} {email:<26} {password}")
