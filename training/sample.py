"""Completions of prompts from one or more policies.

    python -m training.sample RUN_DIR

Reads data.prompts and inputs.policy (several are allowed, each with its own name); leaves completions.jsonl in output/.
With inputs.reward every completion is scored, and the best of `best_of` candidates is kept; inputs.gold only watches.
data.demonstrations gives the few-shot turns. A row's text depends on the seed, its prompt, its policy's name and its
number only. What is finished when the run is stopped is kept in checkpoints/completions.jsonl and not sampled again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from training import distributed
from training.advantages import best_of_n_kl
from training.backbone import Backbone, load_backbone
from training.best_of_n import Judges, best_answers, load_judges, report_curve
from training.chat import encode_prompt
from training.configs import SampleConfig
from training.contracts import CompletionRecord, ContractError, InputRef, PromptRecord, canonical_json
from training.prompt_programs import PromptProgram, build_program
from training.records import prompt_rows
from training.sample_progress import Progress
from training.sampling import Decoding, Sampled, answer_text, generate, row_seed
from training.session import Interrupted, Metrics, Session, main

SCORES = {  # of a result, and where a record has them
    "score": "score",
    "score_candidates": "score_mean",
    "gold_score": "gold_score",
    "gold_score_candidates": "gold_score_best_of_1",
}


@dataclass(frozen=True)
class Row:
    """One completion to sample: the `number`-th of a prompt. `ids` is the prompt behind the program, `plain_ids` alone."""

    id: str
    prompt: PromptRecord
    ids: list[int]
    plain_ids: list[int]
    number: int


def train(session: Session) -> Metrics:
    """Sample every row of every policy; return the run's metrics."""
    config: SampleConfig = session.config
    records: list[PromptRecord] = session.records("prompts")
    if not records:
        raise ContractError("data.prompts is empty; name at least one prompt")
    program = build_program(config.system, config.shots, session.records("demonstrations"))
    policies = named_policies(session.spec.inputs["policy"])
    judges = load_judges(session)
    progress = Progress(session, total=len(records) * len(policies) * config.n)
    for name, path in policies.items():
        backbone = load_backbone(path, device=session.device, dtype=session.dtype)
        judges.check_tokenizer(backbone, name)
        rows = [row for row in rows_of(name, records, backbone, program, config.n) if row.id not in progress.records]
        own = [rows[at] for at in distributed.share([len(row.ids) for row in rows])]
        sample_rows(session, backbone, judges, name, own, progress)
        del backbone
    progress.gather()
    ordered = [
        progress.records[completion_id(record.id, name, number)]
        for record in records
        for name in policies
        for number in range(config.n)
    ]
    text = "".join(canonical_json(asdict(record)) + "\n" for record in ordered)
    if session.writes:
        (session.staging / "completions.jsonl").write_text(text, encoding="utf-8")
    found = summary(ordered) | {"policies": len(policies), "prompts": len(records)}
    if judges.gold:
        found |= report_curve(session, ordered, config.best_of)
    return found | ({"best_of_kl_bound": best_of_n_kl(config.best_of)} if config.best_of > 1 else {})


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


def rows_of(
    policy: str, records: Sequence[PromptRecord], backbone: Backbone, program: PromptProgram, n: int
) -> list[Row]:
    """All rows of one policy."""
    whole = [program.apply(record) for record in records]
    prompts = prompt_rows(whole, backbone.tokenizer, max_tokens=backbone.context_length)
    return [
        Row(completion_id(record.id, policy, number), record, prompt.ids, plain, number)
        for record, prompt in zip(records, prompts, strict=True)
        for plain in [encode_prompt(backbone.tokenizer, record.messages)]
        for number in range(n)
    ]


def sample_rows(
    session: Session,
    backbone: Backbone,
    judges: Judges,
    policy: str,
    rows: Sequence[Row],
    progress: Progress,
) -> None:
    """Decode all candidates of the rows; as soon as a row has all of its own, the best one is kept."""
    config: SampleConfig = session.config
    candidates: dict[int, dict[int, Sampled]] = {}
    ready: list[int] = []

    def keep() -> None:
        chosen = [[drawn[number] for number in range(config.best_of)] for drawn in map(candidates.pop, ready)]
        kept = [rows[at] for at in ready]
        ready.clear()
        found = best_answers(judges, [row.plain_ids for row in kept], chosen)
        pairs = zip(kept, found, strict=True)
        progress.keep(
            [record_of(session, backbone, policy, row, answer, score) for row, (answer, score) in pairs],
            [row.prompt.messages[-1]["content"] for row in kept],
        )

    def on_answer(at: int, answer: Sampled) -> None:
        row, number = divmod(at, config.best_of)
        candidates.setdefault(row, {})[number] = answer
        session.count(len(answer.ids))
        if len(candidates[row]) == config.best_of:
            progress.finished()
            ready.append(row)
            if len(ready) * config.best_of >= config.batch_rows:
                keep()

    try:
        generate(
            backbone,
            [row.ids for row in rows for _ in range(config.best_of)],
            Decoding(config.max_new_tokens, config.temperature, config.top_p, config.min_new_tokens),
            [seed_of(session.spec.seed, policy, row, number) for row in rows for number in range(config.best_of)],
            batch_rows=config.batch_rows,
            names=[row.prompt.id for row in rows for _ in range(config.best_of)],
            on_answer=on_answer,
            check=partial(session.check_stop, alone=True),
            compile=config.compile,
        )
    except Interrupted:
        if ready:
            keep()
        raise
    if ready:
        keep()


def seed_of(seed: int, policy: str, row: Row, candidate: int) -> int:
    """The first candidate draws as the completion would without best_of, so that best_of can only raise its score."""
    parts = (seed, policy, row.prompt.id, row.number)
    return row_seed(*parts, candidate) if candidate else row_seed(*parts)


def record_of(
    session: Session, backbone: Backbone, policy: str, row: Row, answer: Sampled, score: dict[str, float]
) -> CompletionRecord:
    """The record that is exchanged for one answer. `logprob` is the answer's own, whatever it was chosen from."""
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
            "min_new_tokens": config.min_new_tokens,
            "system": config.system,
            "shots": config.shots,
            "best_of": config.best_of,
            "seed": session.spec.seed,
            "number": row.number,
            **score,
        },
    )


def summary(records: Iterable[CompletionRecord]) -> dict[str, Any]:
    """Means over completions; of scores, `score` and `gold_score` of those kept and …`_candidates` of all that were drawn."""
    rows = list(records)
    tokens = sum(record.token_count for record in rows)
    found: dict[str, Any] = {
        "completions": len(rows),
        "length": tokens / len(rows),
        "eos_fraction": sum(record.finish_reason == "stop" for record in rows) / len(rows),
        "logprob_per_token": sum(record.logprob for record in rows) / tokens,
    }
    for name, source in SCORES.items():
        if all(source in record.sampling for record in rows):
            found[name] = sum(record.sampling[source] for record in rows) / len(rows)
    return found


if __name__ == "__main__":
    sys.exit(main(train))
