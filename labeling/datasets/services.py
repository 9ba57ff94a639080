"""Freezing: which revisions belong to a snapshot is decided at once, in one short statement; files follow (DATA-6)."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.core import audit, broker
from labeling.core.errors import BadInput, Conflict
from labeling.core.kept_words import told
from labeling.core.transitions import move
from labeling.datasets.models import Snapshot
from labeling.datasets.rules import Candidates, candidates, check_rules
from labeling.datasets.write import write_snapshot
from labeling.projects.models import Project


@transaction.atomic
def freeze(
    *,
    project: Project,
    kind: str,
    name: str = "",
    rules: dict[str, Any] | None = None,
    by: Any = None,
    round_number: int | None = None,
    write_now: bool = False,
) -> Snapshot:
    """Fix the members of a new snapshot. Its files are written by a task, or before returning with `write_now`.

    Raises BadInput for unknown rules, Conflict when the name is taken or when the rules leave no row.
    """
    if kind not in Snapshot.Kind.values:
        raise BadInput(_("Choose one of %(values)s.") % {"values": ", ".join(Snapshot.Kind.values)}, field="kind")
    checked = check_rules(kind, rules or {})
    if project.requires_review and kind != Snapshot.Kind.PROMPTS:
        checked["accepted_only"] = True
    name = name.strip() or f"{kind}-{timezone.now():%Y%m%d-%H%M%S}"
    chosen = candidates(project=project, kind=kind, rules=checked)
    try:
        with transaction.atomic():
            snapshot = Snapshot.objects.create(
                project=project,
                kind=kind,
                name=name,
                rules=checked,
                excluded=chosen.excluded,
                round_number=round_number,
                created_by=by,
            )
    except IntegrityError as problem:
        raise Conflict(
            _("There is already a snapshot called %(name)s: choose another name.") % {"name": name}, field="name"
        ) from problem
    snapshot.rows = _insert_members(snapshot, chosen)
    if not snapshot.rows:
        raise Conflict(
            _("These rules leave no row: loosen them, or wait until there is accepted work. Left out: %(excluded)s.")
            % {"excluded": _in_words(chosen.excluded)}
        )
    snapshot.save(update_fields=["rows"])
    audit.record("froze", snapshot, by=by, after={"kind": kind, "rows": snapshot.rows, "rules": checked})
    if write_now:
        return write_snapshot(snapshot_id=snapshot.pk)
    broker.wake("datasets.write", snapshot.pk)
    return snapshot


def _insert_members(snapshot: Snapshot, chosen: Candidates) -> int:
    """One INSERT … SELECT, so that half a million rows hold no long transaction and no memory."""
    column = {"demonstrations": "demonstration_id", "rankings": "ranking_id", "prompts": "prompt_id"}[snapshot.kind]
    sql, params = chosen.rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO datasets_snapshotmember (snapshot_id, ordinal, split, {column}) "
            f"SELECT %s, row_number() OVER (ORDER BY member.id) - 1, member.split, member.id "
            f"FROM ({sql}) AS member (id, split)",
            [snapshot.pk, *params],
        )
        return int(cursor.rowcount)


def _in_words(excluded: dict[str, int]) -> str:
    counted = _("%(count)d %(cause)s")
    said = [counted % {"count": count, "cause": told(cause)} for cause, count in excluded.items() if count]
    return ", ".join(said) or _("nothing")


@transaction.atomic
def retry_writing(*, snapshot: Snapshot, by: Any) -> None:
    """Write the files of a failed snapshot again; its members stay as they were frozen."""
    move(snapshot, to=Snapshot.State.FREEZING, by=by, error="")
    broker.wake("datasets.write", snapshot.pk)
