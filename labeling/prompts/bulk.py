"""Changes to many prompts at once: counted first, then made in one statement each, with one event that says how many."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from labeling.core import audit
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts.models import Prompt

ACTIONS = {"withdraw": _("Withdraw"), "restore": _("Let in"), "categorise": _("Set the category")}
NEEDED: dict[str, Q] = {
    "withdraw": ~Q(state=Prompt.State.WITHDRAWN),
    "restore": ~Q(state=Prompt.State.ACTIVE),
    "categorise": Q(),
}
MAX_CATEGORY = 60


def affected(rows: QuerySet[Prompt], action: str) -> QuerySet[Prompt]:
    """Those of the rows that the action would change; BadInput for an unknown one."""
    if action not in ACTIONS:
        raise BadInput(_("Choose one of %(ACTIONS)s.") % {"ACTIONS": ", ".join(ACTIONS)}, field="action")
    return rows.filter(NEEDED[action])


def counts(rows: QuerySet[Prompt], action: str) -> dict[str, int]:
    """What the confirmation says: `chosen`, `changed`, `with_tasks`, `personal` (quarantined ones among the changed)."""
    changed = affected(rows, action)
    found = changed.aggregate(changed=Count("pk"), personal=Count("pk", filter=Q(state=Prompt.State.QUARANTINED)))
    with_tasks = changed.filter(tasks__state__in=("open", "paused")).distinct().count() if action == "withdraw" else 0
    return {"chosen": rows.count(), "with_tasks": with_tasks, **found}


@transaction.atomic
def change(*, project: Project, rows: QuerySet[Prompt], action: str, by: User, category: str = "") -> int:
    """Withdraw, let in or categorise what the rows hold now; returns how many prompts changed."""
    ids = list(
        affected(rows.filter(project=project), action).select_for_update(of=("self",)).values_list("pk", flat=True)
    )
    changes = changes_of(action, category)
    changed = Prompt.objects.filter(pk__in=ids).update(**changes)
    if changed:
        first = [str(one) for one in Prompt.objects.filter(pk__in=ids[:20]).values_list("public_id", flat=True)]
        audit.record(f"{action} prompts", project, by=by, after={"prompts": changed, **changes, "first": first})
    return changed


def changes_of(action: str, category: str) -> dict[str, Any]:
    """The new values."""
    if action == "categorise":
        return {"category": checked_category(category)}
    return {"state": (Prompt.State.WITHDRAWN if action == "withdraw" else Prompt.State.ACTIVE).value}


def checked_category(category: str) -> str:
    """The category without surrounding space; BadInput when it is too long."""
    if len(category.strip()) > MAX_CATEGORY:
        raise BadInput(_("A category has at most %(most)s characters.") % {"most": MAX_CATEGORY}, field="category")
    return category.strip()
