"""A finished stage becomes a checkpoint, completions or a report: verify the files, then one transaction (JOB-14)."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now

from labeling.checkpoints import services as checkpoints
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons import services as comparisons
from labeling.quality import services as quality
from labeling.runs import directory, ending, fencing
from labeling.runs import kept_words as words
from labeling.runs.models import Run
from training.contracts import NEEDS, Kind, Result, read_jsonl, read_records, verify_manifest

log = logging.getLogger(__name__)
CHECKPOINTS = tuple(Checkpoint.Kind.values)


def publish(*, run_id: UUID, attempt: int) -> Run:
    """Verify what the stage left and publish it; whatever is wrong with it fails the run. Raises LostAttempt."""
    run = Run.objects.select_related("project").get(pk=run_id)
    folder = directory.path_of(run)
    try:
        result = Result.read(folder)
        manifest = verify_manifest(folder / "output")
        with transaction.atomic():
            return enter(fencing.hold(run_id=run_id, attempt=attempt), folder, result, manifest)
    except (OperationalError, InterfaceError, fencing.LostAttempt):
        raise
    except Exception as problem:  # the last place where it can be told: nobody reads a supervisor's log
        log.exception("run %s could not be published", run_id)
        verdict = ending.Verdict(words.NOT_PUBLISHED % {"problem": problem})
        return ending.settle(run_id=run_id, attempt=attempt, exit_code=0, verdict=verdict)


def enter(run: Run, folder: Path, result: Result, manifest: dict[str, Any]) -> Run:
    """Everything that the database says about the end of this run, inside the caller's transaction."""
    writes = NEEDS[Kind(run.kind)].writes
    said = {
        "metrics": result.metrics,
        "device": result.device,
        "precision": result.precision,
        "seconds": result.seconds,
    }
    output = None
    if writes in CHECKPOINTS:
        output = register(run, writes, result, manifest)
        keep_scores(run, folder, output)
    elif writes == "completions":
        said["completions"] = store_completions(run, folder)
    else:
        said["report"] = json.loads((folder / "output" / "report.json").read_text(encoding="utf-8"))
        used = run.inputs.filter(role="reward").select_related("checkpoint").first()
        keep_scores(run, folder, used.checkpoint if used else None)
    ending.wake_others()
    state = Run.State.RUNNING if run.state == Run.State.STARTING else ""
    if state:  # the announcement was lost; a run passes through every state
        fencing.change(run_id=run.pk, attempt=run.attempt, to=state)
    return fencing.change(
        run_id=run.pk,
        attempt=run.attempt,
        to=Run.State.SUCCEEDED,
        result=said,
        output=output,
        manifest_sha256=result.manifest_sha256,
        progress=1.0,
        exit_code=0,
        finished_at=Now(),
    )


def register(run: Run, kind: str, result: Result, manifest: dict[str, Any]) -> Checkpoint:
    """The new checkpoint, with its lineage."""
    given = {item.role: item.checkpoint for item in run.inputs.select_related("checkpoint").order_by("-id")}
    return checkpoints.register_output(
        project=run.project,
        kind=kind,
        name=run.name,
        parent=given.get("policy"),
        reward=given.get("reward"),
        path=f"{run.folder}/output",
        manifest_sha256=result.manifest_sha256,
        bytes=sum(int(entry["size"]) for entry in manifest["files"]),
        metrics=result.metrics,
    )


def keep_scores(run: Run, folder: Path, reward: Checkpoint | None) -> int:
    """Hand what a reward model said of held-out rankings to quality; returns of how many completions."""
    path = folder / "output" / "scores.jsonl"
    if reward is None or not path.is_file():
        return 0
    scores = quality.scores_by_completion(run.project, read_jsonl(path))
    return quality.store_scores(checkpoint=reward, scores=scores)


def store_completions(run: Run, folder: Path) -> int:
    """Hand the sampled texts to comparisons; returns how many."""
    records: list[Any] = read_records("completions", [folder / "output" / "completions.jsonl"])
    named = {
        item.checkpoint.name: item.checkpoint for item in run.inputs.filter(role="policy").select_related("checkpoint")
    }
    return comparisons.store_completions(project=run.project, run_id=run.pk, checkpoints=named, records=records)
