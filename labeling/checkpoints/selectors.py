"""Reading the registry."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.checkpoints.models import Checkpoint
from labeling.core.files import artifact_path
from labeling.projects.models import Project

LONGEST_LINE = 200  # generations that a lineage follows


@dataclass(frozen=True)
class Lineage:
    """Where a checkpoint comes from, oldest first, and what came of it."""

    ancestors: list[Checkpoint]
    children: list[Checkpoint]
    optimised: list[Checkpoint]


def base_of(*, project: Project) -> Checkpoint | None:
    """The project's newest base model that is in use; None before any is entered."""
    return (
        Checkpoint.objects.filter(project=project, kind=Checkpoint.Kind.BASE)
        .exclude(state=Checkpoint.State.RETIRED)
        .order_by("-id")
        .first()
    )


def promoted(*, project: Project, kind: str) -> Checkpoint | None:
    """The promoted policy or reward model; None when there is none."""
    return Checkpoint.objects.filter(project=project, kind=kind, state=Checkpoint.State.PROMOTED).first()


def usable(*, project: Project, kinds: tuple[str, ...] = ()) -> models.QuerySet[Checkpoint]:
    """What a run may start from: everything that is not retired, the promoted ones first."""
    found = Checkpoint.objects.filter(project=project).exclude(state=Checkpoint.State.RETIRED)
    found = found.filter(kind__in=kinds) if kinds else found
    promoted_first = models.Case(models.When(state=Checkpoint.State.PROMOTED, then=0), default=1)
    return found.order_by(promoted_first, "-id")


def lineage(*, checkpoint: Checkpoint) -> Lineage:
    """Both ways: parents up to the base, then children and the policies optimised against it."""
    ancestors: list[Checkpoint] = []
    seen, at = {checkpoint.pk}, checkpoint.parent
    while at is not None and at.pk not in seen and len(ancestors) < LONGEST_LINE:
        ancestors.append(at)
        seen.add(at.pk)
        at = at.parent
    return Lineage(
        ancestors=ancestors[::-1],
        children=list(checkpoint.children.order_by("id")),
        optimised=list(checkpoint.optimised.order_by("id")),
    )


def location(*, checkpoint: Checkpoint) -> str:
    """What a run opens: an absolute directory, or a hub name."""
    if checkpoint.kind == Checkpoint.Kind.BASE:
        return checkpoint.path
    return str(artifact_path(checkpoint.path))


def why_not_retire(*, checkpoint: Checkpoint) -> str:
    """What stands against retiring it, as a sentence; "" when nothing does."""
    if checkpoint.state == Checkpoint.State.PROMOTED:
        return _("%(name)s is promoted: promote another one first.") % {"name": checkpoint.name}
    waiting = checkpoint.used_by.exclude(run__state__in=("succeeded", "failed", "cancelled")).count()
    if waiting:
        return ngettext(
            "%(n)d run that is not over reads it: stop it or wait for its end.",
            "%(n)d runs that are not over read it: stop them or wait for their end.",
            waiting,
        ) % {"n": waiting}
    unfinished = (
        checkpoint.completions.filter(comparisons__task__state__in=("open", "paused"))
        .values("comparisons__task")
        .distinct()
        .count()
    )
    if unfinished:
        return ngettext(
            "%(n)d comparison task that is not done shows its completions: finish or withdraw it first.",
            "%(n)d comparison tasks that are not done show its completions: finish or withdraw them first.",
            unfinished,
        ) % {"n": unfinished}
    return ""
