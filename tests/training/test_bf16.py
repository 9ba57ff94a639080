"""What CUDA computes by default, in bf16 on the CPU: weights that train, log-probabilities, values and losses stay fp32."""

import pytest
import torch

from tests.training.run_directories import rankings
from tests.training.test_ppo import accumulate_all, counting, gradients, learner_of, roll, targets_of
from training import ranking_steps
from training.answers import answer_batch
from training.backbone import load_backbone
from training.configs import RewardConfig, SftConfig
from training.contracts import RankingRecord
from training.records import ranking_rows
from training.reward_model import load_reward
from training.reward_scoring import RewardModel, new_head

BF16, CPU = torch.bfloat16, torch.device("cpu")
FULL = {"tuning": "full", "lora_rank": 8}


def rounded(x):
    """Share of numbers that are bf16 numbers already."""
    return (x == x.to(BF16).to(x.dtype)).float().mean().item()


@pytest.mark.parametrize("config", [{}, {"first_adapted_layer": 1}, FULL], ids=["lora", "upper layers", "full"])
def test_a_ppo_step_keeps_what_must_be_exact_in_fp32(tiny_dir, config):
    learner, config = counting(tiny_dir, dtype=BF16, minibatches=1, rollout_prompts=12, max_new_tokens=12, **config)
    with torch.no_grad():
        learner.critic.head.weight.normal_(std=0.1)
    rollout = roll(learner, config)
    for x_RT in (rollout.logprobs_RT, rollout.reference_RT, rollout.values_RT, *targets_of(rollout, config)):
        assert x_RT.dtype == torch.float32
        assert rounded(x_RT[rollout.mask_RT]) < 0.2
    (sums,) = accumulate_all(learner, config, rollout)
    assert 0.0 < sums["drift"] < 0.1  # sampling adds up in another order
    assert sums["ratio"] / sums["tokens"] == pytest.approx(1.0, abs=0.01)
    assert rollout.kl_RT.abs().max() <= 0.1
    assert {weight.dtype for weight in learner.weights.values()} == {torch.float32}
    found = gradients(learner)
    assert {gradient.dtype for gradient in found.values()} == {torch.float32}
    assert all(torch.isfinite(gradient).all() for gradient in found.values())
    before = {name: weight.detach().clone() for name, weight in learner.policy_weights.items()}
    learner.optimizer.step()
    moved = [name for name, weight in learner.policy_weights.items() if not torch.equal(weight, before[name])]
    assert len(moved) >= len(before) // 2


def test_an_adapter_critic_computes_beside_a_bf16_policy(tiny_dir, reward_dir):
    learner, config = learner_of(
        tiny_dir,
        lambda policy: load_reward(reward_dir, device=CPU, dtype=BF16, backbone=policy),
        dtype=BF16,
        value_model="adapter",
        minibatches=1,
    )
    rollout = roll(learner, config)
    assert rollout.values_RT.dtype == rollout.scores_R.dtype == torch.float32
    (sums,) = accumulate_all(learner, config, rollout)
    assert 0.0 < sums["drift"] < 0.1
    assert all(torch.isfinite(gradient).all() for gradient in gradients(learner).values())


def test_a_whole_policy_is_its_bf16_reference_bit_for_bit_before_the_first_step(tiny_dir):
    backbone = load_backbone(tiny_dir, device=CPU, dtype=BF16)
    backbone.tune(SftConfig(tuning="full"), keep_reference=True)
    assert backbone.reference.dtype == BF16
    assert backbone.model.dtype == torch.float32
    batch = answer_batch([[5, 6, 7, 8]] * 2, [[40, 41, 42, 2], [43, 2]], backbone)

    def said():
        with torch.no_grad():
            states = backbone.run_top(backbone.run_bottom(batch.ids_BT))
            return backbone.token_logprobs(states, batch.ids_BT, batch.response_BT).logprobs_N

    with backbone.using(None):
        reference = said()
    assert torch.equal(said(), reference)
    with torch.no_grad():
        backbone.model.get_input_embeddings().weight.mul_(1.001)  # less than bf16 can tell from 1
    assert not torch.equal(said(), reference)


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_a_reward_step_in_bf16_points_where_that_in_fp32_does(tiny_dir, tuning):
    found = {}
    for dtype in (torch.float32, BF16):
        backbone = load_backbone(tiny_dir, device=CPU, dtype=dtype)
        torch.manual_seed(0)
        config = RewardConfig(tuning=tuning)
        weights = backbone.tune(config, "reward")
        with torch.no_grad():
            for name, weight in weights.items():
                if "lora_B" in name:
                    weight.normal_(std=0.1)
        scorer = RewardModel(backbone, new_head(backbone.hidden_size, CPU), adapter="reward")
        rows = ranking_rows([RankingRecord.parse(row) for row in rankings(6)], backbone.tokenizer, 512)
        numbers = ranking_steps.accumulate(scorer, rows, config)
        grads = [weight.grad for weight in [*weights.values(), scorer.head.weight] if weight.grad is not None]
        assert {gradient.dtype for gradient in grads} == {torch.float32}
        found[dtype] = (numbers["reward/loss"], torch.cat([gradient.flatten() for gradient in grads]))
    (loss, exact), (rough_loss, rough) = found.values()
    assert rough_loss == pytest.approx(loss, rel=0.02)
    assert torch.cosine_similarity(exact, rough, dim=0) > 0.99
    assert not torch.equal(exact, rough)
