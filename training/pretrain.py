"""A small base model from plain text: next-token loss on documents packed into rows, none seeing another.

    python -m training.pretrain RUN_DIR

Reads data.documents (`train`, `valid`; `source` picks the mixture weight); leaves a base model with its own tokenizer.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

from training import distributed, sharding
from training.backbone import Backbone
from training.chat import TokenRow
from training.configs import ConfigError, PretrainConfig
from training.contracts import ContractError, DocumentRecord
from training.language_loss import accumulate, mean_loss
from training.new_model import END_OF_TEXT, new_backbone, new_tokenizer
from training.optimization import build_optimizer, epoch_order, optimizer_step
from training.packing import PackedRow, pack_rows
from training.records import document_tokens
from training.sampling import Decoding, answer_text, generate
from training.session import Metrics, Session, main

EVALUATIONS = 10  # over the run
OPENING = 8  # tokens of a document that the model is shown to continue


def train(session: Session) -> Metrics:
    """Make a tokenizer and a model, teach it the documents, return the run's metrics."""
    config: PretrainConfig = session.config
    records: list[DocumentRecord] = session.records("documents")
    parts = {name: [record for record in records if record.split == name] for name in ("train", "valid")}
    if not parts["train"]:
        raise ContractError("data.documents has no row of split 'train'")
    sources = sorted({record.source for record in parts["train"]})
    texts = (record.text for record in parts["train"])
    with distributed.first_before_others():
        tokenizer = new_tokenizer(texts, config, session.run_dir / "tokenizer.json")
    documents = {
        source: document_tokens([r for r in parts["train"] if r.source == source], tokenizer, END_OF_TEXT)
        for source in sources
    }
    held = document_tokens(parts["valid"], tokenizer, END_OF_TEXT)
    valid_rows = pack(held, range(len(held)), config.context)
    mixture = mixture_weights(config.weights, {source: sum(map(len, rows)) for source, rows in documents.items()})

    backbone = new_backbone(tokenizer, config, session.device, session.dtype)
    weights = backbone.tune(config)
    optimizer = build_optimizer(weights, config)
    kept = session.restore(weights, optimizer)
    shown = (held or documents[sources[0]])[:2]
    if not kept:
        kept = {"taken": dict.fromkeys(sources, 0), "tokens": 0}
        kept["valid_before"] = kept["valid_after"] = evaluate(session, backbone, valid_rows, step=0)

    streams = {
        source: RowStream(rows, context=config.context, seed=session.spec.seed, taken=kept["taken"][source])
        for source, rows in documents.items()
    }
    for step in session.steps(config.steps):
        draw = random.Random(f"{session.spec.seed}:mixture:{step}")
        chosen = draw.choices(list(mixture), list(mixture.values()), k=config.batch_rows)
        rows = [next(streams[source]) for source in chosen]
        kept["taken"] = {source: stream.taken for source, stream in streams.items()}
        loss = accumulate(backbone, rows, config.micro_tokens)
        rate, norm = optimizer_step(optimizer, step, config.steps, config)
        kept.setdefault("loss_first", loss)
        kept["loss_last"] = loss
        tokens = sum(len(row.ids) for row in rows)
        kept["tokens"] += tokens
        session.count(tokens)
        numbers = {"pretrain/loss": loss, "pretrain/grad_norm": norm, "pretrain/learning_rate": rate}
        session.log(step, **numbers, **{"pretrain/tokens": kept["tokens"]})
        if step % max(1, config.steps // EVALUATIONS) == 0 or step == config.steps:
            kept["valid_after"] = evaluate(session, backbone, valid_rows, step=step)
            show(session, backbone, shown, step=step)
        session.end_step(step, weights=weights, optimizer=optimizer, extra=kept)

    backbone.save_policy(session.staging)
    return {
        "loss_first": kept["loss_first"],
        "loss_last": kept["loss_last"],
        "valid_loss_before": kept["valid_before"],
        "valid_loss_after": kept["valid_after"],
        "tokens": kept["tokens"],
        "documents": len(parts["train"]),
        "parameters": sum(weight.numel() for weight in weights.values()),
        "vocabulary": len(tokenizer),
        "steps": config.steps,
    }


def mixture_weights(text: str, sizes: dict[str, int]) -> dict[str, float]:
    """Parse "source=weight, …"; every source must be named. Empty: in proportion to tokens. Raises ConfigError."""
    if not text.strip():
        return {source: float(size) for source, size in sizes.items()}
    weights: dict[str, float] = {}
    for part in text.split(","):
        source, equals, number = part.partition("=")
        try:
            weights[source.strip()] = float(number) if equals else -1.0
        except ValueError:
            weights[source.strip()] = -1.0
        if not 0.0 <= weights[source.strip()] < float("inf"):
            raise ConfigError("weights", f"'{part.strip()}' must be source=weight with a weight of 0 or more")
    if set(weights) != set(sizes):
        raise ConfigError("weights", f"must name each source once; the documents have {', '.join(sizes)}")
    if not any(weights.values()):
        raise ConfigError("weights", "at least one weight must be above 0")
    return weights


def pack(documents: Sequence[list[int]], order: Sequence[int], context: int) -> list[PackedRow]:
    """The documents in rows of at most `context` tokens by best fit; one that is longer is cut into pieces. Nothing is dropped.

    The first token of a piece carries no loss: nothing in its row comes before it.
    """
    pieces = [
        documents[number][start : start + context]
        for number in order
        for start in range(0, len(documents[number]), context)
    ]
    return pack_rows([TokenRow(piece, [True] * len(piece)) for piece in pieces], context)


class RowStream:
    """Endless packed rows: pass after pass over the documents, each in a new order; `taken` rows are behind."""

    def __init__(self, documents: Sequence[list[int]], *, context: int, seed: int, taken: int) -> None:
        self.documents, self.context, self.seed, self.taken = documents, context, seed, taken
        self._epoch = 0
        self._rows = self._pack_epoch()
        self._place = taken
        while self._place > len(self._rows):
            self._place -= len(self._rows)
            self._next_epoch()

    def _pack_epoch(self) -> list[PackedRow]:
        order = epoch_order(len(self.documents), seed=self.seed, epoch=self._epoch)
        rows = pack(self.documents, order, self.context)
        random.Random(f"{self.seed}:rows:{self._epoch}").shuffle(rows)  # best fit puts the longest documents first
        return rows

    def _next_epoch(self) -> None:
        self._epoch += 1
        self._rows = self._pack_epoch()

    def __next__(self) -> PackedRow:
        if self._place == len(self._rows):
            self._next_epoch()
            self._place = 0
        row = self._rows[self._place]
        self._place += 1
        self.taken += 1
        return row


def evaluate(session: Session, backbone: Backbone, rows: Sequence[PackedRow], *, step: int) -> float | None:
    """Mean held-out loss per token, logged as split valid; None without held-out documents."""
    loss = mean_loss(backbone, rows, session.config.micro_tokens)
    if loss is not None:
        session.log(step, "valid", **{"pretrain/loss": loss})
    return loss


def show(session: Session, backbone: Backbone, documents: Sequence[list[int]], *, step: int) -> None:
    """Write greedy continuations of a few documents' openings to samples.jsonl."""
    openings = [document[:OPENING] for document in documents]
    room = min(48, backbone.context_length - OPENING)
    with sharding.gathered(backbone.model):
        if not session.writes:
            return
        answers = generate(backbone, openings, Decoding(room, temperature=0.0), [0] * len(openings))
    for opening, answer in zip(openings, answers, strict=True):
        prompt = str(backbone.tokenizer.decode(opening))
        session.sample(step, prompt=prompt, text=answer_text(backbone, answer), tokens=len(answer.ids))


if __name__ == "__main__":
    sys.exit(main(train))
