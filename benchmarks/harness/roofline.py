"""What a device can do, measured, and what a decoding or training step asks of it: bytes, FLOPs, and the bound they set."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from benchmarks.harness.clock import Clock
from benchmarks.harness.llama import Shape

REPEATS = 10


class Rates(NamedTuple):
    """Measured: bytes copied per second (read and written both counted), floating-point operations per second of a product."""

    bytes_per_second: float
    flops_per_second: float


def seconds_of(work: Callable[[], object], device: torch.device, repeats: int = REPEATS) -> float:
    """Fewest seconds of one call by the benchmarks' clock, after one that does not count."""
    clock = Clock(device, warmup=1)
    for _ in range(repeats + 1):
        with clock.of("work"):
            work()
    return min(clock.counted("work"))


def measured_rates(device: torch.device, dtype: torch.dtype) -> Rates:
    """The device's own rates in this precision: a copy far larger than its caches, a square product."""
    size, side = (1 << 30, 8192) if device.type == "cuda" else (1 << 26, 1024)
    source = torch.empty(size // dtype.itemsize, dtype=dtype, device=device).fill_(1.0)
    target = torch.empty_like(source)
    copied = seconds_of(lambda: target.copy_(source), device)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    multiplied = seconds_of(lambda: a @ b, device)
    return Rates(2 * source.nbytes / copied, 2 * side**3 / multiplied)


def trunk_weights(shape: Shape) -> int:
    """Weights in the matrices of all layers."""
    head = shape.hidden // shape.heads
    attention = 2 * shape.hidden**2 + 2 * shape.hidden * shape.key_value_heads * head
    return shape.layers * (attention + 3 * shape.hidden * shape.intermediate)


def forward_flops(shape: Shape, tokens: int, attended: int, *, logits: int) -> int:
    """Operations of a forward pass: two per weight and token, four per width and attended position, logits where wanted."""
    maps = 2 * trunk_weights(shape) * tokens
    attention = 4 * shape.hidden * shape.layers * attended
    return maps + attention + 2 * shape.hidden * shape.vocabulary * logits


def causal(rows: int, length: int) -> int:
    """Positions attended to by all tokens of `rows` rows of `length` tokens."""
    return rows * length * (length + 1) // 2


def decoding_bytes(shape: Shape, rows: int, start: int, new: int, width: int) -> int:
    """Bytes that must move to decode `new` tokens after `start`: every weight once a step, and the keys and values so far."""
    head = shape.hidden // shape.heads
    weights = (trunk_weights(shape) + shape.hidden * shape.vocabulary) * width * new
    positions = sum(range(start, start + new))
    return weights + 2 * shape.layers * shape.key_value_heads * head * width * rows * positions


def bound_seconds(rates: Rates, *, flops: float = 0.0, moved: float = 0.0) -> float:
    """The least time: whichever of arithmetic and memory takes longer."""
    return max(flops / rates.flops_per_second, moved / rates.bytes_per_second)
