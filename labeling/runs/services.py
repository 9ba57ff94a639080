"""Queueing a run and asking it to stop. Everything else about a run is done by its supervisor and the sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from labeling.checkpoints.models import Checkpoint
from labeling.core import audit, transitions
from labeling.core.broker import wake
from labeling.core.clock import db_now
from labeling.core.errors import BadInput, WrongState
from labeling.datasets.models import Snapshot
from labeling.people.models import User
from labeling.projects.models import Project
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
        raise WrongState(f"{run.name} has already {run.get_state_display().lower()}: there is nothing to stop.")
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
        raise BadInput(f"kind must be one of {', '.join(Kind)}, not {kind!r}.", field="kind") from None


def checked_config(stage: Kind, config: Mapping[str, Any]) -> dict[str, Any]:
    """The whole config, defaults filled in, as the stage will read it; raises BadInput naming the setting."""
    if not isinstance(config, Mapping):
        raise BadInput("config must be an object that maps settings to values.", field="config")
    try:
        return config_for(stage, dict(config)).to_dict()
    except ConfigError as problem:
        raise BadInput(f"{problem.field}: {problem.problem}.", field=f"config.{problem.field}") from None


def check_name_and_seed(name: str, seed: int) -> None:
    """A name people can read, and a seed that training accepts."""
    if not name.strip() or len(name.strip()) > 80:
        raise BadInput("Give the run a name of 1 to 80 characters.", field="name")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise BadInput(f"seed must be a whole number from 0 to {LARGEST_SEED}.", field="seed")


def check_inputs(project: Project, stage: Kind, inputs: Mapping[str, Sequence[Checkpoint]]) -> None:
    """Every role the stage needs, no other, with checkpoints of this project and the right kind."""
    allowed = {role.rstrip("?"): role.endswith("?") for role in NEEDS[stage].inputs}
    for role, optional in allowed.items():
        if not optional and not inputs.get(role):
            raise BadInput(f"A {stage} run needs a checkpoint as {role}: choose one.", field=f"inputs.{role}")
    for role, rows in inputs.items():
        where = f"inputs.{role}"
        if role not in allowed:
            named = ", ".join(allowed) or "none"
            raise BadInput(f"A {stage} run reads no {role} (its inputs: {named}); leave it out.", field=where)
        if len(rows) > 1 and not (role == "policy" and stage in MANY_POLICIES):
            raise BadInput(f"A {stage} run reads one checkpoint as {role}, not {len(rows)}.", field=where)
        if len({row.pk for row in rows}) < len(rows):
            raise BadInput(f"The same checkpoint is named twice as {role}.", field=where)
        for row in rows:
            if row.project_id != project.pk:
                raise BadInput(f"{row.name} belongs to another project.", field=where)
            if row.state == Checkpoint.State.RETIRED:
                raise BadInput(f"{row.name} is retired: bring it back, or choose another.", field=where)
            if row.kind not in ROLE_KINDS[role]:
                raise BadInput(
                    f"{row.name} is a {row.get_kind_display().lower()} and cannot be the {role}.", field=where
                )


def check_reads(
    stage: Kind, settings: dict[str, Any], inputs: Mapping[str, Sequence[Checkpoint]], snapshots: Sequence[Snapshot]
) -> None:
    """What the settings ask of inputs and data together; raises BadInput naming the setting."""
    try:
        config_for(stage, settings).check_reads(set(inputs), {snapshot.kind for snapshot in snapshots})
    except ConfigError as problem:
        field = problem.field if "." in problem.field else f"config.{problem.field}"
        raise BadInput(f"{problem.field}: {problem.problem}.", field=field) from None


def check_snapshots(project: Project, stage: Kind, snapshots: Sequence[Snapshot]) -> None:
    """Every kind of data the stage needs, no other, from this project, with rows in it."""
    allowed = {kind.rstrip("?"): kind.endswith("?") for kind in NEEDS[stage].data}
    for snapshot in snapshots:
        where = f"data.{snapshot.kind}"
        if snapshot.project_id != project.pk:
            raise BadInput(f"{snapshot.name} belongs to another project.", field=where)
        if snapshot.kind not in allowed:
            raise BadInput(f"A {stage} run reads {', '.join(allowed)}, not {snapshot.kind}.", field=where)
        if snapshot.state == Snapshot.State.FAILED:
            raise BadInput(f"The files of {snapshot.name} could not be written: freeze it again.", field=where)
        if not snapshot.rows:
            raise BadInput(f"{snapshot.name} has no rows.", field=where)
    if len({snapshot.pk for snapshot in snapshots}) < len(snapshots):
        raise BadInput("The same snapshot is named twice.", field="data")
    present = {snapshot.kind for snapshot in snapshots}
    if allowed and not present:
        needed = [kind for kind, optional in allowed.items() if not optional] or list(allowed)
        raise BadInput(
            f"A {stage} run needs a snapshot of {' or '.join(needed)}: choose one.", field=f"data.{needed[0]}"
        )
    for kind, optional in allowed.items():
        if not optional and kind not in present:
            raise BadInput(
                f"A {stage} run needs a snapshot of {kind}: freeze one, or choose one.", field=f"data.{kind}"
            )
