"""What a sampling run has done: records kept on disk as they come, and a line of numbers about twice a second."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from training import distributed
from training.contracts import CompletionRecord, canonical_json
from training.session import Session

SHOWN = 3  # texts of every group kept together that are written to samples.jsonl
LOG_SECONDS = 0.5


class Progress:
    """`records` by id, those of an earlier process included."""

    def __init__(self, session: Session, *, total: int) -> None:
        self.session = session
        folder, rank = session.run_dir / "checkpoints", distributed.rank()
        with distributed.first_before_others():
            folder.mkdir(exist_ok=True)
            kept = [record for path in sorted(folder.glob("completions*.jsonl")) for record in read_kept(path)]
        distributed.wait()  # nobody writes before all have read
        self.path = folder / (f"completions-{rank}.jsonl" if rank else "completions.jsonl")
        self.records = {record.id: record for record in kept}
        self.done, self.total = len(self.records), total
        self._logged = 0.0
        session.journal.plan(done=self.done, total=total)

    def finished(self) -> None:
        """Hear that one more completion has ended, and take it that the other ranks are as far."""
        self.done = min(self.done + distributed.size(), self.total)
        if time.monotonic() - self._logged >= LOG_SECONDS:
            self._logged = time.monotonic()
            self.session.log(self.done, **{"sample/completions": self.done})

    def gather(self) -> None:
        """Have the records of all ranks."""
        self.records = {name: record for part in distributed.of_all(self.records) for name, record in part.items()}

    def keep(self, records: Sequence[CompletionRecord], prompts: Sequence[str]) -> None:
        """Write records to disk, so that a stopped run need not sample them again, and log what they are like so far."""
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write("".join(canonical_json(asdict(record)) + "\n" for record in records))
            handle.flush()
            os.fsync(handle.fileno())
        self.records |= {record.id: record for record in records}
        kept = self.records.values()
        self.session.log(
            self.done,
            **{
                "sample/completions": len(kept),
                "sample/length": sum(record.token_count for record in kept) / len(kept),
                "sample/eos_fraction": sum(record.finish_reason == "stop" for record in kept) / len(kept),
            },
        )
        for record, prompt in list(zip(records, prompts, strict=True))[:SHOWN]:
            facts = {"policy": record.policy, "tokens": record.token_count, "finish_reason": record.finish_reason}
            self.session.sample(self.done, prompt=prompt, text=record.text, **facts)


def read_kept(path: Path) -> list[CompletionRecord]:
    """The completions an earlier process has kept; a last line that was cut off is removed."""
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]  # bytes: the cut may lie within a letter
    if whole != data:
        os.truncate(path, len(whole))
    return [CompletionRecord.parse(json.loads(line), path.name) for line in whole.splitlines() if line]
