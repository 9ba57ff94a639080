"""Snapshot files: shards of canonical JSONL and a manifest, published by one rename; verified by writing them again."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

from django.utils.translation import gettext as _

from labeling.core.errors import NotFound, WrongState
from labeling.core.files import artifact_path, publish_folder
from labeling.core.transitions import move
from labeling.datasets.kept_words import NOT_WRITTEN
from labeling.datasets.models import Snapshot
from labeling.datasets.render import records
from training import contracts

SHARD_ROWS = 50_000
SCHEMA = 1


def write_files(snapshot: Snapshot, folder: Path) -> str:
    """Write every shard and the manifest of `snapshot` into an empty `folder`; return the manifest's sha256.

    Nothing in the files depends on when or where they are written.
    """
    rows = records(snapshot)
    shard = 0
    while lines := list(islice(rows, SHARD_ROWS)):
        path = folder / f"{snapshot.kind}-{shard:05d}.jsonl"
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(contracts.canonical_json(row) + "\n" for row in lines)
        shard += 1
    return contracts.write_manifest(
        folder,
        schema=SCHEMA,
        snapshot=str(snapshot.public_id),
        kind=snapshot.kind,
        name=snapshot.name,
        rows=snapshot.rows,
        rules=snapshot.rules,
        excluded=snapshot.excluded,
    )


def write_snapshot(*, snapshot_id: int) -> Snapshot:
    """Write the files of a frozen snapshot once; a second call finds it ready and does nothing. A failure is kept on the row."""
    snapshot = Snapshot.objects.get(pk=snapshot_id)
    if snapshot.state != Snapshot.State.FREEZING:
        return snapshot
    relative = f"snapshots/{snapshot.public_id}"
    target = artifact_path(relative)
    try:
        if target.exists():  # written by a task that died before its row was changed
            contracts.verify_manifest(target)
            manifest = contracts.sha256_of(target / "manifest.json")
        else:
            with publish_folder(target) as folder:
                manifest = write_files(snapshot, folder)
    except (OSError, contracts.ContractError) as problem:
        move(
            snapshot,
            to=Snapshot.State.FAILED,
            error=NOT_WRITTEN % {"problem": problem},
        )
        return snapshot
    files = contracts.verify_manifest(target)["files"]
    try:
        move(snapshot, to=Snapshot.State.READY, path=relative, manifest_sha256=manifest, files=files)
    except WrongState:
        snapshot.refresh_from_db()
    return snapshot


def rebuilds_identically(snapshot: Snapshot) -> bool:
    """Whether the rows, rendered again now, give the very bytes that the manifest's hash was taken of, and the files still do."""
    with tempfile.TemporaryDirectory() as scratch:
        again = write_files(snapshot, Path(scratch))
    stored = artifact_path(snapshot.path)
    try:
        contracts.verify_manifest(stored)
    except contracts.ContractError:
        return False
    return again == snapshot.manifest_sha256 == contracts.sha256_of(stored / "manifest.json")


def shard_paths(snapshot: Snapshot) -> list[Path]:
    """The JSONL files, in order."""
    folder = artifact_path(snapshot.path)
    return [folder / entry["path"] for entry in snapshot.files if entry["path"].endswith(".jsonl")]


def file_of(snapshot: Snapshot, name: str) -> Path:
    """Where a file of the snapshot is, by a name that its manifest knows; raises NotFound for any other."""
    known = {entry["path"] for entry in snapshot.files} | {"manifest.json"}
    if snapshot.state != Snapshot.State.READY or name not in known:
        raise NotFound(_("This snapshot has no such file."))
    return artifact_path(snapshot.path) / name
