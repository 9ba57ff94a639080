"""All file writes of the web half go through here: a reader sees the old file or the whole new one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings


def artifact_path(relative: str) -> Path:
    """The absolute path of something under the artifact root; refuses anything that would leave it."""
    root: Path = settings.ARTIFACT_ROOT
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{relative} is outside the artifact root")
    return path


def fsync_folder(path: Path) -> None:
    """Make a rename in this folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def store_file(target: Path, chunks: Iterable[bytes]) -> int:
    """Write `chunks` to `target` as they come, whole or not at all; returns the number of bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            size = sum(out.write(chunk) for chunk in chunks)
            out.flush()
            os.fsync(out.fileno())
        os.rename(name, target)
        fsync_folder(target.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return size


@contextmanager
def publish_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target` that is renamed onto it when the block ends well; removed otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb") as handle:
                    os.fsync(handle.fileno())
        temporary.chmod(0o755)
        os.rename(temporary, target)
        fsync_folder(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
