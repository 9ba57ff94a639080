"""Records to token rows for each stage. A row that is too long is an error that names it: nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from training.chat import TokenRow, encode_answer, encode_demonstration, encode_prompt, encode_text
from training.contracts import ContractError, DemonstrationRecord, DocumentRecord, PromptRecord, RankingRecord


@dataclass(frozen=True)
class PromptRow:
    """A prompt ready to be continued."""

    id: str
    ids: list[int]


@dataclass(frozen=True)
class RankingRow:
    """One prompt and its K completions; `ranks[k]` 1 is best, equal ranks are ties. It is never split over batches."""

    id: str
    prompt_id: str
    prompt: list[int]
    completions: list[list[int]]
    ranks: list[int]
    margin: float = 0.0

    @property
    def pairs(self) -> int:
        """Pairs of completions whose ranks differ."""
        return sum(a != b for at, a in enumerate(self.ranks) for b in self.ranks[:at])

    @property
    def longest(self) -> int:
        """Tokens of the prompt and its longest completion."""
        return len(self.prompt) + max(map(len, self.completions))


def demonstration_rows(
    records: Sequence[DemonstrationRecord], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> list[TokenRow]:
    """Conversations with the assistant's tokens marked; raises ContractError for one longer than `max_tokens`."""
    for at, record in enumerate(records):
        if len(record.messages) < 2 or record.messages[-2]["role"] != "user":
            raise ContractError(f"demonstrations row {at + 1} (id {record.id}): no user message before the answer")
    rows = [encode_demonstration(tokenizer, record.messages) for record in records]
    _check_lengths("demonstrations", [record.id for record in records], [len(row.ids) for row in rows], max_tokens)
    return rows


def prompt_rows(
    records: Sequence[PromptRecord], tokenizer: PreTrainedTokenizerBase, *, system: str = "", max_tokens: int
) -> list[PromptRow]:
    """Prompts with the assistant's turn opened; raises ContractError for one longer than `max_tokens` or an id that occurs twice."""
    seen: set[str] = set()
    for at, record in enumerate(records):
        if record.id in seen:  # answers, seeds and scores go by the id
            raise ContractError(f"prompts row {at + 1}: the id '{record.id}' occurs twice; give each prompt its own")
        seen.add(record.id)
    rows = [PromptRow(record.id, encode_prompt(tokenizer, record.messages, system)) for record in records]
    _check_lengths("prompts", [row.id for row in rows], [len(row.ids) for row in rows], max_tokens)
    return rows


def comparing(records: Sequence[RankingRecord]) -> list[RankingRecord]:
    """The rankings of two completions and more; one alone is compared with nothing."""
    return [record for record in records if len(record.completions) > 1]


def ranking_rows(
    records: Sequence[RankingRecord], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> list[RankingRow]:
    """Rankings as tokens. A completion cut off at its token limit gets no end token: it was never finished.

    Raises ContractError for a prompt with a completion longer than `max_tokens`.
    """
    rows = [_ranking_row(record, tokenizer) for record in records]
    _check_lengths("rankings", [row.id for row in rows], [row.longest for row in rows], max_tokens)
    return rows


def _ranking_row(record: RankingRecord, tokenizer: PreTrainedTokenizerBase) -> RankingRow:
    completions = [
        encode_answer(tokenizer, completion["text"], finished=completion.get("finish_reason") != "length")
        for completion in record.completions
    ]
    if record.margin and len(completions) != 2:
        raise ContractError(f"ranking {record.id}: 'margin' is for 2 completions, not {len(completions)}; leave it out")
    prompt = encode_prompt(tokenizer, record.messages)
    return RankingRow(record.id, record.prompt_id, prompt, completions, record.ranks, record.margin)


def document_tokens(
    records: Sequence[DocumentRecord], tokenizer: PreTrainedTokenizerBase, separator: int
) -> list[list[int]]:
    """Texts as tokens, each closed by `separator`."""
    return [[*encode_text(tokenizer, record.text), separator] for record in records]


def _check_lengths(kind: str, ids: Sequence[str], lengths: Sequence[int], limit: int) -> None:
    over = [at for at, length in enumerate(lengths) if length > limit]
    if over:
        first = over[0]
        more = f" ({len(over)} rows are too long)" if len(over) > 1 else ""
        raise ContractError(
            f"{kind} row {first + 1} (id {ids[first]}): {lengths[first]} tokens, but the limit is {limit}{more}; "
            "shorten it or raise max_tokens (the model's own context is the upper end)"
        )
