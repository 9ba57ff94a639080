"""Stages on two processes, one after the other in the same two, since each start costs seconds.

torchrun --nproc-per-node 2 -m tests.training.ranks gradients MODEL FOLDER     (of one step, into files)
torchrun --nproc-per-node 2 -m tests.training.ranks runs RUN_DIR …             (each stopped after a step, and gone on with)
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.training.run_directories import demonstrations, rankings
from training import distributed, logprobs, ppo, ranking_steps, reward, sft, sharding, surrogate
from training.backbone import load_backbone
from training.configs import PpoConfig, RewardConfig, SftConfig
from training.contracts import EXIT_INTERRUPTED, EXIT_OK, DemonstrationRecord, RankingRecord, RunSpec
from training.critic import build_critic
from training.judges import FunctionJudge, ModelJudge
from training.language_loss import accumulate, arrange, mean_loss
from training.optimization import clip_gradients
from training.pretraining_mix import PretrainingMix, mix_gradient
from training.records import PromptRow, demonstration_rows, ranking_rows
from training.reward_scoring import RewardModel, new_head
from training.rollouts import Learner, collect, deal, mean_entropy
from training.session import Session, main

CPU = {"device": torch.device("cpu"), "dtype": torch.float32}


def gradients(model: Path, **tuning: object) -> dict[str, torch.Tensor]:
    """Losses, gradient norms and gradients of SFT, of the reward model and of PPO, in small micro-batches."""
    found = {**of_sft(model, **tuning), **of_reward(model, **tuning), **of_ppo(model, **tuning)}
    return {name: x if isinstance(x, torch.Tensor) else torch.tensor(float(x)) for name, x in found.items()}


def of_sft(model, **tuning):
    backbone = load_backbone(model, **CPU)
    torch.manual_seed(0)
    weights = backbone.tune(SftConfig(**tuning))
    if tuning.get("shard"):
        assert_spread(backbone, adapters=weights if tuning.get("tuning") != "full" else {})
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


def assert_spread(backbone, *, adapters):
    """A rank holds half of every weight (of 20 at least, in the tiny model), and adapters whole."""
    whole = {id(weight) for weight in adapters.values()}
    spread = [weight for weight in backbone.model.parameters() if id(weight) not in whole]
    assert len(spread) >= 20 and len(whole) == len(adapters)
    assert all(weight.to_local().numel() * 2 == weight.numel() for weight in spread)
    assert not any(sharding.is_spread(weight) for weight in adapters.values())


def stir(weights, *, everything=False):
    """An adapter starts by adding nothing, which would leave half of its gradient at zero; `everything`: any weight moves."""
    with torch.no_grad():
        for name, weight in weights.items():
            if "lora_B" in name:
                weight.normal_(std=0.1)
            elif everything:
                weight.add_(sharding.like(torch.randn(weight.shape), weight), alpha=0.01)


def of_ppo(model, **tuning):
    """One rollout and the gradient of its one minibatch and of some text, by a policy that has left its reference.

    Adapters: policy, reward and critic on the upper layer of one trunk. Full: a function and a head.
    """
    full = tuning.get("tuning") == "full"
    some = {} if full else {"value_model": "adapter", "first_adapted_layer": 1}
    config = PpoConfig(
        rollout_prompts=5, max_new_tokens=8, micro_tokens=60, truncated="bootstrap", ptx_coef=2.0, **some, **tuning
    )
    policy = load_backbone(model, **CPU)
    torch.manual_seed(0)
    judge = FunctionJudge("lengths", lambda _prompts, texts: [float(len(text)) for text in texts], policy, Asked())
    if not full:
        stir(policy.add_adapter("reward", 4, 8.0, 1))
        judge = ModelJudge(RewardModel(policy, new_head(policy.hidden_size, policy.device), "last", "reward", 1))
    policy_weights = policy.tune(config, keep_reference=True)
    if full and config.shard:
        assert_spread(replace(policy, model=policy.reference), adapters={})
    stir(policy_weights, everything=True)
    critic = build_critic(config, policy, None if full else judge.reward)
    if full:
        torch.nn.init.normal_(critic.head.weight, std=0.05)
    optimizer = torch.optim.SGD([*policy_weights.values(), *critic.head_weights.values()], lr=0.0)
    critic_weights = {**critic.adapter_weights, **critic.head_weights}
    learner = Learner(policy, judge, critic, optimizer, policy_weights, critic_weights)
    prompts = [PromptRow(f"p{at}", list(range(5 + at, 12 + 2 * at))) for at in range(5)]
    rollout = collect(learner, deal(prompts, 1, size=5, seed=0), config)
    advantages, returns = ppo.advantages_and_returns(rollout, config, 0.1)
    sums = surrogate.accumulate(learner, rollout, rollout.minibatches[0], advantages, returns, config)
    records = [DemonstrationRecord.parse(row) for row in demonstrations(5)]
    mix = PretrainingMix(demonstration_rows(records, policy.tokenizer, 512), [])
    sums |= mix_gradient(policy, policy_weights, mix, config, step=1, seed=0)
    sums["entropy_again"] = mean_entropy(learner, rollout, config)
    facts = ppo.describe(rollout, ppo.used_scores(rollout, config), 0.1)
    numbers = {f"ppo.{name}": number for name, number in (sums | facts).items()} | {"ppo.advantages": advantages}
    named = [*policy_weights.items(), *((f"value.{name}", weight) for name, weight in critic_weights.items())]
    return numbers | {f"ppo.{name}.grad": sharding.whole(weight.grad) for name, weight in named}


class Asked(dict):
    """Any prompt's messages."""

    def __missing__(self, _name):
        return [{"role": "user", "content": "?"}]


def finished(stage, weights):
    norm = clip_gradients([weight for _, weight in weights], 1e9)
    grads = {f"{stage}.{name}.grad": sharding.whole(w.grad) for name, w in weights if w.grad is not None}
    return {f"{stage}.norm": norm, **grads}


def write_gradients(model, folder):
    logprobs.CHUNK_ELEMENTS = 8 * 512  # the output layer in several parts, on one rank more than on the other
    for name, tuning in {
        "lora": {},
        "full": {"tuning": "full"},
        "lora.spread": {"shard": True},
        "full.spread": {"tuning": "full", "shard": True},
    }.items():
        results = gradients(Path(model), **tuning)
        if distributed.is_first():
            save_file(results, Path(folder) / f"{name}.safetensors")


def run(folder):
    """Only the second process is told to stop."""
    train = {"ppo": ppo, "reward": reward, "sft": sft}[RunSpec.read(Path(folder)).kind].train
    end_step = Session.end_step

    def told(session, step, **kept):
        session.should_stop = distributed.rank() == 1
        end_step(session, step, **kept)

    Session.end_step = told
    assert main(train, [folder]) == EXIT_INTERRUPTED
    Session.end_step = end_step
    assert [path.name for path in (Path(folder) / "checkpoints").iterdir()] == ["step-000001"]
    assert main(train, [folder]) == EXIT_OK


if __name__ == "__main__":
    with distributed.joined():
        assert distributed.size() == 2
        if sys.argv[1] == "gradients":
            write_gradients(*sys.argv[2:])
        else:
            for folder in sys.argv[2:]:
                run(folder)
    threads = [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    assert not [
        name for name in threads if "gloo" in name
    ]  # they could outlive the interpreter, and end the process badly
