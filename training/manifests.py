"""Files that can be trusted: atomic writes, hashes and manifests. Standard library only, part of `training.contracts`."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

MANIFEST_VERSION = 1


class ContractError(ValueError):
    """Something read from a run directory or a data file is wrong; the text names the place and the mend."""


def canonical_json(row: Any) -> str:
    """One line of JSON with sorted keys and fixed separators: the same object always gives the same bytes."""
    return json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in 1 MiB pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_atomic(path: Path, text: str) -> None:
    """Write through a temporary file in the same folder: a reader sees the old file or the whole new one, also after a power cut."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    flush_to_disk(path.parent)


def flush_to_disk(path: Path) -> None:
    """Wait until a file's contents, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_manifest(folder: Path, **facts: Any) -> str:
    """Write `manifest.json` (path, size and sha256 of every file, and `facts`) into `folder`; return its sha256."""
    files = [
        {"path": str(path.relative_to(folder)), "size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    ]
    write_atomic(
        folder / "manifest.json", canonical_json({"version": MANIFEST_VERSION, "files": files, **facts}) + "\n"
    )
    return sha256_of(folder / "manifest.json")


def verify_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of `folder`; raises ContractError if it is missing or any file differs from it."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ContractError(f"{folder.name}: no readable manifest.json ({problem})") from problem
    for entry in manifest["files"]:
        path = folder / entry["path"]
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ContractError(f"{folder.name}: manifest names a path outside the folder: {entry['path']}")
        if not path.is_file() or path.stat().st_size != entry["size"] or sha256_of(path) != entry["sha256"]:
            raise ContractError(f"{folder.name}: {entry['path']} is missing or differs from the manifest")
    return manifest
