"""The gradient of one step of a stage, on as many processes as torchrun has started; the first writes it to a file.

torchrun --nproc-per-node 2 -m tests.training.ranks MODEL FILE
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.training.run_directories import demonstrations, rankings
from training import distributed, ppo, ranking_steps, sharding, surrogate
from training.backbone import load_backbone
from training.configs import PpoConfig, RewardConfig, SftConfig
from training.contracts import DemonstrationRecord, RankingRecord
from training.critic import build_critic
from training.judges import FunctionJudge
from training.language_loss import accumulate, arrange, mean_loss
from training.optimization import clip_gradients
from training.records import PromptRow, demonstration_rows, ranking_rows
from training.reward_scoring import RewardModel, new_head
from training.rollouts import Learner, collect, deal, mean_entropy

CPU = {"device": torch.device("cpu"), "dtype": torch.float32}


def gradients(model: Path, **tuning: object) -> dict[str, torch.Tensor]:
    """Losses, gradient norms and gradients of SFT, of the reward model and (not sharded) of PPO, in small micro-batches."""
    ppo_too = {} if tuning.get("shard") else of_ppo(model, **tuning)
    found = {**of_sft(model, **tuning), **of_reward(model, **tuning), **ppo_too}
    return {name: x if isinstance(x, torch.Tensor) else torch.tensor(float(x)) for name, x in found.items()}


def of_sft(model, **tuning):
    backbone = load_backbone(model, **CPU)
    torch.manual_seed(0)
    weights = backbone.tune(SftConfig(**tuning))
    stir(weights)
    records = [DemonstrationRecord.parse(row) for row in demonstrations(7)]
    rows = arrange(backbone, demonstration_rows(records, backbone.tokenizer, 512), "never")
    found = {"sft.loss": accumulate(backbone, rows, 60), "sft.valid": mean_loss(backbone, rows[:3], 60)}
    return found | finished("sft", list(weights.items()))


def of_reward(model, **tuning):
    backbone = load_backbone(model, **CPU)
    torch.manual_seed(0)
    config = RewardConfig(micro_tokens=120, **tuning)
    weights = backbone.tune(config, "reward")
    stir(weights)
    head = new_head(backbone.hidden_size, torch.device("cpu"))
    scorer = RewardModel(backbone, head, adapter="reward")
    rows = ranking_rows([RankingRecord.parse(row) for row in rankings(5)], backbone.tokenizer, 512)
    numbers = ranking_steps.accumulate(scorer, rows, config)
    found = {f"reward.{name}": number for name, number in numbers.items()}
    return found | finished("reward", [*weights.items(), ("head", head.weight)])


def stir(weights, *, everything=False):
    """An adapter starts by adding nothing, which would leave half of its gradient at zero; `everything`: any weight moves."""
    with torch.no_grad():
        for name, weight in weights.items():
            if "lora_B" in name:
                weight.normal_(std=0.1)
            elif everything:
                weight.add_(torch.randn_like(weight), alpha=0.01)


def of_ppo(model, **tuning):
    """One rollout and the gradient of its one minibatch, by a policy that has left its reference."""
    config = PpoConfig(rollout_prompts=5, max_new_tokens=8, micro_tokens=60, truncated="bootstrap", **tuning)
    policy = load_backbone(model, **CPU)
    torch.manual_seed(0)
    policy_weights = policy.tune(config, keep_reference=True)
    stir(policy_weights, everything=True)
    critic = build_critic(config, policy, None)
    torch.nn.init.normal_(critic.head.weight, std=0.05)
    judge = FunctionJudge("lengths", lambda _prompts, texts: [float(len(text)) for text in texts], policy, Asked())
    optimizer = torch.optim.SGD([*policy_weights.values(), *critic.head_weights.values()], lr=0.0)
    learner = Learner(policy, judge, critic, optimizer, policy_weights, critic.head_weights)
    prompts = [PromptRow(f"p{at}", list(range(5 + at, 12 + 2 * at))) for at in range(5)]
    rollout = collect(learner, deal(prompts, 1, size=5, seed=0), config)
    advantages, returns = ppo.advantages_and_returns(rollout, config, 0.1)
    sums = surrogate.accumulate(learner, rollout, rollout.minibatches[0], advantages, returns, config)
    sums["entropy_again"] = mean_entropy(learner, rollout, config)
    facts = ppo.describe(rollout, ppo.used_scores(rollout, config), 0.1)
    numbers = {f"ppo.{name}": number for name, number in (sums | facts).items()} | {"ppo.advantages": advantages}
    grads = {f"ppo.{name}.grad": w.grad.clone() for name, w in {**policy_weights, **critic.head_weights}.items()}
    return numbers | grads


class Asked(dict):
    """Any prompt's messages."""

    def __missing__(self, _name):
        return [{"role": "user", "content": "?"}]


def finished(stage, weights):
    norm = clip_gradients([weight for _, weight in weights], 1e9)
    grads = {f"{stage}.{name}.grad": sharding.whole(w.grad) for name, w in weights if w.grad is not None}
    return {f"{stage}.norm": norm, **grads}


if __name__ == "__main__":
    with distributed.joined():
        assert distributed.size() == 2
        for name, tuning in {
            "lora": {},
            "full": {"tuning": "full"},
            "shard": {"tuning": "full", "shard": True},
        }.items():
            results = gradients(Path(sys.argv[1]), **tuning)
            if distributed.is_first():
                save_file(results, Path(sys.argv[2]) / f"{name}.safetensors")
