"""Sampling with a KV cache: one prefill per distinct prompt, finished rows leave the batch, log-probabilities are kept.

Every row draws from its own seed, so in fp32 it gives the same text alone as in any batch. Prompts are padded on the
left; position ids count real tokens only, so padding changes nothing. Axes: U distinct prompts, A rows still running,
R rows of the batch, P prompt positions, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from training.backbone import Backbone, stop_ids
from training.contracts import ContractError

NUCLEUS_FIRST = 512  # tokens looked at before the whole vocabulary is sorted


@dataclass(frozen=True)
class Decoding:
    """How to decode. Temperature 0 takes the likeliest token; `top_p` keeps the smallest set of tokens of that probability."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0


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


def plan_batches(prompts: Sequence[Sequence[int]], batch_rows: int) -> list[list[int]]:
    """Indices of `prompts` in batches of at most `batch_rows`, of like length and with equal prompts side by side."""
    order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), tuple(prompts[at]), at))
    return [order[start : start + batch_rows] for start in range(0, len(order), batch_rows)]


def generate(
    backbone: Backbone,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    seeds: Sequence[int],
    *,
    batch_rows: int = 64,
    names: Sequence[int | str] | None = None,
    value_of: Callable[[Tensor], Tensor] | None = None,
    on_done: Callable[[int], None] | None = None,
    check: Callable[[], None] | None = None,
) -> list[Sampled]:
    """One answer per prompt, in order. `seeds` go with the rows; `names` stand for them in error messages.

    `value_of` maps the states [A, D] that choose a token to values [A], which are kept. `on_done` hears how many rows
    have just finished. `check` is called between tokens and may raise to stop. Raises ContractError for a prompt that is
    empty or leaves no room for the answer.
    """
    results: dict[int, Sampled] = {}
    for rows in plan_batches(prompts, batch_rows):
        batch = decode_batch(
            backbone,
            [prompts[at] for at in rows],
            decoding,
            [seeds[at] for at in rows],
            names=[names[at] for at in rows] if names else rows,
            value_of=value_of,
            on_done=on_done,
            check=check,
        )
        results.update(zip(rows, batch, strict=True))
    return [results[at] for at in range(len(prompts))]


@torch.no_grad()
def decode_batch(
    backbone: Backbone,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    seeds: Sequence[int],
    *,
    names: Sequence[int | str] | None = None,
    value_of: Callable[[Tensor], Tensor] | None = None,
    on_done: Callable[[int], None] | None = None,
    check: Callable[[], None] | None = None,
) -> list[Sampled]:
    """One answer per prompt, all decoded together; see `generate`."""
    check_room(backbone, prompts, decoding.max_new_tokens, names or range(len(prompts)))
    device, limit = backbone.device, decoding.max_new_tokens
    stops = torch.tensor(stop_ids(backbone), device=device)
    uniform_RT = _uniforms(seeds, limit, device)
    cache, states_AD, mask_AP = _prefill(backbone, prompts)
    next_position_A = mask_AP.sum(1)
    alive_A = torch.arange(len(prompts), device=device)
    kept = _Kept.empty(len(prompts), limit, device, with_values=value_of is not None)
    for t in range(limit):
        if check:
            check()
        tokens_A, logprobs_A = choose(backbone.logits(states_AD), uniform_RT[alive_A, t], decoding)
        kept.put(t, alive_A, tokens_A, logprobs_A, value_of(states_AD) if value_of else None)
        stopped_A = torch.isin(tokens_A, stops)
        running = (~stopped_A).nonzero()[:, 0]
        kept.finished_R[alive_A[stopped_A]] = True
        if on_done and len(running) < len(alive_A) and t + 1 < limit:
            on_done(len(alive_A) - len(running))
        if not len(running) or t + 1 == limit:
            if on_done and t + 1 == limit:
                on_done(len(alive_A))
            break
        if len(running) < len(alive_A):
            cache.batch_select_indices(running)
            tokens_A, alive_A = tokens_A[running], alive_A[running]
            mask_AP, next_position_A = mask_AP[running], next_position_A[running]
        mask_AP = torch.nn.functional.pad(mask_AP, (0, 1), value=1)
        states_AD = _step(backbone, tokens_A[:, None], mask_AP, (next_position_A + t)[:, None], cache)
    return list(kept.rows())


def choose(logits_AV: Tensor, uniform_A: Tensor, decoding: Decoding) -> tuple[Tensor, Tensor]:
    """A token per row by inverting the cumulative distribution at `uniform_A`, and its log-probability (fp32)."""
    logprobs_AV = torch.log_softmax(logits_AV.float() / (decoding.temperature or 1.0), -1)
    if decoding.temperature == 0.0:
        tokens_A = logprobs_AV.argmax(-1)
    elif decoding.top_p < 1.0:
        return _choose_in_nucleus(logprobs_AV, uniform_A, decoding.top_p)
    else:
        tokens_A = _invert(logprobs_AV.exp(), uniform_A)
    return tokens_A, logprobs_AV.gather(-1, tokens_A[:, None])[:, 0]


def _choose_in_nucleus(logprobs_AV: Tensor, uniform_A: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """Holtzman et al. 2020: sort by probability, keep tokens until `top_p` is reached, renormalise."""
    probs_AV = logprobs_AV.exp()
    top_AK, ids_AK = probs_AV.topk(min(NUCLEUS_FIRST, probs_AV.shape[-1]))
    if top_AK.shape[-1] < probs_AV.shape[-1] and bool((top_AK.sum(-1) < top_p).any()):
        top_AK, ids_AK = probs_AV.sort(-1, descending=True)
    nucleus_AK = torch.where(top_AK.cumsum(-1) - top_AK < top_p, top_AK, 0.0)
    place_A1 = _invert(nucleus_AK, uniform_A)[:, None]
    logprobs_A = (nucleus_AK.gather(-1, place_A1)[:, 0] / nucleus_AK.sum(-1)).log()
    return ids_AK.gather(-1, place_A1)[:, 0], logprobs_A


def _invert(weights_AV: Tensor, uniform_A: Tensor) -> Tensor:
    wide = weights_AV if weights_AV.device.type == "mps" else weights_AV.double()
    cumulative_AV = wide.cumsum(-1)
    target_A1 = uniform_A[:, None].to(wide.dtype) * cumulative_AV[:, -1:]
    return torch.searchsorted(cumulative_AV, target_A1, right=True)[:, 0].clamp(max=weights_AV.shape[-1] - 1)


def _uniforms(seeds: Sequence[int], count: int, device: torch.device) -> Tensor:
    rows = [torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in seeds]
    return torch.stack(rows).to(device, torch.float32 if device.type == "mps" else torch.float64)


def _prefill(backbone: Backbone, prompts: Sequence[Sequence[int]]) -> tuple[DynamicCache, Tensor, Tensor]:
    """Cache, last states [R, D] and mask [R, P] of the rows; the forward pass sees each distinct prompt once."""
    distinct = {tuple(prompt): at for at, prompt in enumerate(dict.fromkeys(tuple(prompt) for prompt in prompts))}
    width = max(map(len, distinct))
    fill = backbone.pad_id
    ids_UP = torch.tensor([[fill] * (width - len(row)) + list(row) for row in distinct], device=backbone.device)
    mask_UP = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in distinct], device=backbone.device)
    cache = DynamicCache(config=backbone.model.config)
    states_UD = _step(backbone, ids_UP, mask_UP, (mask_UP.cumsum(1) - 1).clamp(min=0), cache)
    owner_R = torch.tensor([distinct[tuple(prompt)] for prompt in prompts], device=backbone.device)
    if len(distinct) < len(prompts):
        cache.batch_select_indices(owner_R)
    return cache, states_UD[owner_R], mask_UP[owner_R]


def _step(backbone: Backbone, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
    with backbone.precision():
        out = backbone.trunk(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
    states_AD: Tensor = out.last_hidden_state[:, -1]
    return states_AD


def check_room(backbone: Backbone, prompts: Sequence[Sequence[int]], limit: int, names: Sequence[int | str]) -> None:
    """Raise ContractError, naming the prompt, when one is empty or leaves no room for `limit` more tokens."""
    for name, prompt in zip(names, prompts, strict=True):
        if not prompt:
            raise ContractError(f"prompt {name} has no tokens")
        if len(prompt) + limit > backbone.context_length:
            raise ContractError(
                f"prompt {name} has {len(prompt)} tokens; with max_new_tokens {limit} it exceeds the model's "
                f"{backbone.context_length}: shorten the prompt or lower max_new_tokens"
            )


@dataclass
class _Kept:
    """What decoding keeps of R rows; short rows end in zeros that `rows` cuts off."""

    ids_RT: Tensor
    logprobs_RT: Tensor
    values_RT: Tensor | None
    lengths_R: Tensor
    finished_R: Tensor

    @classmethod
    def empty(cls, rows: int, limit: int, device: torch.device, *, with_values: bool) -> _Kept:
        return cls(
            torch.zeros(rows, limit, dtype=torch.long, device=device),
            torch.zeros(rows, limit, device=device),
            torch.zeros(rows, limit, device=device) if with_values else None,
            torch.zeros(rows, dtype=torch.long, device=device),
            torch.zeros(rows, dtype=torch.bool, device=device),
        )

    def put(self, t: int, rows_A: Tensor, tokens_A: Tensor, logprobs_A: Tensor, values_A: Tensor | None) -> None:
        self.ids_RT[rows_A, t] = tokens_A
        self.logprobs_RT[rows_A, t] = logprobs_A
        self.lengths_R[rows_A] = t + 1
        if self.values_RT is not None and values_A is not None:
            self.values_RT[rows_A, t] = values_A.float()

    def rows(self) -> Iterator[Sampled]:
        ids, logprobs = self.ids_RT.tolist(), self.logprobs_RT.cpu()
        values = None if self.values_RT is None else self.values_RT.cpu()
        for at, (length, finished) in enumerate(zip(self.lengths_R.tolist(), self.finished_R.tolist(), strict=True)):
            yield Sampled(
                ids[at][:length],
                logprobs[at, :length].clone(),
                None if values is None else values[at, :length].clone(),
                finished,
            )


def answer_text(backbone: Backbone, sampled: Sampled) -> str:
    """The words of an answer, without its special tokens. NUL characters are dropped: no text column takes them."""
    return str(backbone.tokenizer.decode(sampled.ids, skip_special_tokens=True)).replace("\x00", "")
