"""Chunks of tokens against the whole table of logits: numbers, gradients, and what is kept for the backward pass."""

import pytest
import torch

from training import logprobs
from training.logprobs import linear_logprobs

N, V, D = 50, 40, 8


def problem():
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(D, V)
    with torch.no_grad():
        for weight in head.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    states = torch.randn(N, D, generator=generator).requires_grad_()
    return states, head, torch.randint(V, (N,), generator=generator), torch.randn(N, generator=generator)


def gradients(states, head, logprobs_N, weight_N):
    (logprobs_N * weight_N).sum().backward()
    found = [states.grad.clone(), head.weight.grad.clone(), head.bias.grad.clone()]
    states.grad = None
    head.zero_grad()
    return found


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("rows", [1, 7, 50])
def test_chunks_equal_the_dense_softmax_and_its_gradient(monkeypatch, rows, temperature):
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", rows * V)
    states, head, targets, weight = problem()
    dense = torch.log_softmax(head(states) / temperature, -1)
    expected = gradients(states, head, dense[torch.arange(N), targets], weight)
    chosen, entropy = linear_logprobs(states, head, targets, temperature)
    torch.testing.assert_close(chosen, dense[torch.arange(N), targets], rtol=0, atol=1e-5)
    torch.testing.assert_close(entropy, -(dense.exp() * dense).sum(-1), rtol=0, atol=1e-5)
    for one, other in zip(gradients(states, head, chosen, weight), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [7, 50])
def test_tokens_that_may_not_come_leave_their_share_to_the_others(monkeypatch, rows):
    """log π(v) - log(1 - Σ π(stop)) where early, log π(v) elsewhere; so are entropy and gradient."""
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", rows * V)
    states, head, targets, weight = problem()
    stops, early = [0, 3], torch.arange(N) % 3 < 2
    targets = torch.where(early & (targets < 4), 5, targets)
    logits = head(states) / 0.7
    kept = torch.tensor([token not in stops for token in range(V)])
    dense = torch.where(early, logits[:, kept].logsumexp(-1), logits.logsumexp(-1))
    expected = logits[torch.arange(N), targets] - dense
    some = torch.log_softmax(logits[:, kept], -1)
    every = torch.log_softmax(logits, -1)
    entropy = torch.where(early, -(some.exp() * some).sum(-1), -(every.exp() * every).sum(-1))
    wanted = gradients(states, head, expected, weight)
    found, spread = linear_logprobs(states, head, targets, 0.7, early, stops)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(spread, entropy, rtol=0, atol=1e-5)
    for one, other in zip(gradients(states, head, found, weight), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def largest_saved(count, chunk, monkeypatch):
    """Elements of the largest tensor that the backward pass of `count` tokens keeps, the head's weight aside."""
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", chunk)
    states, head, targets, _ = problem()
    sizes = []

    def pack(tensor):
        if tensor.shape[-1:] == (V,) and tensor.dim() == 2 and tensor.shape[0] != D:
            sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        linear_logprobs(states[:count], head, targets[:count])
    return max(sizes, default=0)


def test_the_whole_table_of_logits_is_never_kept(monkeypatch):
    assert largest_saved(N, N * V, monkeypatch) == N * V  # in one piece it would be
    assert largest_saved(N, 5 * V, monkeypatch) == 0  # pieces are computed again in the backward pass
    assert largest_saved(10, 5 * V, monkeypatch) == 0


def test_no_piece_is_larger_than_the_chunk(monkeypatch):
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", 5 * V)
    states, head, targets, weight = problem()
    widths = []
    head.register_forward_hook(lambda part, given, logits: widths.append(logits.numel()))
    chosen, _ = linear_logprobs(states, head, targets)
    gradients(states, head, chosen, weight)
    assert max(widths) == 5 * V
    assert sum(widths) == 2 * N * V  # forward, and once more for the backward pass


def test_half_precision_inputs_give_fp32_numbers_that_are_not_rounded_to_half(monkeypatch):
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", 7 * V)
    states, head, targets, _ = problem()
    half = head.to(torch.bfloat16)
    chosen, entropy = linear_logprobs(states.detach().bfloat16(), half, targets)
    assert chosen.dtype == entropy.dtype == torch.float32
    assert (chosen != chosen.bfloat16().float()).float().mean() > 0.9
