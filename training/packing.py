"""Several short rows in one: best-fit packing, where none sees another and each has positions of its own.

Packed rows cost as many tokens as there are; rows padded to the longest cost more. The loss is the same, token by token.
Best-fit decreasing: Ding et al. 2024 (“Fewer truncations improve language modeling”). Axes: B rows, T positions.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from training.attention import Mask
from training.batches import block_mask
from training.chat import TokenRow
from training.flex import BLOCK, flex_mask


class PackedRow(NamedTuple):
    """Token ids of one row; per token the part of the row it belongs to (1, 2, …) and whether it carries loss."""

    ids: list[int]
    segments: list[int]
    learned: list[bool]


@dataclass(frozen=True)
class PackedBatch:
    """Right-padded rows; `mask` None when every row has one part only."""

    ids_BT: Tensor
    learned_BT: Tensor
    positions_BT: Tensor | None
    mask: Mask | None


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of `lengths` in bins whose sum is at most `capacity`: longest first, each into the bin it fills best.

    Every index occurs once; one longer than the capacity stands alone.
    """
    bins: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (free tokens, bin), smallest first
    for at in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        place = bisect_left(rooms, (lengths[at], -1))
        room, number = rooms.pop(place) if place < len(rooms) else (capacity, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(at)
        if room > lengths[at]:
            insort(rooms, (room - lengths[at], number))
    return bins


def joined(rows: Sequence[TokenRow]) -> PackedRow:
    """One row of these parts. The first token of a part is never learned: nothing of its own comes before it."""
    packed = PackedRow([], [], [])
    for number, row in enumerate(rows, start=1):
        packed.ids.extend(row.ids)
        packed.segments.extend([number] * len(row.ids))
        packed.learned.extend([False, *row.response[1:]])
    return packed


def pack_rows(rows: Sequence[TokenRow], capacity: int) -> list[PackedRow]:
    """`rows` in as few rows of at most `capacity` tokens as best fit finds."""
    return [joined([rows[at] for at in part]) for part in best_fit([len(row.ids) for row in rows], capacity)]


def pack_if_cheaper(rows: Sequence[TokenRow], hidden_size: int, *, flex: bool = False) -> list[PackedRow]:
    """The rows packed to the length of the longest when that costs less than padding them, else one by one.

    Costs are 24 D² per token for the maps and 4 D per pair of tokens that meet: all T² under a dense mask, half of them
    under a causal one. `flex` skips those that do not see each other.
    """
    alone, longest = [joined([row]) for row in rows], max(len(row.ids) for row in rows)
    packed = pack_rows(rows, longest)
    pairs = sum(len(row.ids) ** 2 // 2 for row in rows) if flex else len(packed) * longest**2
    cost_packed = len(packed) * longest * 24 * hidden_size + 4 * pairs
    cost_alone = len(rows) * longest * (24 * hidden_size + 2 * longest)
    return packed if cost_packed < 0.95 * cost_alone else alone


def packed_batch(rows: Sequence[PackedRow], pad_id: int, device: torch.device, *, flex: bool = False) -> PackedBatch:
    """The tensors of some rows; with `flex` and more than one part in a row, a mask in blocks instead of a dense one."""
    apart = any(row.segments[-1] > 1 for row in rows)
    length = max(len(row.ids) for row in rows)
    length = -(-length // BLOCK) * BLOCK if flex and apart else length
    ids_BT = torch.full((len(rows), length), pad_id)
    segment_BT = torch.full((len(rows), length), -1)
    learned_BT = torch.zeros(len(rows), length, dtype=torch.bool)
    positions_BT = torch.zeros(len(rows), length, dtype=torch.long)
    for at, row in enumerate(rows):
        own = slice(0, len(row.ids))
        ids_BT[at, own] = torch.tensor(row.ids)
        segment_BT[at, own] = torch.tensor(row.segments)
        learned_BT[at, own] = torch.tensor(row.learned)
        positions_BT[at, own] = torch.tensor(places(row.segments))
    if not apart:
        return PackedBatch(ids_BT.to(device), learned_BT.to(device), None, None)
    mask = flex_mask(segment_BT.to(device)) if flex else block_mask(segment_BT).to(device)
    return PackedBatch(ids_BT.to(device), learned_BT.to(device), positions_BT.to(device), mask)


def places(segments: Sequence[int]) -> list[int]:
    """Positions that start again at 0 with every part."""
    found: list[int] = []
    for at, segment in enumerate(segments):
        found.append(found[-1] + 1 if at and segment == segments[at - 1] else 0)
    return found
