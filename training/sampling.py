"""Sampling with a KV cache: one prefill per distinct prompt, new prompts take the place of finished rows, log-probabilities are kept.

Every row draws from its own seed, so in fp32 it gives the same text alone, in any batch, or taken in when another row
has ended. Axes: A rows still running, T answer tokens, D width, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from training.backbone import Backbone, stop_ids
from training.choosing import Chooser, Decoding
from training.configs import ConfigError
from training.contracts import ContractError
from training.decoders import Decoder, decoder_for
from training.packed_linear import can_pack, packed_linears

PACK_FROM = 8  # tokens: for shorter answers a copy of the weights does not pay

__all__ = ["Decoding", "Sampled", "answer_text", "check_room", "generate", "row_seed"]


@dataclass(frozen=True)
class Sampled:
    """One answer: its token ids (the stop token included), per token log-probability and value, and whether it ended by itself.

    `logprobs_T` are fp32 nats under the distribution the tokens were drawn from; for greedy decoding under temperature 1.
    """

    ids: list[int]
    logprobs_T: Tensor
    values_T: Tensor | None
    finished: bool


def row_seed(*parts: int | str) -> int:
    """A seed for one row from what identifies it (run seed, prompt, repetition …); the same parts give the same seed."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


@torch.no_grad()
def generate(
    backbone: Backbone,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding | Sequence[Decoding],
    seeds: Sequence[int],
    *,
    batch_rows: int = 64,
    names: Sequence[int | str] | None = None,
    value_of: Callable[[Tensor], Tensor] | None = None,
    on_answer: Callable[[int, Sampled], None] | None = None,
    check: Callable[[], None] | None = None,
    compile: bool = False,  # noqa: A002 - the setting's own name
) -> list[Sampled]:
    """One answer per prompt, in order; at most `batch_rows` are decoded together. `seeds` go with the rows.

    `decoding` may differ from row to row. `value_of` maps the states [A, D] that choose a token to values [A], which are
    kept. `on_answer` hears the index and the answer of every row that has ended. `check` is called between tokens and may
    raise to stop. `compile` replays steps as CUDA graphs. `names` stand for the rows in error messages. Raises
    ContractError for a prompt that is empty or leaves no room for the answer, ConfigError for `compile` without CUDA.
    """
    settings = [decoding] * len(prompts) if isinstance(decoding, Decoding) else list(decoding)
    limits = [row.max_new_tokens for row in settings]
    check_room(backbone, prompts, limits, names or range(len(prompts)))
    check_compile(backbone, compile)
    if not prompts:
        return []
    capacity = max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))
    slots = min(batch_rows, len(prompts))
    decoder = decoder_for(backbone, slots=slots, capacity=capacity, graphs=compile)
    queue = deque(sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), tuple(prompts[at]), at)))
    answers: dict[int, Sampled] = {}
    with _fast_linears(backbone, slots, min(limits)):
        for at, answer in _decode(backbone, decoder, queue, prompts, settings, seeds, value_of, check):
            answers[at] = answer
            if on_answer:
                on_answer(at, answer)
    return [answers[at] for at in range(len(prompts))]


def _fast_linears(backbone: Backbone, slots: int, tokens: int) -> AbstractContextManager[None]:
    if tokens >= PACK_FROM and can_pack(backbone.device, backbone.dtype):
        return packed_linears(backbone.shown, slots)
    return nullcontext()


def _decode(
    backbone: Backbone,
    decoder: Decoder,
    queue: deque[int],
    prompts: Sequence[Sequence[int]],
    settings: Sequence[Decoding],
    seeds: Sequence[int],
    value_of: Callable[[Tensor], Tensor] | None,
    check: Callable[[], None] | None,
) -> Iterator[tuple[int, Sampled]]:
    """Yield every row of the queue when it ends. Between two tokens rows may leave and others may come."""
    stops_S = torch.tensor(stop_ids(backbone), dtype=torch.long, device=backbone.device)
    rows = _Rows(backbone.device, max(row.max_new_tokens for row in settings))
    states_AD = torch.empty(0)
    while queue or rows.names:
        room = min(decoder.room(len(rows.names)), len(queue))
        if room:
            joining = [queue.popleft() for _ in range(room)]
            fresh_AD = decoder.admit([prompts[at] for at in joining])
            states_AD = torch.cat([states_AD, fresh_AD]) if rows.names else fresh_AD
            rows.join(joining, [settings[at] for at in joining], [seeds[at] for at in joining])
        if check:
            check()
        logits_AV = rows.chooser.hold_on(backbone.logits(states_AD), rows.count_A, stops_S)
        tokens_A, logprobs_A = rows.chooser.choose(logits_AV, rows.uniform_now())
        rows.put(tokens_A, logprobs_A, value_of(states_AD) if value_of else None)
        stopped_A = (tokens_A[:, None] == stops_S).any(1)
        full_A = rows.count_A == rows.limit_A
        ended, stopped = torch.stack([stopped_A | full_A, stopped_A]).tolist()  # one wait for the device a token
        if any(ended):
            yield from rows.answers([at for at, over in enumerate(ended) if over], stopped)
            running = [at for at, over in enumerate(ended) if not over]
            order = decoder.retain(running)
            rows.keep(order)
            if not order:
                continue
            tokens_A = tokens_A[torch.tensor(order, device=tokens_A.device)]
        states_AD = decoder.step(tokens_A)


class _Rows:
    """What is kept of the rows being decoded: who they are, how they draw, and [A, T] what they have said so far."""

    def __init__(self, device: torch.device, limit: int) -> None:
        wide = torch.float32 if device.type == "mps" else torch.float64
        self.names: list[int] = []
        self.settings: list[Decoding] = []
        self.chooser = Chooser.of([Decoding(1)], device)
        self.at_A = torch.arange(0, device=device)
        self.count_A = torch.zeros(0, dtype=torch.long, device=device)
        self.limit_A = torch.zeros(0, dtype=torch.long, device=device)
        self.uniform_AT = torch.zeros(0, limit, dtype=wide, device=device)
        self.ids_AT = torch.zeros(0, limit, dtype=torch.long, device=device)
        self.logprobs_AT = torch.zeros(0, limit, device=device)
        self.values_AT: Tensor | None = None

    def join(self, names: Sequence[int], settings: Sequence[Decoding], seeds: Sequence[int]) -> None:
        """Take in rows behind those that run."""
        count, limit = self.uniform_AT.shape
        drawn = [torch.rand(limit, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in seeds]
        self.names += names
        self.settings += settings
        more = torch.tensor([row.max_new_tokens for row in settings], device=self.count_A.device)
        self.limit_A = torch.cat([self.limit_A, more])
        self.uniform_AT = torch.cat([self.uniform_AT, torch.stack(drawn).to(self.uniform_AT)])
        self.count_A, self.ids_AT, self.logprobs_AT = (
            torch.cat([x, x.new_zeros(len(names), *x.shape[1:])]) for x in (self.count_A, self.ids_AT, self.logprobs_AT)
        )
        if self.values_AT is not None:
            self.values_AT = torch.cat([self.values_AT, self.values_AT.new_zeros(len(names), limit)])
        self._changed()

    def keep(self, order: Sequence[int]) -> None:
        """Row `order[i]` becomes row i; the rest leave."""
        self.names = [self.names[at] for at in order]
        self.settings = [self.settings[at] for at in order]
        chosen = torch.tensor(order, dtype=torch.long, device=self.count_A.device)
        for name in ("count_A", "limit_A", "uniform_AT", "ids_AT", "logprobs_AT"):
            setattr(self, name, getattr(self, name)[chosen])
        if self.values_AT is not None:
            self.values_AT = self.values_AT[chosen]
        self._changed()

    def _changed(self) -> None:
        device = self.count_A.device
        self.at_A = torch.arange(len(self.names), device=device)
        if self.settings:
            self.chooser = Chooser.of(self.settings, device)

    def uniform_now(self) -> Tensor:
        """The uniform number of each row's next token: the n-th of its own stream for its n-th token."""
        return self.uniform_AT[self.at_A, self.count_A]

    def put(self, tokens_A: Tensor, logprobs_A: Tensor, values_A: Tensor | None) -> None:
        """Write down one token a row."""
        self.ids_AT[self.at_A, self.count_A] = tokens_A
        self.logprobs_AT[self.at_A, self.count_A] = logprobs_A
        if values_A is not None:
            if self.values_AT is None:
                self.values_AT = torch.zeros_like(self.logprobs_AT)
            self.values_AT[self.at_A, self.count_A] = values_A.float()
        self.count_A = self.count_A + 1

    def answers(self, ended: Sequence[int], stopped: Sequence[bool]) -> Iterator[tuple[int, Sampled]]:
        """The rows at these indices as answers, with the names they came under."""
        chosen = torch.tensor(ended, device=self.count_A.device)
        counts, ids = self.count_A[chosen].tolist(), self.ids_AT[chosen].tolist()
        logprobs = self.logprobs_AT[chosen].cpu()
        values = None if self.values_AT is None else self.values_AT[chosen].cpu()
        for i, (at, count) in enumerate(zip(ended, counts, strict=True)):
            kept = None if values is None else values[i, :count].clone()
            yield self.names[at], Sampled(ids[i][:count], logprobs[i, :count].clone(), kept, stopped[at])


# ---------------------------------------------------------------- checks and texts


def check_room(
    backbone: Backbone, prompts: Sequence[Sequence[int]], limits: int | Sequence[int], names: Sequence[int | str]
) -> None:
    """Raise ContractError, naming the prompt, when one is empty or leaves no room for that many more tokens."""
    each = [limits] * len(prompts) if isinstance(limits, int) else limits
    for name, prompt, limit in zip(names, prompts, each, strict=True):
        if not prompt:
            raise ContractError(f"prompt {name} has no tokens")
        if len(prompt) + limit > backbone.context_length:
            raise ContractError(
                f"prompt {name} has {len(prompt)} tokens; with max_new_tokens {limit} it exceeds the model's "
                f"{backbone.context_length}: shorten the prompt or lower max_new_tokens"
            )


def check_compile(backbone: Backbone, wanted: bool) -> None:
    """Raise ConfigError where recorded steps cannot be had: they are CUDA graphs over layers called one by one."""
    if wanted and backbone.device.type != "cuda":
        raise ConfigError("compile", f"records CUDA graphs and gains nothing on {backbone.device.type}: leave it off")
    if wanted and not backbone.splits:
        raise ConfigError("compile", f"{type(backbone.model).__name__} cannot be run layer by layer: leave it off")
    turning = str(getattr(getattr(backbone.trunk, "rotary_emb", None), "rope_type", ""))
    if wanted and ("dynamic" in turning or "longrope" in turning):  # the host looks at the positions of every step
        raise ConfigError(
            "compile", "rotary positions of this model follow the length, which no graph can: leave it off"
        )


def answer_text(backbone: Backbone, sampled: Sampled) -> str:
    """The words of an answer, without its special tokens. NUL characters are dropped: no text column takes them."""
    return str(backbone.tokenizer.decode(sampled.ids, skip_special_tokens=True)).replace("\x00", "")
