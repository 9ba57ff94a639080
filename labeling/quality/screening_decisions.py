"""Screening from the side of admins and reviewers: the rule, the items, grades, and the decision, which is logged."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from labeling.assignments.models import HIDDEN_PRIORITY, Slot, Task
from labeling.core import audit, transitions
from labeling.core.clock import db_now
from labeling.core.errors import BadInput, Conflict, NotAllowed
from labeling.demonstrations.services import create_demonstration_tasks
from labeling.people.models import User
from labeling.projects import services as projects
from labeling.projects.models import Membership, Project
from labeling.prompts.models import Prompt
from labeling.quality import screening_results as results
from labeling.quality.models import ControlItem
from labeling.quality.screening_models import Qualification, ScreeningItem, ScreeningPiece, ScreeningRule

MAX_ITEMS = 50


@transaction.atomic
def save_rule(*, project: Project, is_on: bool, by: User, **said: Any) -> ScreeningRule:
    """Set the rule and whether new contractors are screened; BadInput for turning it on with nothing to ask."""
    if is_on and not results.items(project).exists():
        raise BadInput(
            _("Choose at least one control or prompt first: there is nothing to screen with."), field="is_on"
        )
    rule = results.rule_of(project)
    before = {name: getattr(rule, name) for name in said if getattr(rule, name) != said[name]}
    for name, value in said.items():
        setattr(rule, name, value)
    try:
        rule.full_clean(exclude=["project"])
    except ValidationError as problem:
        field, messages = next(iter(problem.message_dict.items()))
        raise BadInput(messages[0], field=field) from problem
    rule.save()
    audit.record("changed screening", rule, by=by, before=before, after={name: said[name] for name in before})
    projects.update_project(project=project, by=by, requires_screening=is_on)
    return rule


@transaction.atomic
def ask_control(*, control: ControlItem, by: User) -> ScreeningItem:
    """Ask everybody who qualifies to rank this control."""
    task = control.comparison.task
    return ask(project=task.project, task=task, control=control, by=by)


@transaction.atomic
def ask_prompt(*, prompt: Prompt, by: User) -> ScreeningItem:
    """Ask everybody who qualifies to answer this prompt; a reviewer grades what they write."""
    earlier = ScreeningItem.objects.filter(project=prompt.project, control=None, task__prompt=prompt).first()
    if earlier is not None:
        return ask(project=prompt.project, task=earlier.task, control=None, by=by)
    title = _("Screening")
    batch = create_demonstration_tasks(project=prompt.project, prompts=[prompt], by=by, overlap=1, title=title)
    task = batch.tasks.get()
    # Nobody but people who qualify may claim it: the slot of the batch goes, theirs are made when they come.
    Slot.objects.filter(task=task).update(state=Slot.State.WITHDRAWN, priority=HIDDEN_PRIORITY)
    transitions.move(task, to=Task.State.PAUSED, by=by)
    return ask(project=prompt.project, task=task, control=None, by=by)


def ask(*, project: Project, task: Task, control: ControlItem | None, by: User) -> ScreeningItem:
    """Put one item among those that are asked."""
    if results.items(project).count() >= MAX_ITEMS:
        raise Conflict(_("A screening asks at most %(most)d things.") % {"most": MAX_ITEMS})
    item, _created = ScreeningItem.objects.update_or_create(
        task=task, defaults={"project": project, "control": control, "is_asked": True}
    )
    audit.record("asked in screening", item, by=by)
    return item


@transaction.atomic
def ask_no_more(*, item: ScreeningItem, by: User) -> ScreeningItem:
    """Leave an item out from now on; what people did with it stays, and counts no more."""
    if item.project.requires_screening and results.items(item.project).exclude(pk=item.pk).count() == 0:
        raise Conflict(_("It is the last one: switch the screening off first."))
    item.is_asked = False
    item.save(update_fields=["is_asked"])
    audit.record("asked no more in screening", item, by=by)
    return item


@transaction.atomic
def grade(*, piece: ScreeningPiece, grade: int, by: User) -> ScreeningPiece:
    """Grade a demonstration from 1 to 7; grading again replaces the grade until the decision."""
    if not 1 <= grade <= 7:
        raise BadInput(_("A grade is a whole number from 1 to 7."), field="grade")
    place = lock(piece.qualification.membership, by)
    if piece.item.control is not None or not results.is_done(piece, place.user):
        raise Conflict(_("Only submitted demonstrations are graded."))
    before = piece.grade
    piece.grade, piece.graded_by, piece.graded_at = grade, by, db_now()
    piece.save(update_fields=["grade", "graded_by", "graded_at"])
    audit.record("graded", piece, by=by, project_id=place.project_id, before={"grade": before}, after={"grade": grade})
    settle(place)
    return piece


@transaction.atomic
def decide(*, membership: Membership, passed: bool, by: User, note: str = "") -> Qualification:
    """Let somebody work, or not; who does not pass reads the note."""
    note = note.strip()[:300]
    if not passed and not note:
        raise BadInput(_("Write why: the person reads it."), field="note")
    return close(lock(membership, by), passed=passed, by=by, note=note)


def settle(place: Membership) -> None:
    """Pass a locked person by the rule alone, where it may decide and is met. It never turns anybody away."""
    if not results.rule_of(place.project).decides_alone or place.state != Membership.State.QUALIFYING:
        return
    if results.result_of(place).meets:
        close(place, passed=True, by=None, note="")


def lock(membership: Membership, by: User) -> Membership:
    """The membership, locked, of somebody else who is still being screened."""
    rows = Membership.objects.select_for_update(of=("self",)).select_related("project", "user")
    place = rows.get(pk=membership.pk)
    if place.user_id == by.pk:
        raise NotAllowed(_("Somebody else decides about you."))
    if place.state != Membership.State.QUALIFYING:
        raise Conflict(_("The screening of %(person)s is over.") % {"person": place.user})
    return place


def close(place: Membership, *, passed: bool, by: User | None, note: str) -> Qualification:
    """Record the decision with the figures it rests on, and move the membership."""
    result = results.result_of(place)
    qualification, _created = Qualification.objects.get_or_create(membership=place)
    qualification.passed, qualification.note = passed, note
    qualification.agreement, qualification.flagging = result.agreement, result.flagging
    qualification.grade = result.mean_grade
    qualification.decided_by, qualification.decided_at = by, db_now()
    figures = ["agreement", "flagging", "grade"]
    qualification.save(update_fields=["passed", "note", "decided_by", "decided_at", *figures])
    to = Membership.State.ACTIVE if passed else Membership.State.PAUSED
    transitions.move(place, to=to, by=by, **({} if passed else projects.paused_fields(reason=note, by=by)))
    audit.record("passed screening" if passed else "failed screening", place, by=by, after=figures_of(result))
    return qualification


def figures_of(result: results.Result) -> dict[str, Any]:
    """What a decision rests on, for the log: shares from 0 to 1 with three digits, and only what is known."""
    found: dict[str, Any] = {"pieces": f"{result.done}/{result.asked}"}
    if result.agreement is not None:
        found |= {"agreement": round(result.agreement, 3), "pairs": result.pairs}
    if result.flagging is not None:
        found["flagging"] = round(result.flagging, 3)
    if result.grades:
        found["grades"] = ", ".join(map(str, result.grades))
    return found
