"""Run directories for tests: a spec, data files and how to start a stage in them."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from training.contracts import DataRef, InputRef, Kind, RunSpec, canonical_json

TOPICS = ["tea", "rain", "a cat", "the sea", "bread", "a long walk", "the moon", "an old map", "winter", "a bridge"]
ENDINGS = ["It is good.", "People like it a lot.", "That is all there is to say about it.", "Yes.", "See for yourself."]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def demonstrations(count: int, *, valid: int = 0) -> list[dict[str, Any]]:
    draw = random.Random(1)
    return [
        {
            "id": f"d{at}",
            "messages": [user(f"Tell me about {draw.choice(TOPICS)}."), assistant(draw.choice(ENDINGS))],
            "split": "valid" if at < valid else "train",
        }
        for at in range(count)
    ]


def rankings(count: int, *, k: int = 3, valid: int = 0) -> list[dict[str, Any]]:
    """Shorter is better: a preference a tiny model can learn."""
    draw = random.Random(2)
    rows = []
    for at in range(count):
        texts = draw.sample(ENDINGS, k)
        order = sorted(texts, key=len)
        rows.append(
            {
                "id": f"r{at}",
                "prompt_id": f"p{at}",
                "messages": [user(f"Tell me about {draw.choice(TOPICS)}.")],
                "completions": [{"id": f"c{at}-{n}", "text": text} for n, text in enumerate(texts)],
                "ranks": [order.index(text) + 1 for text in texts],
                "split": "valid" if at < valid else "train",
            }
        )
    return rows


def make_run(
    folder: Path,
    kind: Kind,
    *,
    config: dict[str, Any] | None = None,
    inputs: dict[str, Path] | None = None,
    data: dict[str, list[dict[str, Any]]] | None = None,
    seed: int = 0,
) -> Path:
    (folder / "data").mkdir(parents=True)
    for name, rows in (data or {}).items():
        text = "".join(canonical_json(row) + "\n" for row in rows)
        (folder / "data" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    RunSpec(
        kind=kind,
        config={"device": "cpu", "threads": 1} | (config or {}),
        inputs={role: [InputRef(str(path))] for role, path in (inputs or {}).items()},
        data={name: [DataRef(f"data/{name}.jsonl")] for name in data or {}},
        seed=seed,
    ).write(folder)
    return folder


def start(kind: Kind, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a stage as a process, as the supervisor does."""
    command = [sys.executable, "-m", f"training.{kind}", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def numbers(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    return [
        {key: value for key, value in row.items() if key != "time" and not key.startswith("progress/")}
        for row in lines(folder / "metrics.jsonl")
    ]
