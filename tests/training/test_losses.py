"""Golden numbers worked out in float64 from the equations, not from any library."""

import math

import pytest
import torch

from training import losses
from training.logprobs import linear_logprobs

SCORES = [2.0, 1.0, 0.5, -1.0]


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(actual: torch.Tensor, *expected: float) -> None:
    torch.testing.assert_close(actual, doubles(*expected).reshape(actual.shape), rtol=0, atol=6e-9)


def test_ranking_loss_of_four_and_its_gradient():
    scores = doubles(*SCORES).requires_grad_()
    loss = losses.ranking_loss(scores, torch.tensor([1, 2, 3, 4]))
    loss.backward()
    close(loss.detach(), 0.22761343)
    close(scores.grad, -0.08313214, -0.03796703, 0.06292344, 0.05817572)


def test_ranking_loss_does_not_depend_on_the_order_of_presentation():
    mixed = losses.ranking_loss(doubles(0.5, -1.0, 2.0, 1.0), torch.tensor([3, 4, 1, 2]))
    close(mixed, 0.22761343)


def test_tied_pairs_are_dropped_and_the_mean_is_over_the_rest():
    close(losses.ranking_loss(doubles(*SCORES), torch.tensor([1, 2, 2, 4])), 0.17832072)


def test_margins_are_read_at_winner_and_loser():
    margin = torch.zeros(4, 4, dtype=torch.float64)
    upper = torch.triu_indices(4, 4, 1)
    margin[upper[0], upper[1]] = doubles(0.0, 1 / 3, 1.0, 0.0, 2 / 3, 1 / 3)
    close(losses.ranking_loss(doubles(*SCORES), torch.tensor([1, 2, 3, 4]), margin), 0.28173744)


def test_one_margin_for_a_pair():
    close(losses.ranking_loss(doubles(1.0, 0.0), torch.tensor([1, 2]), 1.0), 0.6931471806)


def test_label_smoothing_mixes_in_the_reversed_label():
    smooth = losses.ranking_loss(doubles(1.0, 0.0), torch.tensor([1, 2]), label_smoothing=0.1)
    close(smooth, 0.9 * math.log(1 + math.exp(-1)) + 0.1 * math.log(1 + math.exp(1)))


def test_equal_scores_cost_ln_two_and_a_hopeless_pair_stays_finite():
    close(losses.ranking_loss(doubles(0.0, 0.0), torch.tensor([1, 2])), 0.6931471806)
    assert losses.ranking_loss(torch.tensor([0.0, 100.0]), torch.tensor([1, 2])).item() == 100.0


def test_all_ties_is_an_error():
    with pytest.raises(ValueError, match="every completion is tied"):
        losses.ranking_loss(doubles(1.0, 2.0), torch.tensor([1, 1]))


def test_kl_estimators():
    logprobs, reference = doubles(-1.0, -2.0, -0.5), doubles(-1.2, -1.5, -0.5)
    close(losses.kl_k1(logprobs, reference), 0.2, -0.5, 0.0)
    close(losses.kl_k2(logprobs, reference), 0.02, 0.125, 0.0)
    close(losses.kl_k3(logprobs, reference), 0.01873075, 0.14872127, 0.0)


def test_k3_stays_finite_far_from_the_reference():
    assert torch.isfinite(losses.kl_k3(torch.tensor([-200.0]), torch.tensor([0.0]))).all()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [(1.5, 1, -1.2, 0), (1.5, -1, 1.5, 1.5), (0.5, 1, -0.5, -0.5), (0.5, -1, 0.8, 0), (1.2, 1, -1.2, -1.2)],
)
def test_clipped_policy_loss(ratio, advantage, loss, gradient):
    logprobs = doubles(math.log(ratio)).requires_grad_()
    loss_N, ratio_N = losses.policy_loss(logprobs, doubles(0.0), doubles(advantage), 0.2)
    loss_N.sum().backward()
    close(loss_N.detach(), loss)
    close(ratio_N.detach(), ratio)
    close(logprobs.grad, gradient)


@pytest.mark.parametrize(
    ("new", "target", "loss", "gradient"), [(1.0, 0.0, 0.5, 1.0), (1.0, 2.0, 0.845, 0.0), (0.6, 0.0, 0.18, 0.6)]
)
def test_clipped_value_loss(new, target, loss, gradient):
    values = doubles(new).requires_grad_()
    loss_N = losses.value_loss(values, doubles(0.5), doubles(target), 0.2)
    loss_N.sum().backward()
    close(loss_N.detach(), loss)
    close(values.grad, gradient)


def test_value_clip_zero_is_the_plain_square():
    close(losses.value_loss(doubles(1.0), doubles(0.5), doubles(2.0), 0.0), 0.5)


def test_logprob_entropy_and_temperature():
    head = torch.nn.Linear(3, 3, bias=False)
    head.weight.data = torch.eye(3)
    states, targets = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2])
    logprob, entropy = linear_logprobs(states, head, targets)
    assert logprob.item() == pytest.approx(-0.40760596, abs=2e-7)
    assert entropy.item() == pytest.approx(0.83239558, abs=2e-7)
    assert linear_logprobs(states, head, targets, 0.7)[0].item() == pytest.approx(-0.2601184, abs=2e-7)


def test_logprobs_of_half_precision_states_are_float32():
    head = torch.nn.Linear(3, 3, bias=False, dtype=torch.bfloat16)
    head.weight.data = torch.eye(3, dtype=torch.bfloat16)
    logprob, _ = linear_logprobs(torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.bfloat16), head, torch.tensor([0]))
    assert logprob.dtype == torch.float32
    assert logprob.item() == pytest.approx(-2.40760596, abs=1e-6)
