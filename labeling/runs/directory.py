"""The run directory: what is written into it before a stage starts, and the paths inside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from django.conf import settings

from labeling.checkpoints import selectors as checkpoints
from labeling.core.files import artifact_path
from labeling.datasets.models import Snapshot
from labeling.runs import kept_words as words
from labeling.runs.models import Run
from training.contracts import ContractError, DataRef, InputRef, Kind, Result, RunSpec, sha256_of

LOG_TAIL_BYTES = 16_384


def path_of(run: Run) -> Path:
    """The run's directory."""
    return artifact_path(run.folder)


def prepare(run: Run) -> Path:
    """Write `spec.json` and `data/` (hard links where the file system allows, else copies). Doing it again does no harm."""
    folder = path_of(run)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    data: dict[str, list[DataRef]] = {}
    for item in run.data.select_related("snapshot").order_by("id"):
        data.setdefault(item.snapshot.kind, []).extend(place(item.snapshot, folder))
    inputs: dict[str, list[InputRef]] = {}
    for given in run.inputs.select_related("checkpoint").order_by("id"):
        checkpoint = given.checkpoint
        where = checkpoints.location(checkpoint=checkpoint)
        inputs.setdefault(given.role, []).append(InputRef(where, checkpoint.name, checkpoint.manifest_sha256))
    RunSpec(
        kind=Kind(run.kind),
        config=run.config,
        inputs=inputs,
        data=data,
        seed=run.seed,
        run=str(run.pk),
        name=run.name,
        code_version=code_version(),
    ).write(folder)
    return folder


def place(snapshot: Snapshot, folder: Path) -> list[DataRef]:
    """Put a snapshot's files under data/, named after it; raises ContractError when one is missing."""
    source, refs = artifact_path(snapshot.path), []
    for file in snapshot.files:
        origin = source / file["path"]
        target = folder / "data" / f"{snapshot.public_id.hex[:12]}-{Path(file['path']).name}"
        if not origin.is_file():
            raise ContractError(words.FILE_MISSING % {"file": file["path"], "name": snapshot.name})
        if not target.exists():
            link_or_copy(origin, target)
        refs.append(DataRef(f"data/{target.name}", file["sha256"], int(file.get("rows", -1))))
    return refs


def link_or_copy(origin: Path, target: Path) -> None:
    """A hard link, or a whole copy that appears at once."""
    try:
        os.link(origin, target)
    except OSError:
        half = target.with_name(f".{target.name}")
        shutil.copyfile(origin, half)
        half.replace(target)


def code_version() -> str:
    """The commit of the checkout, where there is one."""
    head = settings.BASE_DIR / ".git" / "HEAD"
    try:
        text = head.read_text().strip()
        if not text.startswith("ref: "):
            return text
        ref = settings.BASE_DIR / ".git" / text.removeprefix("ref: ")
        return ref.read_text().strip()
    except OSError:
        return ""


def finished(folder: Path) -> Result | None:
    """The result of a stage that succeeded and whose output is the one it reports; None otherwise."""
    try:
        result = Result.read(folder)
        manifest = sha256_of(folder / "output" / "manifest.json")
    except (ContractError, OSError):
        return None
    return result if result.state == "succeeded" and result.manifest_sha256 == manifest else None


def reported_error(folder: Path) -> str:
    """What a failed stage wrote into result.json; "" when it wrote nothing."""
    try:
        return Result.read(folder).error
    except ContractError:
        return ""


def log_tail(folder: Path, *, lines: int = 40) -> str:
    """The end of log.txt; "" when there is none."""
    try:
        with (folder / "log.txt").open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - LOG_TAIL_BYTES))
            text = log.read().decode(errors="replace").replace("\0", "")
    except OSError:
        return ""
    whole = text if size <= LOG_TAIL_BYTES else text.partition("\n")[2]
    return "\n".join(whole.splitlines()[-lines:])
