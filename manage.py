#!/usr/bin/env python
"""Django's command line: `python manage.py help`."""

import os
import sys


def choose_data_directory(arguments: list[str]) -> None:
    """`up --var DIR` holds for the settings too (they keep the secret key there), so it is read before they are."""
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for position, argument in enumerate(ours[1:], start=1):
        if argument == "--var" and position + 1 < len(ours):
            os.environ["LOOP_VAR"] = ours[position + 1]
        elif argument.startswith("--var="):
            os.environ["LOOP_VAR"] = argument.removeprefix("--var=")


def main() -> None:
    """Run one management command."""
    if sys.argv[1:2] == ["up"]:
        choose_data_directory(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeling.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
