"""`python manage.py up`: the whole stack on this machine, or a command with the services it needs."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from labeling.core.errors import LoopError
from labeling.core.stack import startup

EXAMPLES = """
examples:
  python manage.py up                                     everything; Ctrl-C stops it in order
  python manage.py up --services-only -- pytest -n 2      PostgreSQL and Valkey while the command runs
  python manage.py up --with-workers -- CMD               also the schema, Celery workers and beat
  eval "$(python manage.py up --print-env)"               where the servers answer, for another shell

DATABASE_URL and REDIS_URL, where set, are used as they are; that server is not started.
"""


class Command(BaseCommand):
    help = "Start PostgreSQL, Valkey, migrations, workers, beat and the web server, and stop them in order."
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """The parser, with examples under its help."""
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        """The command line."""
        parser.add_argument(
            "command", nargs="*", metavar="-- CMD", help="run this under the services; its exit code is ours"
        )
        place = parser.add_mutually_exclusive_group()
        place.add_argument("--var", type=Path, default=settings.VAR_DIR, help="data directory (default: %(default)s)")
        place.add_argument(
            "--temporary", action="store_true", help="fresh data in a temporary directory, removed at the end"
        )
        parser.add_argument("--services-only", action="store_true", help="PostgreSQL and Valkey, nothing else")
        parser.add_argument(
            "--with-workers", action="store_true", help="with CMD: migrate and run Celery workers and beat too"
        )
        parser.add_argument("--host", default="127.0.0.1", help="address of the web server (default: %(default)s)")
        parser.add_argument(
            "--port", type=int, default=0, help="port of the web server (default: 8000, or the next free one)"
        )
        parser.add_argument(
            "--web-workers", type=int, default=2, help="processes of the web server (default: %(default)s)"
        )
        parser.add_argument(
            "--demo-accounts", action="store_true", help="make one account per demo role and show its password"
        )
        parser.add_argument("--fast", action="store_true", help="give up durability for speed: for tests only")
        parser.add_argument("--print-env", action="store_true", help="print where the servers of --var answer, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, run, pass the exit code on."""
        chosen = startup.Options(
            var=None if options["temporary"] else options["var"],
            host=options["host"],
            port=options["port"],
            web_workers=options["web_workers"],
            services_only=options["services_only"],
            with_workers=options["with_workers"],
            fast=options["fast"],
            demo_accounts=options["demo_accounts"],
            command=options["command"],
        )
        check(chosen, print_env=options["print_env"])
        try:
            if options["print_env"]:
                print(startup.print_environment(options["var"]))
                return
            code = startup.run(chosen)
        except LoopError as problem:
            raise CommandError(problem.detail) from None
        if code:
            sys.exit(code)


def check(chosen: startup.Options, *, print_env: bool) -> None:
    """Refuse options that contradict each other instead of ignoring one."""
    if chosen.services_only and chosen.with_workers:
        raise CommandError("--services-only and --with-workers contradict each other: give one of them.")
    if chosen.with_workers and not chosen.command:
        raise CommandError("--with-workers needs a command after `--`; without one `up` starts the workers anyway.")
    if chosen.command and not (chosen.services_only or chosen.with_workers):
        raise CommandError("A command needs --services-only or --with-workers before its `--`.")
    if chosen.command and (chosen.port or chosen.demo_accounts):
        raise CommandError("--port and --demo-accounts belong to the web server, which a command does not start.")
    if chosen.services_only and (chosen.port or chosen.demo_accounts):
        raise CommandError("--port and --demo-accounts belong to the web server, which --services-only leaves out.")
    if print_env and (chosen.command or chosen.var is None):
        raise CommandError("--print-env goes with --var alone.")
    if not 0 <= chosen.port <= 65535 or chosen.web_workers < 1:
        raise CommandError("--port must lie between 1 and 65535, --web-workers must be at least 1.")
