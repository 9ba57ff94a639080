"""Writing the registry: register, promote, retire."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.checkpoints import selectors
from labeling.checkpoints.models import Checkpoint
from labeling.core import audit, transitions
from labeling.core.errors import BadInput, WrongState
from labeling.people.models import User
from labeling.projects.models import Project

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
NAME_LENGTH = 80


@transaction.atomic
def register_base(*, project: Project, path: str, name: str, by: User | None = None) -> Checkpoint:
    """Enter a base model: a transformers directory on this host, or a hub name. The same path again gives the same row."""
    if earlier := Checkpoint.objects.filter(project=project, kind=Checkpoint.Kind.BASE, path=str(path)).first():
        return earlier
    folder = Path(path)
    manifest, size = "", 0
    if folder.is_absolute() or folder.is_dir():
        folder = folder.resolve()
        if not (folder / "config.json").is_file():
            raise BadInput(
                _(
                    "%(folder)s is not a model: it needs config.json and weights as safetensors. BASE_MODEL names a transformers directory or a hub name."
                )
                % {"folder": folder},
                field="path",
            )
        manifest, size = manifest_of(folder), size_of(folder)
        path = str(folder)
        if earlier := Checkpoint.objects.filter(project=project, kind=Checkpoint.Kind.BASE, path=path).first():
            return earlier
    elif not HUB_NAME.fullmatch(path):
        raise BadInput(
            _("%(path)s is neither a directory on this host nor a hub name.") % {"path": f"{path!r}"}, field="path"
        )
    checkpoint = create(
        project=project, kind=Checkpoint.Kind.BASE, name=name, path=path, manifest_sha256=manifest, bytes=size
    )
    audit.record("registered", checkpoint, by=by, after={"kind": checkpoint.kind, "sha256": manifest})
    return checkpoint


@transaction.atomic
def register_output(
    *,
    project: Project,
    kind: str,
    name: str,
    parent: Checkpoint | None,
    reward: Checkpoint | None,
    path: str,
    manifest_sha256: str,
    bytes: int,  # noqa: A002 - the field's name
    metrics: dict[str, Any],
) -> Checkpoint:
    """Enter what a run published. A name that is taken gets a number behind it."""
    checkpoint = create(
        project=project,
        kind=kind,
        name=name,
        parent=parent,
        reward=reward,
        path=path,
        manifest_sha256=manifest_sha256,
        bytes=bytes,
        metrics=metrics,
    )
    audit.record("registered", checkpoint, after={"kind": kind, "sha256": manifest_sha256})
    return checkpoint


def create(*, project: Project, name: str, **fields: Any) -> Checkpoint:
    """Insert a row under `name`, or under `name-2`, `name-3`… when it is taken."""
    for number in range(1, 10_000):
        tail = f"-{number}" if number > 1 else ""
        wanted = name[: NAME_LENGTH - len(tail)] + tail
        if Checkpoint.objects.filter(project=project, name=wanted).exists():
            continue
        try:
            with transaction.atomic():
                return Checkpoint.objects.create(project=project, name=wanted, **fields)
        except IntegrityError:
            if not Checkpoint.objects.filter(project=project, name=wanted).exists():
                raise
    raise BadInput(
        _("Too many checkpoints are called %(name)s: choose another name.") % {"name": f"{name!r}"}, field="name"
    )


@transaction.atomic
def promote(*, checkpoint: Checkpoint, by: User | None) -> Checkpoint:
    """Make it the project's policy or reward model; the one before becomes a candidate again."""
    if checkpoint.kind == Checkpoint.Kind.BASE:
        raise WrongState(_("A base model is where policies start; promote a policy or a reward model."))
    Project.objects.select_for_update(of=("self",)).get(pk=checkpoint.project_id)
    checkpoint.refresh_from_db()
    if checkpoint.state == Checkpoint.State.PROMOTED:
        return checkpoint
    former = selectors.promoted(project=checkpoint.project, kind=checkpoint.kind)
    if Checkpoint.State.PROMOTED not in Checkpoint.TRANSITIONS[checkpoint.state]:
        raise WrongState(
            _("%(name)s is %(state)s: bring it back first.")
            % {"name": checkpoint.name, "state": checkpoint.get_state_display().lower()}
        )
    if former:
        transitions.move(former, to=Checkpoint.State.CANDIDATE, by=by)
    return transitions.move(checkpoint, to=Checkpoint.State.PROMOTED, by=by)


@transaction.atomic
def retire(*, checkpoint: Checkpoint, by: User | None) -> Checkpoint:
    """Take it out of every list of choices; refused while it is promoted or something still works with it."""
    Checkpoint.objects.select_for_update(of=("self",)).get(pk=checkpoint.pk)
    checkpoint.refresh_from_db()
    if reason := selectors.why_not_retire(checkpoint=checkpoint):
        raise WrongState(reason)
    return transitions.move(checkpoint, to=Checkpoint.State.RETIRED, by=by)


@transaction.atomic
def restore(*, checkpoint: Checkpoint, by: User | None) -> Checkpoint:
    """Make a retired checkpoint a candidate again."""
    return transitions.move(checkpoint, to=Checkpoint.State.CANDIDATE, by=by)


def manifest_of(folder: Path) -> str:
    """The sha256 of the folder's manifest.json; "" for a folder that has none (it is not ours)."""
    manifest = folder / "manifest.json"
    try:
        json.loads(manifest.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return hashlib.sha256(manifest.read_bytes()).hexdigest()


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
