"""One way to change a state: lock the row, check the table, save, write an event."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models, transaction
from django.utils.translation import gettext as _

from labeling.core import audit
from labeling.core.errors import WrongState

Row = TypeVar("Row", bound=models.Model)


@transaction.atomic
def move(row: Row, *, to: str, by: Any = None, **changes: Any) -> Row:
    """Lock `row`, check that `type(row).TRANSITIONS[state]` allows `to`, set `changes`, save and write an Event.

    The instance passed in is brought up to date too. Raises WrongState, with nothing changed, when the move is not allowed.
    """
    model = type(row)
    locked = model._default_manager.select_for_update(of=("self",)).get(pk=row.pk)
    state = str(locked.state)  # type: ignore[attr-defined]
    if to not in model.TRANSITIONS[state]:  # type: ignore[attr-defined]
        raise refusal(locked, to)
    for name, value in {"state": to, **changes}.items():
        setattr(locked, name, value)
        setattr(row, name, value)
    locked.save(update_fields=["state", *changes])
    audit.record("moved", locked, by=by, before={"state": state}, after={"state": to})
    return locked


def refusal(row: Any, to: str) -> WrongState:
    """The error of a row whose state does not allow the move."""
    labels = dict(row.State.choices)
    said = {"state": str(labels[row.state]).lower(), "to": str(labels[to]).lower()}
    return WrongState(_("This is %(state)s and cannot become %(to)s: reload the page.") % said)
