"""People's rankings from a file, each with the pairs that people decided.

Two formats, told apart by their fields, one JSON object a line:

- ours (`training/README.md`, records of kind rankings): `messages`, `completions`, `ranks`; the pairs are those of different rank;
- judged pairs: `prompt`, `responses` (texts), `human_pairwise` (`a` and `b`: places in `responses`, `pref`: a, b or tie),
  and optionally `context`, put before the prompt. Judgments may contradict each other, so the ranks to train on count a
  response's wins (a tie is half a win each), while what is measured are the judgments themselves.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.contracts import ContractError, RankingRecord


@dataclass(frozen=True)
class Judged:
    """One ranking: the record to train on and the pairs (winner, loser) that were decided, as places in its completions."""

    record: dict[str, Any]
    pairs: list[tuple[int, int]]

    @property
    def texts(self) -> list[str]:
        """The completions' texts."""
        return [completion["text"] for completion in self.record["completions"]]


def read(path: Path, *, context_characters: int) -> list[Judged]:
    """All rankings of a file, `context` cut to so many characters; raises ContractError naming the line."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise ContractError(f"{path} cannot be read: {problem}") from problem
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            judged = "human_pairwise" in row
            found.append(judged_row(row, number, context_characters) if judged else ranked_row(row))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as problem:
            raise ContractError(f"{path.name} line {number}: {type(problem).__name__}: {problem}") from problem
    if not found:
        raise ContractError(f"{path.name} holds no ranking")
    return found


def ranked_row(row: dict[str, Any]) -> Judged:
    """A record in our own format."""
    record = RankingRecord.parse({**row, "split": "train"}, "ranking")
    pairs = [
        (better, worse)
        for better, rank in enumerate(record.ranks)
        for worse, other in enumerate(record.ranks)
        if rank < other
    ]
    return Judged({**row, "split": "train"}, pairs)


def judged_row(row: dict[str, Any], number: int, context_characters: int) -> Judged:
    """A row of judged pairs."""
    responses, verdicts = row["responses"], row["human_pairwise"]
    wins = [0.0] * len(responses)
    pairs = []
    for verdict in verdicts:
        a, b, preferred = verdict["a"], verdict["b"], verdict["pref"]
        if preferred not in ("a", "b", "tie") or not 0 <= min(a, b) <= max(a, b) < len(responses):
            raise ValueError(f"human_pairwise has {verdict}")
        wins[a] += {"a": 1.0, "tie": 0.5, "b": 0.0}[preferred]
        wins[b] += {"b": 1.0, "tie": 0.5, "a": 0.0}[preferred]
        if preferred != "tie":
            pairs.append((a, b) if preferred == "a" else (b, a))
    context = str(row.get("context", ""))[:context_characters].strip()
    identity = str(row.get("id", number))
    record = {
        "id": identity,
        "prompt_id": identity,
        "messages": [{"role": "user", "content": f"{context}\n\n{row['prompt']}" if context else row["prompt"]}],
        "completions": [{"id": f"{identity}-{at}", "text": text} for at, text in enumerate(responses)],
        "ranks": [1 + sum(other > own for other in wins) for own in wins],
    }
    return Judged(record, pairs)


def split(rows: list[Judged], held_out: float, seed: int) -> tuple[list[Judged], list[Judged]]:
    """Train and held-out rankings; a prompt is on one side only. Raises ContractError when a side would be empty."""
    prompts = sorted({prompt_of(row) for row in rows})
    count = round(len(prompts) * held_out)
    if not 0 < count < len(prompts):
        raise ContractError(f"{len(prompts)} prompts cannot be split with {held_out} of them held out")
    held = set(random.Random(f"{seed}:held out").sample(prompts, count))
    return [row for row in rows if prompt_of(row) not in held], [row for row in rows if prompt_of(row) in held]


def prompt_of(row: Judged) -> str:
    """What makes two rankings rankings of one prompt: the same messages."""
    return json.dumps(row.record["messages"], sort_keys=True)
