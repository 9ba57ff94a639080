"""A decoding step with inputs and output at fixed addresses, recorded once as a CUDA graph and replayed for every token.

What a small model waits for on a GPU is the launch of its kernels; a replay launches them all at once. Imports torch only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

StepAt = Callable[[Tensor, Tensor, int], Tensor]  # tokens [A], lengths [A], positions looked at → states [A, D]


class RecordedStep:
    """One step of exactly `rows` rows that look at `width` positions."""

    def __init__(self, step_at: StepAt, rows: int, capacity: int, width: int, device: torch.device) -> None:
        self.tokens_A = torch.zeros(rows, dtype=torch.long, device=device)
        # while recording, every row writes at the last position, which no row has reached
        self.lengths_A = torch.full((rows,), capacity - 1, device=device)
        self.replay, self.states_AD = record(lambda: step_at(self.tokens_A, self.lengths_A, width), device)

    def run(self, tokens_A: Tensor, lengths_A: Tensor) -> Tensor:
        """The states of these rows; the rest of the graph's rows write at the first position of free slots."""
        running = len(tokens_A)
        self.tokens_A[:running] = tokens_A
        self.lengths_A[:running] = lengths_A
        self.lengths_A[running:] = 0
        self.replay()
        return self.states_AD[:running].clone()


def record(compute: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], object], Tensor]:
    """Record `compute` as a CUDA graph, after the warm-up that recording needs: how to replay it, and its output."""
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        compute()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        states_AD = compute()
    return graph.replay, states_AD
