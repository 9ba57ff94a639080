"""`python manage.py demo`: whole rounds, played by simulated labelers. `make demo` runs it under the services it needs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from labeling.core.errors import LoopError
from labeling.simulation import demo, report
from labeling.simulation.profiles import PROFILES
from labeling.simulation.progress import Display

ENVIRONMENT = """
environment:
  DEMO_SEED     decides seeds of runs and labelers (default 0)
  DEMO_ROUNDS   how many rounds to play (default 1)
  DEMO_PROFILE  demo (the default model) or tiny (a random one, in seconds)

Every call starts a fresh project. Exit code 1: a stage failed, or the new policy is not preferred over its parent.
"""


class Command(BaseCommand):
    help = "Play whole rounds with simulated labelers, show the table and write report.json." + ENVIRONMENT

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, play, tell."""
        began = time.monotonic()
        seed, count = (
            whole_number("DEMO_SEED", 0, low=0, high=2**31 - 1),
            whole_number("DEMO_ROUNDS", 1, low=1, high=50),
        )
        name = os.environ.get("DEMO_PROFILE", "demo")
        if name not in PROFILES:
            raise CommandError(f"DEMO_PROFILE must be one of {', '.join(PROFILES)}, not {name!r}.")
        profile = PROFILES[name]
        display = Display(sys.stdout, stages=demo.stages_of(count))
        try:
            cast = demo.set_up(profile=profile, seed=seed, count=count)
            display.write(
                f"\n{cast.project.name}: {len(cast.labelers)} simulated labelers, profile {profile.name}.\n\n"
            )
            demo.play(cast, profile=profile, seed=seed, count=count, display=display)
        except LoopError as problem:
            display.fail()
            raise CommandError(f"{problem.field}: {problem.detail}" if problem.field else problem.detail) from None
        facts = report.report(project=cast.project, seed=seed, count=count, seconds=time.monotonic() - began)
        path: Path = settings.VAR_DIR / "report.json"
        report.write(path, facts)
        display.write(f"\n{report.table(facts)}\n\n{way_on(path)}\n")
        if not facts["lineage_ok"]:
            raise CommandError("The lineage of the deployed policy does not hold.")
        if profile.model != demo.TINY and not report.is_better(facts):
            raise CommandError("The interval of the win rate does not lie above 0.5: the new policy is not preferred.")


def whole_number(name: str, default: int, *, low: int, high: int) -> int:
    """An environment variable as a whole number; raises CommandError naming it."""
    raw = os.environ.get(name, "").strip() or str(default)
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
        raise CommandError(f"{name} must be a whole number from {low} to {high}, not {raw!r}.")
    return int(raw)


def way_on(path: Path) -> str:
    """Where the report is, and how to see the project in a browser."""
    var, here = settings.VAR_DIR, settings.BASE_DIR
    shown = var.relative_to(here) if var.is_relative_to(here) else var
    report_shown = path.relative_to(here) if path.is_relative_to(here) else path
    return f'Report: {report_shown}\nSee this project in a browser:  make run ARGS="--var {shown}"'
