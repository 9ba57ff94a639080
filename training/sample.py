"""Completions of prompts from one or more policies.

    python -m training.sample RUN_DIR

Reads data.prompts and inputs.policy (several are allowed, each with its own name); leaves completions.jsonl in output/.
A row depends on the seed, its prompt, its policy's name and its number only. What is finished when the run is stopped is
kept in checkpoints/completions.jsonl and not sampled again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.backbone import Backbone, load_backbone
from training.configs import SampleConfig
from training.contracts import CompletionRecord, ContractError, InputRef, PromptRecord, canonical_json
from training.records import prompt_rows
from training.sampling import Decoding, Sampled, answer_text, decode_batch, plan_batches, row_seed
from training.session import Metrics, Session, main

SHOWN = 3  # texts of every batch written to samples.jsonl
LOG_SECONDS = 0.5


@dataclass(frozen=True)
class Row:
    """One completion to sample: the `number`-th of a prompt."""

    id: str
    prompt: PromptRecord
    ids: list[int]
    number: int


def train(session: Session) -> Metrics:
    """Sample every row of every policy; return the run's metrics."""
    config: SampleConfig = session.config
    records: list[PromptRecord] = session.records("prompts")
    if not records:
        raise ContractError("data.prompts is empty; name at least one prompt")
    policies = named_policies(session.spec.inputs["policy"])
    progress = Progress(session, total=len(records) * len(policies) * config.n)
    for name, path in policies.items():
        backbone = load_backbone(path, device=session.device, dtype=session.dtype)
        rows = rows_of(name, records, backbone, config)
        for batch in plan_batches([row.ids for row in rows], config.batch_rows):
            chosen = [row for row in (rows[at] for at in batch) if row.id not in progress.records]
            if chosen:
                progress.keep(sample_rows(session, backbone, name, chosen, progress), chosen)
        del backbone
    ordered = [
        progress.records[completion_id(record.id, name, number)]
        for record in records
        for name in policies
        for number in range(config.n)
    ]
    text = "".join(canonical_json(asdict(record)) + "\n" for record in ordered)
    (session.staging / "completions.jsonl").write_text(text, encoding="utf-8")
    return summary(ordered) | {"policies": len(policies), "prompts": len(records)}


def named_policies(refs: Sequence[InputRef]) -> dict[str, str]:
    """Path by name; a policy without a name has its folder's. Raises ContractError when two share one."""
    policies: dict[str, str] = {}
    for at, ref in enumerate(refs):
        name = ref.name or Path(ref.path).name
        if name in policies:
            raise ContractError(f"inputs.policy[{at}]: the name '{name}' occurs twice; give each policy its own 'name'")
        policies[name] = ref.path
    return policies


def completion_id(prompt_id: str, policy: str, number: int) -> str:
    """The id of a completion within its run."""
    return f"{prompt_id}:{policy}:{number}"


def rows_of(policy: str, records: Sequence[PromptRecord], backbone: Backbone, config: SampleConfig) -> list[Row]:
    """All rows of one policy."""
    limit = backbone.context_length
    prompts = prompt_rows(records, backbone.tokenizer, system=config.system, max_tokens=limit)
    return [
        Row(completion_id(record.id, policy, number), record, prompt.ids, number)
        for record, prompt in zip(records, prompts, strict=True)
        for number in range(config.n)
    ]


def sample_rows(
    session: Session, backbone: Backbone, policy: str, rows: Sequence[Row], progress: Progress
) -> list[CompletionRecord]:
    """Decode one batch."""
    config: SampleConfig = session.config
    answers = decode_batch(
        backbone,
        [row.ids for row in rows],
        Decoding(config.max_new_tokens, config.temperature, config.top_p),
        [row_seed(session.spec.seed, policy, row.prompt.id, row.number) for row in rows],
        names=[row.prompt.id for row in rows],
        on_done=progress.finished,
        check=session.check_stop,
    )
    session.count(sum(len(answer.ids) for answer in answers))
    return [record_of(session, backbone, policy, row, answer) for row, answer in zip(rows, answers, strict=True)]


def record_of(session: Session, backbone: Backbone, policy: str, row: Row, answer: Sampled) -> CompletionRecord:
    """The record that is exchanged for one answer."""
    config: SampleConfig = session.config
    return CompletionRecord(
        id=row.id,
        prompt_id=row.prompt.id,
        policy=policy,
        text=answer_text(backbone, answer),
        token_count=len(answer.ids),
        finish_reason="stop" if answer.finished else "length",
        logprob=float(answer.logprobs_T.sum()),
        sampling={
            "temperature": config.temperature,
            "top_p": config.top_p,
            "max_new_tokens": config.max_new_tokens,
            "system": config.system,
            "seed": session.spec.seed,
            "number": row.number,
        },
    )


class Progress:
    """What is done: records by id, kept on disk batch by batch, and a line in metrics.jsonl about twice a second."""

    def __init__(self, session: Session, *, total: int) -> None:
        self.session = session
        self.path = session.run_dir / "checkpoints" / "completions.jsonl"
        self.path.parent.mkdir(exist_ok=True)
        self.records = {record.id: record for record in read_kept(self.path)}
        self.done = len(self.records)
        self._logged = 0.0
        session.journal.plan(done=self.done, total=total)

    def finished(self, rows: int) -> None:
        """Hear that `rows` more completions have ended."""
        self.done += rows
        if time.monotonic() - self._logged >= LOG_SECONDS:
            self._logged = time.monotonic()
            self.session.log(self.done, **{"sample/completions": self.done})

    def keep(self, records: Sequence[CompletionRecord], rows: Sequence[Row]) -> None:
        """Write a batch to disk, so that a stopped run need not repeat it, and log its numbers."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write("".join(canonical_json(asdict(record)) + "\n" for record in records))
            handle.flush()
            os.fsync(handle.fileno())
        self.records |= {record.id: record for record in records}
        numbers = {f"sample/{name}": value for name, value in summary(self.records.values()).items()}
        self.session.log(self.done, **numbers)
        for record, row in list(zip(records, rows, strict=True))[:SHOWN]:
            prompt = row.prompt.messages[-1]["content"]
            facts = {"policy": record.policy, "tokens": record.token_count, "finish_reason": record.finish_reason}
            self.session.sample(self.done, prompt=prompt, text=record.text, **facts)


def read_kept(path: Path) -> list[CompletionRecord]:
    """The completions an earlier process has kept; a last line that was cut off is removed."""
    if not path.is_file():
        return []
    whole = path.read_text(encoding="utf-8")
    whole = whole[: whole.rfind("\n") + 1]
    path.write_text(whole, encoding="utf-8")
    return [CompletionRecord.parse(json.loads(line), path.name) for line in whole.split("\n") if line]


def summary(records: Iterable[CompletionRecord]) -> dict[str, Any]:
    """Means over completions."""
    rows = list(records)
    tokens = sum(record.token_count for record in rows)
    return {
        "completions": len(rows),
        "length": tokens / len(rows),
        "eos_fraction": sum(record.finish_reason == "stop" for record in rows) / len(rows),
        "logprob_per_token": sum(record.logprob for record in rows) / tokens,
    }


if __name__ == "__main__":
    sys.exit(main(train))
