"""`manage.py supervise_run RUN ATTEMPT`: watch one attempt at a run from its start to its end. Started by runs.launch."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from labeling.runs.supervise import Supervisor


class Command(BaseCommand):
    """Watch one attempt at a run."""

    help = "Watch one attempt at a run from its start to its end. Workers start this; nobody needs to."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The run and the attempt that this process may write for."""
        parser.add_argument("run", type=uuid.UUID)
        parser.add_argument("attempt", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        """Until the attempt is over."""
        Supervisor(options["run"], options["attempt"]).run()
