"""Handing out work: one statement on the pre-randomised queue (reliability.md DATA-3, LOAD-1, LOAD-2)."""

from __future__ import annotations

import random
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from labeling.assignments import kinds as registry
from labeling.assignments import leases, limits, qualifying
from labeling.assignments.models import HIDDEN_PRIORITY, RND_RANGE, KeptDraft, QueueCursor, Slot
from labeling.core import audit
from labeling.core.errors import NotAllowed
from labeling.people.models import Role, User
from labeling.projects import selectors as projects
from labeling.projects.models import Guideline, Membership, Project

WINDOW = 200  # candidates looked at by one statement
MAX_WINDOWS = 50  # statements one claim may run; the cursor lets the next claim go on from there
HIDDEN_WINDOWS = 3  # of them for the hidden queue, from a random place: over many claims all of it is seen

# Candidates come from the partial index `slot_queue` alone. A slot that another claim has locked is passed over; one
# that was taken meanwhile fails `state = 'open'` when PostgreSQL rechecks the row it locked.
CLAIM = """
WITH candidates AS MATERIALIZED (
    SELECT id, rnd FROM assignments_slot
    WHERE state = 'open' AND project_id = %(project)s AND kind = %(kind)s AND priority = %(priority)s
        AND (rnd, id) > (%(rnd)s, %(id)s) AND rnd < %(until)s
    ORDER BY rnd, id
    LIMIT %(window)s
), chosen AS (
    SELECT slot.id FROM candidates JOIN assignments_slot AS slot ON slot.id = candidates.id
    WHERE slot.state = 'open'
        AND NOT EXISTS (SELECT FROM assignments_slot AS own
            WHERE own.task_id = slot.task_id AND own.labeler_id = %(labeler)s)
        AND NOT EXISTS (SELECT FROM assignments_skip AS skip
            WHERE skip.task_id = slot.task_id AND skip.labeler_id = %(labeler)s)
        AND NOT EXISTS (SELECT FROM assignments_keptdraft AS kept
            WHERE kept.task_id = slot.task_id AND kept.labeler_id = %(labeler)s AND kept.late_at IS NOT NULL)
        AND (SELECT prompt.state <> 'quarantined' AND NOT prompt.category = ANY(%(unwanted)s::text[])
            FROM assignments_task AS task JOIN prompts_prompt AS prompt ON prompt.id = task.prompt_id
            WHERE task.id = slot.task_id)
    ORDER BY candidates.rnd, candidates.id
    LIMIT 1
    FOR UPDATE OF slot SKIP LOCKED
), leased AS (
    UPDATE assignments_slot AS slot
    SET state = 'leased', labeler_id = %(labeler)s, guideline_id = %(guideline)s, lease_token = gen_random_uuid(),
        leased_at = statement_timestamp(), lease_expires_at = statement_timestamp() + make_interval(mins => %(minutes)s),
        draft = NULL, draft_saved_at = NULL, active_seconds = 0
    FROM chosen WHERE slot.id = chosen.id
    RETURNING slot.id, slot.rnd
)
SELECT (SELECT id FROM leased), (SELECT rnd FROM leased), last.rnd, last.id, (SELECT count(*) FROM candidates)
FROM (SELECT 1) AS always LEFT JOIN (SELECT rnd, id FROM candidates ORDER BY rnd DESC, id DESC LIMIT 1) AS last ON true
"""

NEXT_PRIORITY = """
SELECT priority FROM assignments_slot
WHERE state = 'open' AND project_id = %s AND kind = %s AND priority < %s AND priority > %s
ORDER BY priority DESC LIMIT 1
"""


@transaction.atomic
def claim_slot(*, project: Project, labeler: User, kinds: list[str] | None = None) -> Slot | None:
    """Lease one slot to this person, or return the one they already hold; None when nothing here is for them.

    Raises NotAllowed for people who may not work here (now), with `extra["code"]` saying why.
    """
    wanted = [registry.named(name).name for name in kinds] if kinds else registry.names()
    place = check_may_work(project=project, labeler=labeler)
    guideline = projects.current_guideline(project)
    if live := leases.live_lease(project=project, labeler=labeler):
        return leases.renew(live)
    limits.check_hours(project=project, labeler=labeler)
    if place.state == Membership.State.QUALIFYING:
        return qualifying.claim(project, labeler, guideline)
    for kind in wanted:
        if slot_id := search(project=project, labeler=labeler, kind=kind, guideline=guideline):
            slot = Slot.objects.select_related("task__prompt", "project").get(pk=slot_id)
            restore_draft(slot)
            audit.record("leased", slot, by=labeler)
            return slot
    return None


def check_may_work(*, project: Project, labeler: User) -> Membership:
    """Lock this person's membership, so that their claims run one after another; NotAllowed unless they may work now."""
    found = Membership.objects.select_for_update(no_key=True).filter(project=project, user=labeler).first()
    if found is None or found.role != Role.CONTRACTOR:
        raise NotAllowed(_("Only contractors of this project are given work."), code="not_a_contractor")
    is_screened = found.state == Membership.State.QUALIFYING and screens(project)
    if found.state != Membership.State.ACTIVE and not is_screened:
        reason = f" ({found.paused_reason})" if found.paused_reason else ""
        raise NotAllowed(
            _("Your membership is %(state)s%(reason)s: ask an admin of the project.")
            % {"state": found.get_state_display().lower(), "reason": reason},
            code="not_active",
        )
    if Project.objects.filter(pk=project.pk, is_paused=True).exists():
        raise NotAllowed(
            _("The project is paused: no new work is handed out until an admin resumes it."), code="paused"
        )
    if projects.current_guideline(project) is None:
        raise NotAllowed(
            _("The project has no published guideline yet: work starts once an admin publishes one."),
            code="no_guideline",
        )
    if not projects.has_accepted(labeler, project):
        raise NotAllowed(
            _("Read and accept the current guideline first; then work is handed out."), code="guideline_required"
        )
    return found


def screens(project: Project) -> bool:
    """Whether people who qualify are given screening work here."""
    return Project.objects.filter(pk=project.pk, requires_screening=True).exists()


def search(*, project: Project, labeler: User, kind: str, guideline: Guideline | None) -> int | None:
    """Lease the first eligible slot, highest priority first; within a priority from this person's cursor on and around."""
    cursor = QueueCursor.objects.filter(labeler=labeler, project=project, kind=kind).first()
    values = {
        "project": project.pk,
        "kind": kind,
        "labeler": labeler.pk,
        "guideline": guideline.pk if guideline else None,
        "minutes": project.lease_minutes,
        "window": WINDOW,
        "unwanted": projects.unwanted_categories(project=project, user=labeler),
    }
    windows = 0
    priority = next_priority(project=project, kind=kind, below=2**15)
    asks_control = priority is not None and random.random() * 100 < project.control_percent
    if asks_control and (hidden_id := search_hidden(values)):
        return hidden_id
    while priority is not None:
        start = cursor.rnd if cursor and cursor.priority == priority else 0
        for rnd, until in ((start, RND_RANGE), (0, start)):
            place = (rnd, -1)
            while windows < MAX_WINDOWS:
                windows += 1
                where = {"priority": priority, "rnd": place[0], "id": place[1], "until": until}
                slot_id, found_rnd, last_rnd, last_id, seen = run(CLAIM, {**values, **where})
                if slot_id:
                    move_cursor(labeler=labeler, project=project, kind=kind, priority=priority, rnd=found_rnd)
                    return int(slot_id)
                if seen < WINDOW:
                    break
                place = (last_rnd, last_id)
            else:
                move_cursor(labeler=labeler, project=project, kind=kind, priority=priority, rnd=place[0])
                return None
        priority = next_priority(project=project, kind=kind, below=priority)
    return None


def search_hidden(values: dict[str, Any]) -> int | None:
    """Lease an eligible slot of the hidden queue, looking at HIDDEN_WINDOWS windows from a random place on and around.

    Many of its slots may be of controls that this person has ranked already.
    """
    start, left = random.randrange(RND_RANGE), HIDDEN_WINDOWS
    for rnd, until in ((start, RND_RANGE), (0, start)):
        place = (rnd, -1)
        while left:
            left -= 1
            where = {"priority": HIDDEN_PRIORITY, "rnd": place[0], "id": place[1], "until": until}
            slot_id, _found, last_rnd, last_id, seen = run(CLAIM, {**values, **where})
            if slot_id:
                return int(slot_id)
            if seen < WINDOW:
                break
            place = (last_rnd, last_id)
    return None


def run(sql: str, values: Any) -> tuple[Any, ...]:
    """The only row of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row: tuple[Any, ...] = cursor.fetchone()
    return row


def next_priority(*, project: Project, kind: str, below: int) -> int | None:
    """The highest priority under `below` that has open slots."""
    row = run(NEXT_PRIORITY, [project.pk, kind, below, HIDDEN_PRIORITY])
    return row[0] if row else None


def move_cursor(*, labeler: User, project: Project, kind: str, priority: int, rnd: int) -> None:
    """Remember where the search goes on."""
    QueueCursor.objects.bulk_create(
        [QueueCursor(labeler=labeler, project=project, kind=kind, priority=priority, rnd=rnd)],
        update_conflicts=True,
        unique_fields=["labeler", "project", "kind"],
        update_fields=["priority", "rnd"],
    )


def restore_draft(slot: Slot) -> None:
    """Give back what this person had written when they lost the task earlier."""
    kept = (
        KeptDraft.objects.select_related("slot")
        .filter(task_id=slot.task_id, labeler_id=slot.labeler_id, late_at=None)
        .first()
    )
    if kept is None:
        return
    draft = kept.draft if kept.slot_id == slot.pk else registry.named(slot.kind).carry(kept.draft, kept.slot, slot)
    slot.draft, slot.draft_saved_at = draft, kept.kept_at
    slot.save(update_fields=["draft", "draft_saved_at"])
    kept.delete()
