"""Queueing a run and asking it to stop. Everything else about a run is done by its supervisor and the sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.checkpoints.models import Checkpoint
from labeling.core import audit, transitions
from labeling.core.broker import wake
from labeling.core.clock import db_now
from labeling.core.errors import BadInput, WrongState
from labeling.datasets.models import Snapshot
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.runs.kept_settings import REFUSED
from labeling.runs.kept_words import RECORDS, ROLES, STAGES
from labeling.runs.models import Run, RunData, RunInput
from training.configs import ConfigError, config_for
from training.contracts import NEEDS, Kind

POLICIES = (Checkpoint.Kind.BASE, Checkpoint.Kind.POLICY)
ROLE_KINDS: dict[str, tuple[str, ...]] = {
    "policy": POLICIES,
    "reference": POLICIES,
    "reward": (Checkpoint.Kind.REWARD,),
    "gold": (Checkpoint.Kind.REWARD,),
}
MANY_POLICIES = (Kind.SAMPLE,)
LARGEST_SEED = 2**32 - 1


@transaction.atomic
def queue_run(
    *,
    project: Project,
    kind: str,
    name: str,
    config: Mapping[str, Any],
    by: User | None,
    snapshots: Iterable[Snapshot] = (),
    inputs: Mapping[str, Sequence[Checkpoint]] | None = None,
    seed: int = 0,
    round_number: int | None = None,
) -> Run:
    """Check everything a stage would check, insert the run as queued and wake a worker. Raises BadInput naming the field."""
    stage = checked_kind(kind)
    settings = checked_config(stage, config)
    snapshots, inputs = list(snapshots), {role: list(rows) for role, rows in (inputs or {}).items() if rows}
    check_name_and_seed(name, seed)
    check_inputs(project, stage, inputs)
    check_snapshots(project, stage, snapshots)
    check_reads(stage, settings, inputs, snapshots)
    run = Run.objects.create(
        project=project,
        kind=stage.value,
        name=name.strip(),
        config=settings,
        seed=seed,
        round_number=round_number,
        created_by=by,
    )
    RunInput.objects.bulk_create(
        RunInput(run=run, role=role, checkpoint=checkpoint) for role, rows in inputs.items() for checkpoint in rows
    )
    RunData.objects.bulk_create(RunData(run=run, snapshot=snapshot) for snapshot in snapshots)
    audit.record("queued", run, by=by, after={"kind": run.kind, "name": run.name})
    wake("runs.start", str(run.pk))
    return run


@transaction.atomic
def request_cancel(*, run: Run, by: User | None) -> Run:
    """Ask it to stop: a queued run is cancelled at once, a live one by its supervisor. Asking twice changes nothing."""
    run = Run.objects.select_for_update(of=("self",)).get(pk=run.pk)
    if run.is_over:
        raise WrongState(
            _("%(name)s has already %(state)s: there is nothing to stop.")
            % {"name": run.name, "state": run.get_state_display().lower()}
        )
    if run.cancel_requested_at:
        return run
    asked: dict[str, Any] = {"cancel_requested_at": db_now(), "cancel_requested_by": by}
    if run.state == Run.State.QUEUED:
        return transitions.move(
            run, to=Run.State.CANCELLED, by=by, waiting_for="", finished_at=asked["cancel_requested_at"], **asked
        )
    return transitions.move(run, to=Run.State.CANCELLING, by=by, **asked)


# ---- what a stage needs


def checked_kind(kind: str) -> Kind:
    """The stage named; raises BadInput."""
    try:
        return Kind(kind)
    except ValueError:
        raise BadInput(
            _("kind must be one of %(Kind)s, not %(kind)s.") % {"Kind": ", ".join(Kind), "kind": f"{kind!r}"},
            field="kind",
        ) from None


def checked_config(stage: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The whole config, defaults filled in, as the stage will read it; raises BadInput naming the setting."""
    if not isinstance(config, Mapping):
        raise BadInput(_("config must be an object that maps settings to values."), field="config")
    try:
        return config_for(stage, dict(config)).to_dict()
    except ConfigError as problem:
        raise BadInput(refusal(problem), field=f"config.{problem.field}") from None


def refusal(problem: ConfigError) -> str:
    """What a stage refused, in English for programs; a page tells it in the reader's language."""
    return REFUSED % {"setting": problem.field, "problem": problem.problem}


def check_name_and_seed(name: str, seed: int) -> None:
    """A name people can read, and a seed that training accepts."""
    if not name.strip() or len(name.strip()) > 80:
        raise BadInput(_("Give the run a name of 1 to 80 characters."), field="name")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise BadInput(
            _("seed must be a whole number from 0 to %(LARGEST_SEED)s.") % {"LARGEST_SEED": LARGEST_SEED}, field="seed"
        )


def check_inputs(project: Project, stage: Kind, inputs: Mapping[str, Sequence[Checkpoint]]) -> None:
    """Every role the stage needs, no other, with checkpoints of this project and the right kind."""
    allowed = {role.rstrip("?"): role.endswith("?") for role in NEEDS[stage].inputs}
    for role, optional in allowed.items():
        if not optional and not inputs.get(role):
            raise BadInput(
                _("This %(stage)s run needs a checkpoint as %(role)s: choose one.")
                % {"stage": _(STAGES[stage]), "role": _(ROLES[role])},
                field=f"inputs.{role}",
            )
    for role, rows in inputs.items():
        where = f"inputs.{role}"
        if role not in allowed:
            named = ", ".join(allowed) or _("none")
            raise BadInput(
                _("This %(stage)s run reads no %(role)s (its inputs: %(named)s); leave it out.")
                % {"stage": _(STAGES[stage]), "role": role, "named": named},
                field=where,
            )
        if len(rows) > 1 and not (role == "policy" and stage in MANY_POLICIES):
            raise BadInput(
                _("This %(stage)s run reads one checkpoint as %(role)s, not %(rows)s.")
                % {"stage": _(STAGES[stage]), "role": _(ROLES[role]), "rows": len(rows)},
                field=where,
            )
        if len({row.pk for row in rows}) < len(rows):
            raise BadInput(_("The same checkpoint is named twice as %(role)s.") % {"role": _(ROLES[role])}, field=where)
        for row in rows:
            check_checkpoint(project, role, row)


def check_checkpoint(project: Project, role: str, row: Checkpoint) -> None:
    """Of this project, not retired, and of a kind that can take the role."""
    where = f"inputs.{role}"
    if row.project_id != project.pk:
        raise BadInput(_("%(name)s belongs to another project.") % {"name": row.name}, field=where)
    if row.state == Checkpoint.State.RETIRED:
        raise BadInput(_("%(name)s is retired: bring it back, or choose another.") % {"name": row.name}, field=where)
    if row.kind not in ROLE_KINDS[role]:
        raise BadInput(
            _("%(name)s is a %(state)s and cannot be the %(role)s.")
            % {"name": row.name, "state": row.get_kind_display().lower(), "role": _(ROLES[role])},
            field=where,
        )


def check_reads(
    stage: Kind, settings: dict[str, Any], inputs: Mapping[str, Sequence[Checkpoint]], snapshots: Sequence[Snapshot]
) -> None:
    """What the settings ask of inputs and data together; raises BadInput naming the setting."""
    try:
        config_for(stage, settings).check_reads(set(inputs), {snapshot.kind for snapshot in snapshots})
    except ConfigError as problem:
        field = problem.field if "." in problem.field else f"config.{problem.field}"
        raise BadInput(refusal(problem), field=field) from None


def check_snapshots(project: Project, stage: Kind, snapshots: Sequence[Snapshot]) -> None:
    """Every kind of data the stage needs, no other, from this project, with rows in it."""
    allowed = {kind.rstrip("?"): kind.endswith("?") for kind in NEEDS[stage].data}
    for snapshot in snapshots:
        check_snapshot(project, stage, snapshot, list(allowed))
    if len({snapshot.pk for snapshot in snapshots}) < len(snapshots):
        raise BadInput(_("The same snapshot is named twice."), field="data")
    present = {snapshot.kind for snapshot in snapshots}
    if allowed and not present:
        needed = [kind for kind, optional in allowed.items() if not optional] or list(allowed)
        raise BadInput(
            _("This %(stage)s run needs a snapshot of %(needed)s: choose one.")
            % {"stage": _(STAGES[stage]), "needed": _(" or ").join(_(RECORDS[kind]) for kind in needed)},
            field=f"data.{needed[0]}",
        )
    for kind, optional in allowed.items():
        if not optional and kind not in present:
            raise BadInput(
                _("This %(stage)s run needs a snapshot of %(kind)s: freeze one, or choose one.")
                % {"stage": _(STAGES[stage]), "kind": _(RECORDS[kind])},
                field=f"data.{kind}",
            )


def check_snapshot(project: Project, stage: Kind, snapshot: Snapshot, allowed: Sequence[str]) -> None:
    """Of this project and one of the kinds allowed, with rows in it."""
    where = f"data.{snapshot.kind}"
    if snapshot.project_id != project.pk:
        raise BadInput(_("%(name)s belongs to another project.") % {"name": snapshot.name}, field=where)
    if snapshot.kind not in allowed:
        raise BadInput(
            _("This %(stage)s run reads %(allowed)s, not %(kind)s.")
            % {
                "stage": _(STAGES[stage]),
                "allowed": ", ".join(_(RECORDS[kind]) for kind in allowed),
                "kind": _(RECORDS[snapshot.kind]),
            },
            field=where,
        )
    if snapshot.state == Snapshot.State.FAILED:
        raise BadInput(
            _("The files of %(name)s could not be written: freeze it again.") % {"name": snapshot.name}, field=where
        )
    if not snapshot.rows:
        raise BadInput(_("%(name)s has no rows.") % {"name": snapshot.name}, field=where)
