"""Golden numbers worked out in float64 from the equations; pads hold garbage on purpose."""

import pytest
import torch

from training import advantages

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool()
VALUES = torch.tensor([[0.5, 0.4, 0.3, 9.0], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
REWARDS = torch.tensor([[0, 0, 1.0, 7.0], [-0.1, 0, 0.2, -1.0]], dtype=torch.float64)


def close(actual: torch.Tensor, expected: list, atol: float = 6e-9) -> None:
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=atol)


def test_gae_and_returns():
    advantages_BT, returns_BT = advantages.gae(REWARDS, VALUES, MASK, 1.0, 0.95)
    close(advantages_BT, [[0.43675, 0.565, 0.7, 0], [-0.834575, -0.8785, -1.03, -1.4]])
    close(returns_BT, [[0.93675, 0.965, 1, 0], [-0.734575, -0.6785, -0.73, -1]])


def test_gae_discounted():
    close(
        advantages.gae(REWARDS, VALUES, MASK, 0.9, 0.8)[0],
        [[0.12928, 0.374, 0.7, 0], [-0.3573632, -0.46856, -0.748, -1.4]],
    )


def test_gae_with_lambda_one_is_the_sum_of_rewards_less_the_value():
    close(advantages.gae(REWARDS, VALUES, MASK, 1.0, 1.0)[0], [[0.5, 0.6, 0.7, 0], [-1, -1, -1.1, -1.4]])


def test_gae_never_reads_the_pads_even_when_they_are_nan():
    values, rewards = VALUES.clone(), REWARDS.clone()
    values[0, 3] = rewards[0, 3] = float("nan")
    for clean, dirty in zip(advantages.gae(REWARDS, VALUES, MASK), advantages.gae(rewards, values, MASK), strict=True):
        assert torch.equal(clean, dirty)


def test_whiten_uses_the_biased_variance():
    advantages_BT, _ = advantages.gae(REWARDS, VALUES, MASK, 1.0, 0.95)
    expected = [[0.96504842, 1.12261146, 1.2884673, 0], [-0.59685285, -0.65081742, -0.83694453, -1.29151237]]
    close(advantages.whiten(advantages_BT, MASK), expected)


def test_whiten_can_keep_the_mean():
    x = torch.tensor([[1.0, 3.0, 99.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, False]])
    close(advantages.whiten(x, mask, shift_mean=False), [[1.0, 3.0, 0.0]], atol=1e-7)


@pytest.mark.parametrize("row", [[5.0], [0.1, 0.1, 0.1]])
def test_whiten_without_spread_gives_zero_and_not_infinity(row):
    x = torch.tensor([row])
    assert advantages.whiten(x, torch.ones_like(x).bool()).abs().max().item() < 1e-6


def test_the_score_lands_on_the_last_real_token():
    kl = torch.tensor([[0.1, -0.2, 0.3, 5.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False]])
    rewards = advantages.shaped_rewards(torch.tensor([1.0], dtype=torch.float64), kl, mask, 0.05)
    close(rewards, [[-0.005, 0.01, 0.985, 0.0]])
    values = torch.tensor([[0.5, 0.4, 0.3, 0.25]], dtype=torch.float64)
    close(advantages.gae(rewards, values, mask)[0], [[0.4277125, 0.56075, 0.685, 0.0]])


def test_a_one_token_answer_carries_its_score():
    rewards = advantages.shaped_rewards(torch.tensor([2.0]), torch.tensor([[0.5]]), torch.tensor([[True]]), 0.1)
    assert rewards.tolist() == [[pytest.approx(1.95)]]


def test_an_answer_without_tokens_is_an_error():
    with pytest.raises(ValueError, match="no token"):
        advantages.last_token(torch.tensor([[True], [False]]))


@pytest.mark.parametrize(
    ("policy", "expected"), [("override", [-1.0, 2.0]), ("penalty", [2.0, 2.0]), ("keep", [3.0, 2.0])]
)
def test_truncation_rules(policy, expected):
    scores, truncated = torch.tensor([3.0, 2.0]), torch.tensor([True, False])
    assert advantages.truncated_scores(scores, truncated, policy, -1.0).tolist() == expected


@pytest.mark.parametrize(("kl", "expected"), [(12.0, 0.202048), (6.6, 0.201024), (6.0, 0.2), (0.0, 0.197952)])
def test_adaptive_kl_coefficient(kl, expected):
    assert advantages.adapted_kl_coef(0.2, kl, 6.0, 512, 10_000) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "expected"), [(1, 0.0), (4, 0.636294), (16, 1.835089), (64, 3.174508)])
def test_kl_of_best_of_n(n, expected):
    assert advantages.best_of_n_kl(n) == pytest.approx(expected, abs=5e-7)


def test_moments_in_parts_are_those_of_the_whole():
    x = torch.tensor([1.0, 5.0, 2.0, 8.0, 8.0, 3.0], dtype=torch.float64) + 1e6
    moments = advantages.Moments().with_more(x[:1])
    assert moments.deviation == 1.0  # nothing to divide by yet
    moments = moments.with_more(x[1:4]).with_more(x[4:])
    assert (moments.seen, moments.mean) == (6, pytest.approx(1e6 + 4.5, abs=1e-9))
    assert moments.deviation == pytest.approx((45.5 / 6) ** 0.5, rel=1e-9)  # Σ (x - 4.5)² = 45.5


def test_explained_variance():
    returns = torch.tensor([1.0, 2.0, 3.0])
    assert advantages.explained_variance(returns, returns) == 1.0
    assert advantages.explained_variance(torch.full((3,), 2.0), returns) == 0.0
    assert advantages.explained_variance(returns, torch.ones(3)) == 0.0
