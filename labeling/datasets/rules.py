"""Which rows a snapshot may hold, and why the others are left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as _

from labeling.assignments.models import HIDDEN_PRIORITY
from labeling.comparisons.models import Comparison, Ranking
from labeling.core.errors import BadInput
from labeling.datasets import kept_words as causes
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Membership, Project
from labeling.prompts.models import Prompt
from labeling.quality.review_selectors import ACCEPTED, REGULAR, RETURNED

SPLITS = tuple(Prompt.Split.values)
OF_WORK = {"round_number", "guideline_version", "accepted_only", "without_labelers"}
ALLOWED = {
    "demonstrations": {*OF_WORK, "splits", "limit", "categories"},
    "rankings": {*OF_WORK, "splits", "limit", "categories", "purpose"},
    "prompts": {"splits", "limit", "categories"},
}
DEFAULT_SPLITS = {"demonstrations": ["train", "valid"], "rankings": ["train", "valid"], "prompts": ["train"]}


@dataclass(frozen=True)
class Candidates:
    """`rows` selects (id, split) of the members; `excluded` counts what was left out, by cause."""

    rows: models.QuerySet[Any, Any]
    excluded: dict[str, int]


def check_rules(kind: str, rules: dict[str, Any]) -> dict[str, Any]:
    """Fill in the defaults; raises BadInput naming the rule that is unknown or wrong."""
    for key in rules:
        if key not in ALLOWED[kind]:
            raise BadInput(
                _("A snapshot of %(kind)s knows the rules %(kind2)s.")
                % {"kind": kind, "kind2": ", ".join(sorted(ALLOWED[kind]))},
                field=key,
            )
    checked = {
        "splits": DEFAULT_SPLITS[kind],
        **{key: value for key, value in rules.items() if value not in (None, "", [])},
    }
    if kind == "rankings":
        checked.setdefault("purpose", Comparison.Purpose.TRAINING.value)
        if checked["purpose"] not in Comparison.Purpose.values:
            raise BadInput(
                _("Choose one of %(values)s.") % {"values": ", ".join(Comparison.Purpose.values)}, field="purpose"
            )
        if checked["purpose"] == Comparison.Purpose.EVALUATION and "splits" not in rules:
            checked["splits"] = list(SPLITS)
    for key in ("round_number", "guideline_version", "limit"):
        value = checked.get(key)
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or value < (key != "round_number")
        ):
            raise BadInput(_("Must be a whole number of at least 1."), field=key)
    if not isinstance(checked.get("accepted_only", False), bool):
        raise BadInput(_("Must be true or false."), field="accepted_only")
    for key in ("splits", "categories", "without_labelers"):
        value = checked.get(key)
        if value is not None and (not isinstance(value, list) or not all(isinstance(item, str) for item in value)):
            raise BadInput(_("Must be a list of words."), field=key)
    if unknown := sorted(set(checked["splits"]) - set(SPLITS)):
        raise BadInput(
            _("There is no split %(unknown)s: choose from %(SPLITS)s.")
            % {"unknown": unknown[0], "SPLITS": ", ".join(SPLITS)},
            field="splits",
        )
    return checked


def candidates(*, project: Project, kind: str, rules: dict[str, Any]) -> Candidates:
    """The rows of `project` that the checked `rules` let in, in order of age."""
    if kind == "prompts":
        return _prompts(project, rules)
    if kind == "demonstrations":
        rows: models.QuerySet[Any] = Demonstration.objects.filter(project=project)
        prompt, task = "prompt", "task"
    else:
        rows = Ranking.objects.filter(project=project)
        prompt, task = "comparison__task__prompt", "comparison__task"
    steps: list[tuple[str, Q]] = [
        (causes.REPLACED, Q(superseded_by=None)),
        (causes.LATE, Q(late=False)),
        (causes.WITHDRAWN, ~Q(**{f"{task}__state": "withdrawn"}) & ~Q(**{f"{prompt}__state": Prompt.State.WITHDRAWN})),
    ]
    steps.append((causes.QUARANTINED, ~Q(**{f"{prompt}__state": Prompt.State.QUARANTINED})))
    steps.append((causes.RETURNED, ~RETURNED))
    steps.append((causes.TO_QUALIFY, REGULAR))
    if rules.get("accepted_only"):
        steps.append((causes.NOT_ACCEPTED, ACCEPTED))
    if kind == "rankings":
        steps.append((causes.HIDDEN, ~Q(slot__priority=HIDDEN_PRIORITY)))
        steps.append((causes.OTHER_PURPOSE, Q(comparison__purpose=rules["purpose"])))
    if "without_labelers" in rules:
        steps.append((causes.LEFT_OUT, ~Q(labeler__in=people_of(project, rules["without_labelers"]))))
    steps.append((causes.OTHER_SPLIT, Q(**{f"{prompt}__split__in": rules["splits"]})))
    if "round_number" in rules:
        steps.append((causes.OTHER_ROUND, Q(**{f"{task}__round_number": rules["round_number"]})))
    if "guideline_version" in rules:
        steps.append((causes.OTHER_GUIDELINE, Q(guideline__version=rules["guideline_version"])))
    if "categories" in rules:
        steps.append((causes.OTHER_CATEGORY, Q(**{f"{prompt}__category__in": rules["categories"]})))
    return _narrow(rows, steps, split=f"{prompt}__split", limit=rules.get("limit"))


def people_of(project: Project, keys: list[str]) -> list[int]:
    """The people whom snapshots call by these keys (IN-5, PRIV-2); BadInput naming the first that nobody here has."""
    places = Membership.objects.filter(project=project)
    known = {str(key): user for key, user in places.values_list("labeler_key", "user_id")}
    if strange := [key for key in keys if key not in known]:
        raise BadInput(
            _("Nobody in this project has the labeler key %(key)s.") % {"key": strange[0]}, field="without_labelers"
        )
    return [known[key] for key in keys]


def _prompts(project: Project, rules: dict[str, Any]) -> Candidates:
    steps = [
        (causes.NOT_ACTIVE, Q(state=Prompt.State.ACTIVE)),
        (causes.OTHER_SPLIT, Q(split__in=rules["splits"])),
    ]
    if "categories" in rules:
        steps.append((causes.OTHER_CATEGORY, Q(category__in=rules["categories"])))
    return _narrow(
        Prompt.objects.filter(project=project).exclude(state=Prompt.State.BRIEF),
        steps,
        split="split",
        limit=rules.get("limit"),
    )


def _narrow(rows: models.QuerySet[Any], steps: list[tuple[str, Q]], *, split: str, limit: int | None) -> Candidates:
    """Apply the steps one after the other, counting what each one leaves out."""
    excluded: dict[str, int] = {}
    left = rows.count()
    for cause, condition in steps:
        rows = rows.filter(condition)
        kept = rows.count()
        if kept < left:
            excluded[cause] = left - kept
        left = kept
    if limit is not None and left > limit:
        excluded[causes.OVER_LIMIT] = left - limit
    chosen = rows.order_by("id").annotate(member_split=F(split)).values_list("id", "member_split")
    return Candidates(chosen[:limit] if limit is not None else chosen, excluded)
