"""Token rows to tensors: length buckets under a token budget, right-padding, and the packed ranking.

The packed ranking puts a prompt and its K completions into one row `[prompt][c1][c2]…[cK]`: a completion sees the prompt
and itself, positions restart after the prompt. It equals K separate rows and computes the prompt once.

Axes: B rows, T positions, N completions of all rankings in a batch, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.attention import Mask
from training.chat import TokenRow
from training.flex import BLOCK, flex_mask
from training.records import RankingRow


@dataclass(frozen=True)
class RowBatch:
    """Right-padded rows; `response_BT` marks the tokens that are learned or scored."""

    ids_BT: Tensor
    response_BT: Tensor


@dataclass(frozen=True)
class ScoreBatch:
    """Completions to be scored: completion n stands in row `row_N[n]` at positions start_N[n] … stop_N[n] - 1."""

    ids_BT: Tensor
    row_N: Tensor
    start_N: Tensor
    stop_N: Tensor
    positions_BT: Tensor | None = None
    mask: Mask | None = None


def micro_batches(lengths: Sequence[int], micro_tokens: int) -> list[list[int]]:
    """Split 0 … len(lengths) - 1 into groups of similar length whose padded size stays within `micro_tokens`.

    Every index occurs once; one longer than the budget stands alone. Longest first, so that memory peaks at once.
    """
    groups: list[list[int]] = []
    widest = 0
    for at in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if not groups or (len(groups[-1]) + 1) * widest > micro_tokens:
            groups.append([])
            widest = lengths[at]
        groups[-1].append(at)
    return groups


def pad_rows(rows: Sequence[TokenRow], pad_id: int, device: torch.device) -> RowBatch:
    """Right-padded ids and response marks (false on padding)."""
    length = max(len(row.ids) for row in rows)
    ids_BT = torch.full((len(rows), length), pad_id, dtype=torch.long)
    response_BT = torch.zeros(len(rows), length, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids_BT[at, : len(row.ids)] = torch.tensor(row.ids)
        response_BT[at, : len(row.ids)] = torch.tensor(row.response)
    return RowBatch(ids_BT.to(device), response_BT.to(device))


def completion_rows(pairs: Sequence[tuple[list[int], list[int]]], pad_id: int, device: torch.device) -> ScoreBatch:
    """One right-padded row per (prompt, completion)."""
    batch = pad_rows([TokenRow(prompt + answer, [False] * (len(prompt) + len(answer))) for prompt, answer in pairs], pad_id, device)  # fmt: skip
    start = [len(prompt) for prompt, _ in pairs]
    stop = [len(prompt) + len(answer) for prompt, answer in pairs]
    return ScoreBatch(batch.ids_BT, *_spans(range(len(pairs)), start, stop, device))


def packed_rows(rankings: Sequence[RankingRow], pad_id: int, device: torch.device, *, flex: bool = False) -> ScoreBatch:
    """One row per ranking, `[prompt][c1]…[cK]`, with restarting positions and a mask: dense [B, 1, T, T], or `flex` blocks."""
    length = max(packed_length(row) for row in rankings)
    length = -(-length // BLOCK) * BLOCK if flex else length
    ids_BT = torch.full((len(rankings), length), pad_id, dtype=torch.long)
    positions_BT = torch.zeros(len(rankings), length, dtype=torch.long)
    segment_BT = torch.full((len(rankings), length), -1, dtype=torch.long)  # 0 = prompt, k = completion k, -1 = padding
    row_N, start_N, stop_N = [], [], []
    for at, ranking in enumerate(rankings):
        prompt, end = len(ranking.prompt), packed_length(ranking)
        ids_BT[at, :end] = torch.tensor(ranking.prompt + [token for answer in ranking.completions for token in answer])
        segment_BT[at, :prompt] = 0
        positions_BT[at, :prompt] = torch.arange(prompt)
        start = prompt
        for number, answer in enumerate(ranking.completions, start=1):
            stop = start + len(answer)
            segment_BT[at, start:stop] = number
            positions_BT[at, start:stop] = torch.arange(prompt, prompt + len(answer))
            row_N.append(at)
            start_N.append(start)
            stop_N.append(stop)
            start = stop
    mask = flex_mask(segment_BT.to(device)) if flex else block_mask(segment_BT).to(device)
    return ScoreBatch(ids_BT.to(device), *_spans(row_N, start_N, stop_N, device), positions_BT.to(device), mask)


def block_mask(segment_BT: Tensor) -> Tensor:
    """bool [B, 1, T, T]: causal attention within one's own segment and to segment 0; -1 is padding, which sees itself."""
    length = segment_BT.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=segment_BT.device).tril()
    query, key = segment_BT[:, :, None], segment_BT[:, None, :]
    visible = causal & ((query == key) | (key == 0)) & (key >= 0)
    return (visible | torch.eye(length, dtype=torch.bool, device=segment_BT.device))[:, None]


def packed_length(ranking: RankingRow) -> int:
    """Tokens of a packed ranking."""
    return len(ranking.prompt) + sum(map(len, ranking.completions))


def packing_pays(ranking: RankingRow, hidden_size: int, *, flex: bool = False) -> bool:
    """Whether one packed row costs less than K rows: 24 D² per token for the maps, 4 D per pair of tokens that meet.

    A dense mask lets all T² pairs meet; FlexAttention only those that see each other; causal rows half of theirs.
    """
    prompt, answers = len(ranking.prompt), [len(answer) for answer in ranking.completions]
    packed, rows, longest = packed_length(ranking), len(answers), ranking.longest
    seen = prompt**2 // 2 + sum(prompt * answer + answer**2 // 2 for answer in answers)
    cost_packed = packed * 24 * hidden_size + 4 * (seen if flex else packed**2)
    cost_rows = rows * longest * (24 * hidden_size + 2 * longest)
    return cost_packed < 0.95 * cost_rows


def _spans(
    row: Sequence[int], start: Sequence[int], stop: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    row_N, start_N, stop_N = torch.tensor([list(row), list(start), list(stop)], device=device).unbind()
    return row_N, start_N, stop_N
