import shutil
import signal
from dataclasses import dataclass, fields, replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.training.run_directories import TOPICS, lines, make_run, numbers, user
from training import ppo, ppo_report, rollouts, sampling, surrogate
from training.backbone import Backbone, load_backbone
from training.configs import PpoConfig
from training.contracts import EXIT_BAD_SPEC, EXIT_INTERRUPTED, EXIT_OK, Kind, PromptRecord, Result
from training.critic import build_critic
from training.judges import ModelJudge
from training.optimization import build_optimizer
from training.records import PromptRow, prompt_rows
from training.reward_model import load_reward
from training.rollouts import Learner, collect, deal
from training.session import main

SMALL = {
    "updates": 2,
    "rollout_prompts": 6,
    "inner_epochs": 2,
    "minibatches": 2,
    "max_new_tokens": 8,
    "learning_rate": 3e-3,
    "lora_rank": 4,
    "clip": 0.1,
    "value_clip": 0.05,
    "micro_tokens": 128,
}
TOY = {  # enough to raise a countable reward within seconds
    "updates": 8,
    "rollout_prompts": 32,
    "minibatches": 1,
    "inner_epochs": 2,
    "max_new_tokens": 12,
    "learning_rate": 3e-3,
    "schedule": "constant",
    "clip": 0.2,
    "value_clip": 0.2,
    "truncated": "keep",
    "micro_tokens": 4096,
}
CPU = {"device": torch.device("cpu"), "dtype": torch.float32}


def prompts(split="train"):
    return [
        {"id": f"p{at}", "messages": [user(f"Tell me about {text}.")], "split": split} for at, text in enumerate(TOPICS)
    ]


def run_of(folder, tiny_dir, reward_dir, *, data=None, **config):
    inputs = {"policy": tiny_dir, "reward": reward_dir}
    return make_run(folder, Kind.PPO, config=SMALL | config, inputs=inputs, data={"prompts": data or prompts()})


def run(folder):
    return main(ppo.train, [str(folder)])


@dataclass
class CountingReward:
    """A reward to learn against: the share of an answer's tokens that are `token`."""

    backbone: Backbone
    token: int
    adapter = None
    spread = None

    def score(self, rows):
        return torch.tensor([answer.count(self.token) / len(answer) for _, answer in rows])


def learner_of(tiny_dir, reward_of, *, dtype=torch.float32, **config):
    settings = PpoConfig.from_dict(SMALL | config)
    policy = load_backbone(tiny_dir, device=CPU["device"], dtype=dtype)
    torch.manual_seed(0)
    scorer = reward_of(policy)
    policy_weights = policy.tune(settings, keep_reference=True)
    critic = build_critic(settings, policy, scorer)
    critic_weights = {f"value.{name}": weight for name, weight in critic.adapter_weights.items()}
    optimizer = build_optimizer(
        {**policy_weights, **critic_weights}, settings, head=critic.head_weights, head_rate=3e-3
    )
    all_weights = {**critic_weights, **critic.head_weights}
    return Learner(policy, ModelJudge(scorer), critic, optimizer, policy_weights, all_weights), settings


def counting(tiny_dir, **config):
    return learner_of(tiny_dir, lambda policy: CountingReward(policy, token=the_token(policy)), **config)


def the_token(policy):
    return policy.tokenizer(" the", add_special_tokens=False).input_ids[0]


def rows_of(policy):
    return prompt_rows([PromptRecord.parse(row) for row in prompts()], policy.tokenizer, max_tokens=512)


def roll(learner, config, update=1, seed=0):
    return collect(learner, deal(rows_of(learner.policy), update, size=config.rollout_prompts, seed=seed), config)


def gradients(learner):
    return {name: weight.grad.clone() for name, weight in learner.weights.items() if weight.grad is not None}


def perturb(learner):
    """Move the policy away from the reference, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in learner.policy_weights.values():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)


def targets_of(rollout, config, kl_coef=None):
    kl_coef = config.kl_coef if kl_coef is None else kl_coef
    return ppo.advantages_and_returns(rollout, config, kl_coef)


def learn(learner, rollout, update, config):
    return ppo.learn(learner, rollout, update, config.kl_coef, config, seed=0)


def accumulate_all(learner, config, rollout, **options):
    targets = targets_of(rollout, config)
    return [surrogate.accumulate(learner, rollout, part, *targets, config, **options) for part in rollout.minibatches]


# ---------------------------------------------------------------- exactness


@pytest.mark.parametrize("value_model", ["head", "adapter"])
@pytest.mark.parametrize("first_adapted_layer", [0, 1])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_ratio_is_one_before_the_first_step(tiny_dir, reward_dir, value_model, first_adapted_layer, temperature):
    learner, config = learner_of(
        tiny_dir,
        lambda policy: load_reward(reward_dir, **CPU, backbone=policy),
        value_model=value_model,
        first_adapted_layer=first_adapted_layer,
        temperature=temperature,
    )
    perturb(learner)
    rollout = roll(learner, config)
    assert rollout.kl_RT.abs().max() > 1e-3
    for sums in accumulate_all(learner, config, rollout):
        assert sums["drift"] < 1e-5
        assert sums["ratio"] / sums["tokens"] == pytest.approx(1.0, abs=1e-5)
        assert sums["clipped"] == 0


def test_answers_held_on_to_are_trained_under_the_distribution_they_were_drawn_from(tiny_dir):
    """Half of the vocabulary ends an answer, so that leaving these tokens out matters to every log-probability."""
    learner, config = counting(tiny_dir, min_new_tokens=4, temperature=0.7, minibatches=1)
    learner.policy.model.generation_config.eos_token_id = list(range(0, 512, 2))
    free = roll(learner, replace(config, min_new_tokens=0))
    assert min(len(answer.ids) for answer in free.answers) < 5
    assert roll(learner, config).kl_RT.abs().max() < 1e-4  # the reference leaves them out too
    perturb(learner)
    rollout = roll(learner, config)
    assert all(len(answer.ids) >= 5 and all(token % 2 for token in answer.ids[:4]) for answer in rollout.answers)
    (sums,) = accumulate_all(learner, config, rollout)
    assert sums["drift"] < 1e-5
    assert sums["ratio"] / sums["tokens"] == pytest.approx(1.0, abs=1e-5)
    assert sums["entropy"] / sums["tokens"] == pytest.approx(rollouts.mean_entropy(learner, rollout, config), rel=1e-5)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(learner).values())
    (other,) = accumulate_all(learner, replace(config, min_new_tokens=0), rollout)
    assert other["drift"] > 0.1


def test_values_of_sampling_equal_values_of_the_forward_pass(tiny_dir):
    learner, config = counting(tiny_dir)
    with torch.no_grad():
        learner.critic.head.weight.normal_()
    rollout = roll(learner, config)
    for micro in rollout.micros:
        states = learner.policy.run_top(micro.hidden)[:, :-1][micro.batch.response_BT[:, 1:]]
        values = learner.critic.read(micro.batch, micro.value_hidden, states)
        torch.testing.assert_close(values, rollouts.take(rollout.values_RT, rollout, micro), rtol=0, atol=1e-4)


def test_micro_batches_do_not_change_the_gradient(tiny_dir):
    found = []
    for micro_tokens in (16, 64, 4096):
        learner, config = counting(tiny_dir, micro_tokens=micro_tokens, minibatches=1, rollout_prompts=8)
        perturb(learner)
        rollout = roll(learner, config)
        accumulate_all(learner, config, rollout)
        found.append((len(rollout.minibatches[0]), gradients(learner)))
    assert found[0][0] == 8
    assert found[2][0] == 1
    for _, other in found[:2]:
        for name, gradient in found[2][1].items():
            assert (other[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9, name


def test_the_gradient_is_per_token_of_the_minibatch_and_not_a_mean_of_means(tiny_dir):
    """Value loss alone: its gradient at the head's bias is Σ(V - R) / tokens, worked out here from the rollout."""
    learner, config = counting(tiny_dir, minibatches=1, micro_tokens=16, value_coef=0.3, value_clip=0.0)
    rollout = roll(learner, config)
    _, returns_RT = targets_of(rollout, config)
    accumulate_all(learner, config, rollout, critic_only=True)
    expected = 0.3 * (rollout.values_RT - returns_RT)[rollout.mask_RT].mean()
    assert gradients(learner)["value_head.bias"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert set(gradients(learner)) == {"value_head.weight", "value_head.bias"}


def test_the_reference_is_the_base_bit_for_bit_after_training(tiny_dir):
    learner, config = counting(tiny_dir, first_adapted_layer=1)
    perturb(learner)
    ids = torch.tensor([rows_of(learner.policy)[0].ids])
    base = load_backbone(tiny_dir, **CPU)
    with torch.no_grad():
        plain = base.run_top(base.run_bottom(ids))
        with learner.policy.merged():
            assert not torch.equal(learner.policy.run_top(learner.policy.run_bottom(ids)), plain)
        with learner.policy.using(None):
            assert torch.equal(learner.policy.run_top(learner.policy.run_bottom(ids)), plain)
        assert not torch.equal(learner.policy.run_top(learner.policy.run_bottom(ids)), plain)


def test_full_tuning_keeps_a_reference_of_its_own(tiny_dir):
    learner, config = counting(tiny_dir, tuning="full", lora_rank=8)
    rollout = roll(learner, config)
    assert rollout.kl_RT.abs().max() < 1e-4
    perturb(learner)
    assert roll(learner, config).kl_RT.abs().max() > 1e-2


def test_what_lies_under_the_mask_never_matters(tiny_dir):
    learner, config = counting(tiny_dir)
    perturb(learner)
    rollout = roll(learner, config)
    clean = targets_of(rollout, config, 0.1)
    for tensor in (rollout.values_RT, rollout.logprobs_RT, rollout.reference_RT):
        tensor[~rollout.mask_RT] = float("nan")
    for one, other in zip(clean, targets_of(rollout, config, 0.1), strict=True):
        assert torch.equal(one, other)


def test_an_adapter_critic_starts_as_the_reward_model(tiny_dir, reward_dir):
    learner, config = learner_of(
        tiny_dir, lambda policy: load_reward(reward_dir, **CPU, backbone=policy), value_model="adapter"
    )
    assert learner.judge.reward.backbone is learner.policy
    answer = sampling.Sampled([40, 41, 2], torch.zeros(3), None, True)
    prompt = rows_of(learner.policy)[0]
    # one token more, so that the value "before" it reads the state at the answer's end, where the reward is read
    longer = sampling.Sampled([*answer.ids, 5], torch.zeros(4), None, True)
    with torch.no_grad():
        (micro,) = rollouts.micros_of(learner, [prompt], [longer], [0], config)
        states = learner.policy.run_top(micro.hidden)[:, :-1][micro.batch.response_BT[:, 1:]]
        value = learner.critic.read(micro.batch, micro.value_hidden, states)[-1]
    assert value.item() == pytest.approx(learner.judge.reward.score([(prompt.ids, answer.ids)]).item(), abs=1e-4)


# ---------------------------------------------------------------- it learns


def test_it_learns_a_countable_reward_while_kl_stays_small(tiny_dir):
    learner, config = counting(tiny_dir, **TOY, kl_coef=0.02)

    scores, kls = [], []
    for update in range(1, config.updates + 1):
        rollout = roll(learner, config, update)
        facts = ppo_report.describe(rollout, ppo.used_scores(rollout, config), config.kl_coef)
        learn(learner, rollout, update, config)
        scores.append(facts["objective/score"])
        kls.append(facts["objective/kl_per_token"])
    assert scores[0] < 0.2
    assert sum(scores[-3:]) / 3 > scores[0] + 0.25
    assert max(kls) < 1.3


# ---------------------------------------------------------------- the stage


def test_a_run_leaves_a_policy_that_opens_in_transformers(tmp_path, tiny_dir, reward_dir):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir)
    assert run(folder) == EXIT_OK
    metrics = Result.read(folder).metrics
    assert metrics["updates"] == 2
    assert metrics["episodes"] == 12
    assert metrics["reward_on_shared_trunk"] is True
    assert metrics["kl_before"] == pytest.approx(0.0, abs=1e-4)
    assert {f"{name}_{when}" for name in ("score", "kl", "length", "entropy") for when in ("before", "after")} <= set(
        metrics
    )
    model = AutoModelForCausalLM.from_pretrained(folder / "output")
    AutoTokenizer.from_pretrained(folder / "output")
    changed = load_file(folder / "output" / "model.safetensors")
    base = load_file(tiny_dir / "model.safetensors")
    name = "model.layers.1.self_attn.q_proj.weight"
    assert not torch.equal(changed[name], base[name])
    assert torch.equal(changed["model.embed_tokens.weight"], base["model.embed_tokens.weight"])
    assert model.config.num_hidden_layers == 2
    assert (folder / "output" / "adapter" / "adapter_config.json").is_file()
    samples = lines(folder / "samples.jsonl")
    assert {"step", "prompt", "text", "score", "kl", "tokens"} <= set(samples[0])
    rows = numbers(folder)
    assert [row["step"] for row in rows if row["split"] == "train"] == [1, 2]
    named = (
        "objective/score objective/kl objective/kl_per_token objective/entropy objective/kl_coef policy/clip_fraction"
    )
    named += (
        " policy/approx_kl policy/ratio_mean value/loss value/explained_variance rollout/length rollout/eos_fraction"
    )
    named += " rollout/truncated_fraction rollout/repeat_4gram"
    assert set(named.split()) <= set(rows[0])


def test_a_reward_on_another_base_keeps_its_own_trunk_and_scores_the_same(tmp_path, tiny_dir, reward_dir):
    other = tmp_path / "other"
    shutil.copytree(reward_dir, other)
    shutil.rmtree(other / "adapter")
    shared, apart = run_of(tmp_path / "a", tiny_dir, reward_dir), run_of(tmp_path / "b", tiny_dir, other)
    assert run(shared) == run(apart) == EXIT_OK
    assert Result.read(apart).metrics["reward_on_shared_trunk"] is False
    first = [numbers(folder)[0]["objective/score"] for folder in (shared, apart)]
    assert first[0] == pytest.approx(first[1], abs=1e-3)


@pytest.mark.parametrize("value_model", ["head", "adapter"])
@pytest.mark.parametrize("stop_in", [1, 2, 3])
def test_interrupted_and_resumed_equals_uninterrupted_bit_for_bit(
    tmp_path, tiny_dir, reward_dir, monkeypatch, value_model, stop_in
):
    options = {"updates": 3, "value_model": value_model, "kl_target": 1.0, "kl_horizon": 10}
    whole = run_of(tmp_path / "whole", tiny_dir, reward_dir, **options)
    cut = run_of(tmp_path / "cut", tiny_dir, reward_dir, **options)
    assert run(whole) == EXIT_OK
    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "generate", partial(stopping, rollouts.generate, [stop_in]))
        assert run(cut) == EXIT_INTERRUPTED
    assert not (cut / "output").exists()
    assert run(cut) == EXIT_OK
    assert numbers(cut) == numbers(whole)
    assert lines(cut / "samples.jsonl") == lines(whole / "samples.jsonl")
    one, other = (load_file(folder / "output" / "model.safetensors") for folder in (cut, whole))
    assert all(torch.equal(one[name], other[name]) for name in other)


def stopping(generate, left, *args, check, **options):
    """Raise SIGTERM in the middle of the rollout whose number is in `left`."""
    left[0] -= 1

    def check_with_stop():
        if left[0] == 0:
            signal.raise_signal(signal.SIGTERM)
        check()

    return generate(*args, check=check_with_stop, **options)


def test_a_stop_in_the_last_measurement_keeps_every_update(tmp_path, tiny_dir, reward_dir, monkeypatch):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir)
    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "generate", partial(stopping, rollouts.generate, [3]))
        assert run(folder) == EXIT_INTERRUPTED
    assert (folder / "checkpoints" / "step-000002").is_dir()
    with monkeypatch.context() as patch:
        patch.setattr(ppo, "learn", lambda *args: pytest.fail("an update was done twice"))
        assert run(folder) == EXIT_OK


# ---------------------------------------------------------------- every setting does something

CHANGES = {
    "lora_rank": 2,
    "lora_alpha": 4.0,
    "first_adapted_layer": 1,
    "tuning": "full",
    "learning_rate": 1e-3,
    "warmup_steps": 5,
    "schedule": "constant",
    "weight_decay": 0.5,
    "max_grad_norm": 0.01,
    "updates": 3,
    "rollout_prompts": 5,
    "minibatches": 1,
    "inner_epochs": 1,
    "max_new_tokens": 5,
    "min_new_tokens": 8,
    "temperature": 0.7,
    "kl_coef": 1.0,
    "kl_target": 0.5,
    "kl_horizon": 7,
    "kl_stop": 1e-6,
    "gamma": 0.5,
    "gae_lambda": 0.2,
    "clip": 0.001,
    "value_clip": 0.0,
    "value_coef": 5.0,
    "value_model": "adapter",
    "value_learning_rate": 0.1,
    "value_warmup": 1,
    "whiten_advantages": False,
    "whiten_scores": True,
    "scale_scores": True,
    "truncated": "penalty",
    "truncated_value": -3.0,
    "whiten_rewards": True,
    "score_clip": 0.01,
    "overlong_tokens": 6,
    "overlong_penalty": 3.0,
    "clip_high": 0.3,
    "dual_clip": 1.2,
    "inner_kl_target": 1e-6,
    "truncated_stop": 0.01,
    "entropy_stop": 20.0,
    "ptx_coef": 5.0,
    "ptx_rows": 1,
    "ptx_tokens": 8,
    "ema_decay": 0.9,
    "reward": "tests.training.reward_functions:shorter",
    "precision": "bf16",
    "micro_tokens": 16,
    "samples_every": 2,
}
ELSEWHERE = {"device", "threads", "checkpoint_every", "compile", "writers"}  # see the tests of session and sampling
ELSEWHERE |= {"gold_window", "shard"}  # see test_a_falling_gold_score_is_warned_of and test_distributed
ELSEWHERE |= {"base_precision"}  # see test_quantization
WITH = {  # what a setting needs beside it to matter
    "kl_horizon": "target",
    "overlong_penalty": "overlong",
    "dual_clip": "fast",
    "clip_high": "fast",
    "ptx_coef": "text",
    "ptx_rows": "text",
    "ptx_tokens": "text",
    "whiten_rewards": "many",
}
DOCUMENTS = [
    {"text": "A river is water that flows over land to the sea."},
    {"text": "Bread is made of flour, water, salt and yeast."},
    {"text": "Bees make honey from flowers.", "split": "valid"},
]
GROUNDS = {
    "plain": {},
    "target": {"kl_target": 0.5},
    "overlong": {"overlong_tokens": 6},
    "fast": {"learning_rate": 0.05},
    "text": {"ptx_coef": 1.0, "ptx_rows": 2, "ptx_tokens": 16},
    "gold": {"updates": 3, "gold_window": 3},
    "many": {"rollout_prompts": 8},
}


def ground(folder, name, tiny_dir, reward_dir, **changes):
    """A run of the settings that `name` stands for, with the data and inputs they need."""
    data = {"prompts": prompts()} | ({"documents": DOCUMENTS} if name == "text" else {})
    inputs = {"policy": tiny_dir, "reward": reward_dir} | ({"gold": reward_dir} if name == "gold" else {})
    if "reward" in changes:
        del inputs["reward"]
    if "tuning" in changes:
        changes["lora_rank"] = 8  # the default: there is no adapter
    return make_run(folder, Kind.PPO, config=SMALL | GROUNDS[name] | changes, inputs=inputs, data=data)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory, tiny_dir, reward_dir):
    found = {}
    for name in GROUNDS:
        folder = ground(tmp_path_factory.mktemp("ground") / name, name, tiny_dir, reward_dir)
        assert run(folder) == EXIT_OK
        found[name] = folder
    return found


def test_every_field_of_the_config_is_tried():
    assert set(CHANGES) | ELSEWHERE == {item.name for item in fields(PpoConfig)}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_changes_the_run(tmp_path, tiny_dir, reward_dir, grounds, name, monkeypatch):
    before = grounds[WITH.get(name, "plain")]
    folder = ground(tmp_path / "run", WITH.get(name, "plain"), tiny_dir, reward_dir, **{name: CHANGES[name]})
    passes = []
    top = Backbone.run_top
    monkeypatch.setattr(Backbone, "run_top", lambda *args, **kw: passes.append(1) or top(*args, **kw))
    assert run(folder) == EXIT_OK
    if name == "samples_every":
        assert [row["step"] for row in lines(folder / "samples.jsonl")] == [2] * 4
    elif name == "micro_tokens":
        assert len(passes) > 60
        assert numbers(folder)[0]["policy/loss"] == pytest.approx(numbers(before)[0]["policy/loss"], abs=1e-5)
    else:
        assert numbers(folder)[1:] != numbers(before)[1:]


def test_the_first_and_the_last_lines_of_a_run_name_what_is_measured(grounds):
    first, last = numbers(grounds["text"])[0], numbers(grounds["gold"])[-1]
    named = "policy/approx_kl_k3 policy/ratio_max policy/steps value/clip_fraction objective/entropy_per_answer"
    named += " rollout/logp_drift rollout/distinct_1 rollout/length_p95 ptx/loss ptx/grad_norm ptx/cosine"
    assert set(named.split()) <= set(first)
    assert first["policy/steps"] == 4
    assert last["objective/gold_score"] == pytest.approx(last["objective/score"], abs=1e-4)  # the same model


def test_kl_stop_ends_the_run_early_and_says_so(tmp_path, tiny_dir, reward_dir):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, updates=6, kl_stop=0.001, learning_rate=3e-2)
    assert run(folder) == EXIT_OK
    metrics = Result.read(folder).metrics
    assert metrics["stopped_by_kl"] is True
    assert metrics["updates"] < 6


def test_value_warmup_leaves_the_policy_alone_until_it_ends(tmp_path, tiny_dir, reward_dir):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, updates=3, value_warmup=2)
    assert run(folder) == EXIT_OK
    *trained, last = numbers(folder)
    assert [row["objective/kl"] for row in trained] == pytest.approx([0.0] * 3, abs=1e-5)
    assert [row["policy/grad_norm"] > 0 for row in trained] == [False, False, True]
    assert all(row["value/grad_norm"] > 0 for row in trained)
    assert abs(last["objective/kl"]) > 1e-4


# ---------------------------------------------------------------- edges


def test_answers_that_end_at_once_and_answers_that_never_end(tiny_dir, monkeypatch):
    for stops, length in (([*range(512)], 1), ([511], 8)):
        learner, config = counting(tiny_dir, minibatches=1)
        monkeypatch.setattr(sampling, "stop_ids", lambda backbone, stops=stops: stops)
        rollout = roll(learner, config)
        assert rollout.mask_RT.shape == (6, length)
        expected = [-1.0] * 6 if length == 8 else rollout.scores_R.tolist()
        assert ppo.used_scores(rollout, config).tolist() == expected
        (sums,) = accumulate_all(learner, config, rollout)
        assert all(torch.isfinite(gradient).all() for gradient in gradients(learner).values())
        assert sums["tokens"] == 6 * length


def test_one_answer_in_a_rollout(tmp_path, tiny_dir, reward_dir):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, rollout_prompts=1, minibatches=1, whiten_scores=True)
    assert run(folder) == EXIT_OK


def test_more_answers_than_prompts(tmp_path, tiny_dir, reward_dir):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, data=prompts()[:2])
    assert run(folder) == EXIT_OK
    rows = [PromptRow("a", [1]), PromptRow("b", [2])]
    dealt = deal(rows, 1, size=6, seed=0) + deal(rows, 2, size=6, seed=0)
    assert sorted(row.id for row, _ in dealt) == ["a"] * 6 + ["b"] * 6
    assert len({seed for _, seed in dealt}) == 12


def test_a_tokenizer_whose_pad_is_its_end_token(tmp_path, tiny_dir, reward_dir):
    policy = tmp_path / "policy"
    shutil.copytree(tiny_dir, policy)
    config = policy / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"pad_token": "<|endoftext|>"', '"pad_token": "<|im_end|>"'))
    plain, same = run_of(tmp_path / "a", tiny_dir, reward_dir), run_of(tmp_path / "b", policy, reward_dir)
    assert run(plain) == run(same) == EXIT_OK
    assert AutoTokenizer.from_pretrained(policy).pad_token_id == 2
    for one, other in zip(numbers(plain), numbers(same), strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_prompt_without_room_is_named(tmp_path, tiny_dir, reward_dir, capsys):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, max_new_tokens=2040)
    assert run(folder) == EXIT_BAD_SPEC
    assert "prompt p0 has" in capsys.readouterr().err


def test_no_training_prompts(tmp_path, tiny_dir, reward_dir, capsys):
    folder = run_of(tmp_path / "run", tiny_dir, reward_dir, data=prompts(split="test"))
    assert run(folder) == EXIT_BAD_SPEC
    assert "no row of split 'train'" in capsys.readouterr().err


def test_a_reward_with_another_tokenizer_is_refused(tmp_path, tiny_dir, reward_dir, capsys):
    other = tmp_path / "other"
    shutil.copytree(reward_dir, other)
    shutil.rmtree(other / "adapter")
    path = other / "tokenizer.json"
    path.write_text(path.read_text().replace('"<|im_start|>"', '"<|begin|>"'))
    folder = run_of(tmp_path / "run", tiny_dir, other)
    assert run(folder) == EXIT_BAD_SPEC
    assert "another tokenizer" in capsys.readouterr().err


def test_a_policy_given_as_the_reward_is_refused(tmp_path, tiny_dir, capsys):
    folder = run_of(tmp_path / "run", tiny_dir, tiny_dir)
    assert run(folder) == EXIT_BAD_SPEC
    assert "reward" in capsys.readouterr().err
