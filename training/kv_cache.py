"""Keys and values of the layers while decoding; both stand in for the cache of `transformers` inside a layer. Imports torch only."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class SlotCache:
    """Keys and values of every layer, [S, heads, capacity, width of a head]; made when the first ones come.

    `rows` and `columns` say where the next keys and values go, `width` how many positions a layer may look at.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self.slots, self.capacity = slots, capacity
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        self.rows: Tensor | slice = slice(None)
        self.columns: Tensor | slice = slice(None)
        self.width = 0

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write what a layer has computed and return what it may look at: `width` positions of the rows given."""
        if layer not in self.layers:
            shape = (self.slots, keys.shape[1], self.capacity, keys.shape[3])
            self.layers[layer] = (keys.new_zeros(shape), values.new_zeros((*shape[:3], values.shape[3])))
        kept = self.layers[layer]
        for buffer, fresh in zip(kept, (keys, values), strict=True):
            if isinstance(self.rows, Tensor):
                buffer[self.rows, :, self.columns] = fresh[:, :, 0]
            else:
                buffer[self.rows, :, self.columns] = fresh
        return kept[0][: len(keys), :, : self.width], kept[1][: len(keys), :, : self.width]

    def copy(self, sources: Tensor, targets: Tensor, width: int) -> None:
        """Copy the first `width` positions of slots onto others."""
        for buffers in self.layers.values():
            for buffer in buffers:
                buffer[targets, :, :width] = buffer[sources, :, :width]


class PromptCache:
    """Keys and values of a prefill, one [U, heads, P, width of a head] pair a layer."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keep what a layer has computed; attention sees just that."""
        self.layers[layer] = (keys, values)
        return keys, values
