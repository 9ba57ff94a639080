"""What decoding remembers of the rows it runs: their keys and values, and how far each has come.

`SlotDecoder` calls the layers one by one and keeps keys and values in buffers made once: a row is a slot, a finished row
is overwritten by the last one, a new prompt goes behind them while the others go on. `WholeDecoder` is for models whose
layers cannot be called so: their own forward and cache, new prompts only when all rows have ended.

Both: `room(A)` rows may be admitted beside A running ones; `admit` gives the states [n, D] that choose their first
tokens; `step` takes one token per row to the next states [A, D]; `retain` drops rows and says which old row now stands
where. Axes: U distinct prompts, A running rows, P prompt positions, W positions looked at, S slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import DynamicCache

from training.backbone import Backbone
from training.batches import micro_batches
from training.cuda_graphs import RecordedStep
from training.kv_cache import PromptCache, SlotCache

PREFILL_TOKENS = 16384  # padded prompt tokens in one forward pass
REFILL_SHARE = 8  # new prompts come when one slot in so many is free
GRAPH_WIDTH = 256  # positions: a CUDA graph is recorded for every multiple of it
Tokens = Sequence[int]


class Decoder(Protocol):
    """See the module's first lines."""

    def room(self, running: int) -> int: ...

    def admit(self, prompts: Sequence[Tokens]) -> Tensor: ...

    def step(self, tokens_A: Tensor) -> Tensor: ...

    def retain(self, running: Sequence[int]) -> list[int]: ...


def decoder_for(backbone: Backbone, *, slots: int, capacity: int, graphs: bool = False) -> Decoder:
    """The decoder of a model: `slots` rows of at most `capacity` tokens. `graphs` replays steps as CUDA graphs."""
    if backbone.splits:
        return SlotDecoder(backbone, slots, capacity, recorded=graphs)
    return WholeDecoder(backbone, slots)


class SlotDecoder:
    """Rows in slots 0 … A - 1, each with its own length."""

    def __init__(self, backbone: Backbone, slots: int, capacity: int, *, recorded: bool = False) -> None:
        self.backbone, self.slots, self.recorded = backbone, slots, recorded
        self.cache = SlotCache(slots, capacity)
        self.lengths: list[int] = []
        self.lengths_A = torch.zeros(0, dtype=torch.long, device=backbone.device)
        self.positions_W = torch.arange(capacity, device=backbone.device)
        self.last: tuple[tuple[int, ...], dict[int, tuple[Tensor, Tensor]], Tensor] | None = None
        self.graphs: dict[tuple[int, int], RecordedStep] = {}

    def room(self, running: int) -> int:
        free = self.slots - running
        return free if not running or free * REFILL_SHARE >= self.slots else 0

    def admit(self, prompts: Sequence[Tokens]) -> Tensor:
        """Each distinct prompt is run once, also when its rows come in several admissions."""
        first = len(self.lengths)
        rows: dict[tuple[int, ...], list[int]] = {}
        for at, prompt in enumerate(prompts):
            rows.setdefault(tuple(prompt), []).append(at)
        states: list[Tensor] = [torch.empty(0)] * len(prompts)
        fresh = list(rows)
        if self.last and self.last[0] in rows:
            fresh.remove(self.last[0])
            self._place(self.last[1], 0, [first + at for at in rows[self.last[0]]], len(self.last[0]))
            for at in rows[self.last[0]]:
                states[at] = self.last[2]
        for group in micro_batches([len(prompt) for prompt in fresh], PREFILL_TOKENS):
            chosen = [fresh[at] for at in group]
            layers, states_UD = self._prefill(chosen)
            for u, prompt in enumerate(chosen):
                self._place(layers, u, [first + at for at in rows[prompt]], len(prompt))
                for at in rows[prompt]:
                    states[at] = states_UD[u]
            if tuple(prompts[-1]) in chosen:
                u = chosen.index(tuple(prompts[-1]))
                one = {layer: (keys[u : u + 1], values[u : u + 1]) for layer, (keys, values) in layers.items()}
                self.last = (chosen[u], one, states_UD[u])
        self._set([*self.lengths, *(len(prompt) for prompt in prompts)])
        return torch.stack(states)

    def _prefill(self, prompts: Sequence[Tokens]) -> tuple[dict[int, tuple[Tensor, Tensor]], Tensor]:
        """Right-padded prompts through all layers: keys and values, and the states [U, D] of their last tokens."""
        width, fill = max(map(len, prompts)), self.backbone.pad_id
        ids_UP = torch.tensor([[*row, *[fill] * (width - len(row))] for row in prompts], device=self.backbone.device)
        cache = PromptCache()
        states_UPD = self._layers(ids_UP, self.positions_W[None, :width], None, cache)
        last_U = torch.tensor([len(row) - 1 for row in prompts], device=self.backbone.device)
        return cache.layers, states_UPD[torch.arange(len(prompts), device=self.backbone.device), last_U]

    def _place(self, layers: dict[int, tuple[Tensor, Tensor]], u: int, slots: list[int], width: int) -> None:
        cache = self.cache
        for layer, (keys, values) in layers.items():
            if layer not in cache.layers:
                cache.rows, cache.columns = slice(0, 0), slice(0, 0)
                cache.update(keys[:0, :, :0], values[:0, :, :0], layer)
            for buffer, part in zip(cache.layers[layer], (keys, values), strict=True):
                buffer[slots, :, :width] = part[u, :, :width]

    def step(self, tokens_A: Tensor) -> Tensor:
        width = max(self.lengths) + 1
        if self.recorded:
            states_AD = self._replay(tokens_A)
        elif len(set(self.lengths)) == 1:  # no mask is needed, and keys are written as one slice
            self.cache.rows, self.cache.columns = slice(0, len(tokens_A)), slice(width - 1, width)
            self.cache.width = width
            states_AD = self._layers(tokens_A[:, None], self.lengths_A[:, None], None, self.cache)[:, -1]
        else:
            states_AD = self._step_at(tokens_A, self.lengths_A, width)
        self.lengths = [length + 1 for length in self.lengths]
        self.lengths_A = self.lengths_A + 1
        return states_AD

    def _mask(self, lengths_A: Tensor, width: int) -> Tensor:
        """What is added to attention scores [A, 1, 1, W]: 0 up to the row's own token, -∞ behind it."""
        hidden_AW = self.positions_W[None, :width] > lengths_A[:, None]
        zeros_AW = torch.zeros(hidden_AW.shape, dtype=self.backbone.dtype, device=hidden_AW.device)
        return zeros_AW.masked_fill_(hidden_AW, float("-inf"))[:, None, None, :]

    def _layers(self, ids: Tensor, positions: Tensor, mask: Tensor | None, cache: Any) -> Tensor:
        trunk = self.backbone.trunk
        with self.backbone.precision():
            states = trunk.embed_tokens(ids)
            rotary = trunk.rotary_emb(states, position_ids=positions)
            for layer in trunk.layers:
                states = layer(
                    states,
                    attention_mask=mask,
                    position_ids=positions,
                    position_embeddings=rotary,
                    past_key_values=cache,
                    use_cache=True,
                )
            final: Tensor = trunk.norm(states)
        return final

    def retain(self, running: Sequence[int]) -> list[int]:
        """The last rows move into the slots of those that have ended."""
        order = list(range(len(running)))
        kept = set(running)
        holes = [at for at in order if at not in kept]
        tails = [at for at in running if at >= len(order)]
        if holes:
            device = self.backbone.device
            width = max(self.lengths[at] for at in tails)
            self.cache.copy(torch.tensor(tails, device=device), torch.tensor(holes, device=device), width)
        for hole, tail in zip(holes, tails, strict=True):
            order[hole] = tail
        self._set([self.lengths[at] for at in order])
        return order

    def _set(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.lengths_A = torch.tensor(lengths, dtype=torch.long, device=self.backbone.device)

    # ------------------------------------------------------------ CUDA graphs

    def _replay(self, tokens_A: Tensor) -> Tensor:
        """The step as a recorded graph of a fixed number of rows and positions; rows too many compute and are not read."""
        rows = min(self.slots, 1 << (len(tokens_A) - 1).bit_length())
        width = min(self.cache.capacity, -(-(max(self.lengths) + 1) // GRAPH_WIDTH) * GRAPH_WIDTH)
        if (rows, width) not in self.graphs:
            self.graphs[rows, width] = RecordedStep(
                self._step_at, rows, self.cache.capacity, width, self.backbone.device
            )
        return self.graphs[rows, width].run(tokens_A, self.lengths_A)

    def _step_at(self, tokens_A: Tensor, lengths_A: Tensor, width: int) -> Tensor:
        """One step of rows whose lengths are known on the device only; they look at `width` positions."""
        self.cache.rows = torch.arange(len(tokens_A), device=tokens_A.device)
        self.cache.columns, self.cache.width = lengths_A, width
        return self._layers(tokens_A[:, None], lengths_A[:, None], self._mask(lengths_A, width), self.cache)[:, -1]


class WholeDecoder:
    """Left-padded rows through the model's own forward and cache."""

    def __init__(self, backbone: Backbone, slots: int) -> None:
        self.backbone, self.slots = backbone, slots
        self.cache = DynamicCache(config=backbone.model.config)
        self.mask_AW = torch.zeros(0, 0)
        self.position_A = torch.zeros(0)

    def room(self, running: int) -> int:
        return 0 if running else self.slots

    def admit(self, prompts: Sequence[Tokens]) -> Tensor:
        """The forward pass sees each distinct prompt once."""
        backbone = self.backbone
        distinct = {prompt: at for at, prompt in enumerate(dict.fromkeys(tuple(prompt) for prompt in prompts))}
        width, fill = max(map(len, distinct)), backbone.pad_id
        ids_UP = torch.tensor([[fill] * (width - len(row)) + list(row) for row in distinct], device=backbone.device)
        mask_UP = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in distinct], device=backbone.device)
        self.cache = DynamicCache(config=backbone.model.config)
        states_UD = self._forward(ids_UP, mask_UP, (mask_UP.cumsum(1) - 1).clamp(min=0))
        owner_A = torch.tensor([distinct[tuple(prompt)] for prompt in prompts], device=backbone.device)
        if len(distinct) < len(prompts):
            self.cache.batch_select_indices(owner_A)
        self.mask_AW = mask_UP[owner_A]
        self.position_A = self.mask_AW.sum(1)
        return states_UD[owner_A]

    def step(self, tokens_A: Tensor) -> Tensor:
        self.mask_AW = torch.nn.functional.pad(self.mask_AW, (0, 1), value=1)
        states_AD = self._forward(tokens_A[:, None], self.mask_AW, self.position_A[:, None])
        self.position_A = self.position_A + 1
        return states_AD

    def retain(self, running: Sequence[int]) -> list[int]:
        kept_A = torch.tensor(running, dtype=torch.long, device=self.backbone.device)
        self.cache.batch_select_indices(kept_A)
        self.mask_AW, self.position_A = self.mask_AW[kept_A], self.position_A[kept_A]
        return list(running)

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        with self.backbone.precision():
            out = self.backbone.trunk(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=self.cache, use_cache=True
            )
        states_AD: Tensor = out.last_hidden_state[:, -1]
        return states_AD
