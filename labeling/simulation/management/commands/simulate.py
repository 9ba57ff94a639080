"""`python manage.py simulate PROJECT`: labelers made of code do the project's open work."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from labeling.core.errors import LoopError
from labeling.projects.models import Project
from labeling.simulation.labelers import Temperament, check_temperament, work_through
from labeling.simulation.seeding import simulated_labelers


class Command(BaseCommand):
    help = "Let simulated labelers do the open work of a project, through the services people use."

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        usual = Temperament()
        parser.add_argument("project", help="the project's slug")
        parser.add_argument("--labelers", type=int, default=5, help="how many labelers (default: %(default)s)")
        amount = parser.add_mutually_exclusive_group(required=True)
        amount.add_argument("--until-empty", action="store_true", help="go on until nothing is left")
        amount.add_argument("--limit", type=int, help="stop after so many pieces of work")
        parser.add_argument("--kind", choices=["demonstration", "comparison"], help="only this kind of work")
        parser.add_argument(
            "--noise", type=float, default=usual.noise, help="scale of the noise (default: %(default)s)"
        )
        parser.add_argument(
            "--tie", type=float, default=usual.tie, help="closer than this is a tie (default: %(default)s)"
        )
        parser.add_argument("--per-minute", type=float, default=0.0, help="pace of each; 0 = as fast as it goes")
        parser.add_argument("--disagreement", type=float, default=usual.disagreement, help="spread of own weights")
        parser.add_argument("--carelessness", type=float, default=0.0, help="share of rankings drawn by lot")
        parser.add_argument("--seed", type=int, default=0, help="seed of the labelers (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, work, say how much was done."""
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.values_list("slug", flat=True)[:20]) or "none yet"
            raise CommandError(f"There is no project {options['project']}; there are: {known}.")
        if options["labelers"] < 1:
            raise CommandError("--labelers must be at least 1.")
        if options["limit"] is not None and options["limit"] < 1:
            raise CommandError("--limit must be at least 1.")
        settings = ("noise", "tie", "per_minute", "disagreement", "carelessness")
        try:
            temperament = check_temperament(Temperament(**{name: options[name] for name in settings}))
            labelers = simulated_labelers(
                project=project, temperaments=[temperament] * options["labelers"], by=None, seed=options["seed"]
            )
            done = work_through(
                project=project,
                labelers=labelers,
                kinds=[options["kind"]] if options["kind"] else None,
                limit=options["limit"],
            )
        except LoopError as problem:
            raise CommandError(f"{problem.field}: {problem.detail}" if problem.field else problem.detail) from None
        self.stdout.write(f"{len(labelers)} simulated labelers did {done} pieces of work in {project.name}.")
