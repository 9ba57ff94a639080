"""Following a deployed policy back to every label it learned from."""

from __future__ import annotations

from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Comparison
from labeling.core.files import artifact_path
from labeling.datasets.models import Snapshot, SnapshotMember
from labeling.datasets.write import rebuilds_identically
from labeling.prompts.models import Prompt
from labeling.runs.models import Run, RunData
from training.contracts import ContractError, sha256_of, verify_manifest

DEPTH = 100  # generations of policies


def is_sound(policy: Checkpoint | None) -> bool:
    """Whether policy → run → snapshots → revisions → tasks holds at every step, back to the base model; see `problems`."""
    return policy is not None and not problems(policy)


def problems(policy: Checkpoint) -> list[str]:
    """What is wrong on the way back from a policy to its labels, as sentences; empty when everything holds.

    Every checkpoint must be what its run published (by hash), every snapshot must rebuild byte for byte, every member
    must belong to a submitted task of the project, and nothing held out may have been learned from.
    """
    found: list[str] = []
    waiting, seen = [policy], set[int]()
    while waiting and len(seen) < DEPTH:
        checkpoint = waiting.pop()
        if checkpoint.pk in seen:
            continue
        seen.add(checkpoint.pk)
        if checkpoint.kind == Checkpoint.Kind.BASE:
            continue
        run = Run.objects.filter(output=checkpoint).first()
        if run is None:
            found.append(f"{checkpoint.name} has no run.")
            continue
        found += check_checkpoint(checkpoint, run)
        for item in RunData.objects.filter(run=run).select_related("snapshot"):
            found += check_snapshot(item.snapshot)
        inputs = [item.checkpoint for item in run.inputs.select_related("checkpoint")]
        if not inputs:
            found.append(f"Run {run.name} read no checkpoint.")
        waiting += inputs
    return found


def check_checkpoint(checkpoint: Checkpoint, run: Run) -> list[str]:
    """The files are those the run published, and the row says so."""
    if run.state != Run.State.SUCCEEDED:
        return [f"Run {run.name}, which made {checkpoint.name}, is {run.state}."]
    folder = artifact_path(checkpoint.path)
    try:
        verify_manifest(folder)
    except ContractError as problem:
        return [f"{checkpoint.name}: {problem}"]
    if sha256_of(folder / "manifest.json") != checkpoint.manifest_sha256:
        return [f"{checkpoint.name}: the manifest differs from the one that was registered."]
    return []


def check_snapshot(snapshot: Snapshot) -> list[str]:
    """Files follow from the rows; every row leads to a task with submitted work; no held-out prompt is among them."""
    found = []
    members = SnapshotMember.objects.filter(snapshot=snapshot)
    if members.count() != snapshot.rows:
        found.append(f"{snapshot.name} has {members.count()} members and says {snapshot.rows}.")
    if not rebuilds_identically(snapshot):
        found.append(f"{snapshot.name} does not rebuild to the same bytes.")
    work = {
        Snapshot.Kind.DEMONSTRATIONS: ("demonstration__slot__state", "demonstration__prompt"),
        Snapshot.Kind.RANKINGS: ("ranking__slot__state", "ranking__comparison__task__prompt"),
        Snapshot.Kind.PROMPTS: (None, "prompt"),
    }
    slot, prompt = work[Snapshot.Kind(snapshot.kind)]
    if slot and members.exclude(**{slot: "submitted"}).exists():
        found.append(f"{snapshot.name} holds work whose slot is not submitted.")
    if members.filter(**{f"{prompt}__split": Prompt.Split.TEST}).exists():
        found.append(f"{snapshot.name} holds held-out prompts, and something learned from it.")
    if members.exclude(**{f"{prompt}__project": snapshot.project_id}).exists():
        found.append(f"{snapshot.name} holds prompts of another project.")
    if members.filter(ranking__comparison__purpose=Comparison.Purpose.EVALUATION).exists():
        found.append(f"{snapshot.name} holds evaluation rankings, and something learned from it.")
    return found
