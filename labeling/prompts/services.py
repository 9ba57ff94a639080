"""Writes: importing prompts, withdrawing and restoring them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.core import audit, transitions
from labeling.core.errors import BadInput
from labeling.people.models import Role, User
from labeling.projects import selectors as projects
from labeling.projects.models import Project
from labeling.prompts.importing import MAX_ERRORS, Importer
from labeling.prompts.models import Prompt, PromptImport

FORMATS = ("jsonl", "csv", "objects")


@transaction.atomic
def import_prompts(*, project: Project, lines: Iterable[Any], fmt: str, by: User | None, source: str) -> PromptImport:
    """Import every line or none. The report counts what came in and what was left out, and why.

    `fmt`: jsonl or csv over lines (str or bytes), objects over dicts. `by` None means the product itself.
    Raises BadInput with `.extra["errors"]`, a list of {line, field, detail}; nothing is kept then.
    """
    if fmt not in FORMATS:
        raise BadInput(_("There is no format %(fmt)s; choose jsonl or csv.") % {"fmt": fmt}, field="format")
    batch = PromptImport(project=project, source=source[:200], sha256="", created_by=by)
    return fill(batch, lines=lines, fmt=fmt)


@transaction.atomic
def fill(
    batch: PromptImport, *, lines: Iterable[Any], fmt: str, tell: Callable[[int], None] | None = None
) -> PromptImport:
    """Read the lines into this import, all or none; `tell` hears how many lines were read. Raises BadInput as above."""
    project = Project.objects.select_for_update().get(pk=batch.project_id)  # one import at a time: caps and splits hold
    by = batch.created_by
    place = projects.membership(by, project) if by else None
    if batch.pk is None:
        batch.save()
    may_set_split = by is None or (place is not None and place.role == Role.ADMIN)
    importer = Importer(project, batch, may_set_split=may_set_split, tell=tell)
    importer.read(lines, fmt)
    if importer.errors:
        raise refusal(importer)
    report = importer.report()
    if not report["rows"]:
        raise BadInput(_("There is no prompt in it: give at least one."), field="prompts")
    batch.report, batch.state = report, PromptImport.State.DONE
    batch.save(update_fields=["report", "sha256", "state"])
    audit.record("imported prompts", batch, by=by, after={"sha256": batch.sha256, **report})
    return batch


def refusal(importer: Importer) -> BadInput:
    """The error with every bad line."""
    count = importer.error_count
    said = {"n": f"{count:,}", "listed": MAX_ERRORS}
    if count > MAX_ERRORS:
        detail = _("%(n)s lines are wrong, so nothing was imported. The first %(listed)d are listed.") % said
    else:
        wrong = ngettext(
            "One line is wrong, so nothing was imported.", "%(n)s lines are wrong, so nothing was imported.", count
        )
        detail = wrong % said
    return BadInput(detail, field="prompts", errors=importer.errors, error_count=count)


def withdraw_prompt(*, prompt: Prompt, by: User) -> Prompt:
    """Take a prompt out: it gets no new tasks. Raises WrongState when it is out already."""
    return transitions.move(prompt, to=Prompt.State.WITHDRAWN, by=by)


def restore_prompt(*, prompt: Prompt, by: User) -> Prompt:
    """Let a withdrawn or quarantined prompt get tasks: a person has looked at it."""
    return transitions.move(prompt, to=Prompt.State.ACTIVE, by=by)
