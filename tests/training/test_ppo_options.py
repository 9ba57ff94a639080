"""What PPO can be told beyond its defaults, each against numbers worked out by hand or against an equality."""

import math
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from tests.training.run_directories import assistant, lines, make_run, numbers, user
from tests.training.test_ppo import (
    CPU,
    DOCUMENTS,
    SMALL,
    TOY,
    accumulate_all,
    counting,
    gradients,
    learn,
    learner_of,
    perturb,
    prompts,
    roll,
    run,
    stopping,
    targets_of,
)
from training import advantages, judges, losses, overoptimisation, ppo, pretraining_mix, rollouts, sampling, surrogate
from training.backbone import load_backbone
from training.configs import ConfigError, PpoConfig
from training.contracts import EXIT_BAD_SPEC, EXIT_INTERRUPTED, EXIT_OK, DocumentRecord, Kind, Result
from training.judges import ModelJudge
from training.language_loss import accumulate as language_gradient
from training.language_loss import arrange
from training.overoptimisation import Point
from training.pretraining_mix import build_mix, held_out_loss, mix_gradient
from training.reward_model import load_reward
from training.tiny_model import TEXT

HERE = "tests.training.reward_functions"


def run_with(folder, tiny_dir, reward_dir, *, documents=None, demonstrations=None, gold=None, **config):
    data = {"prompts": prompts()}
    data |= {"documents": documents} if documents else {}
    data |= {"demonstrations": demonstrations} if demonstrations else {}
    inputs = {"policy": tiny_dir} | ({"reward": reward_dir} if reward_dir else {}) | ({"gold": gold} if gold else {})
    return make_run(folder, Kind.PPO, config=SMALL | config, inputs=inputs, data=data)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


# ---------------------------------------------------------------- the equations


@pytest.mark.parametrize(
    ("ratio", "advantage", "options", "loss", "gradient"),
    [
        (1.25, 1.0, {"clip_high": 0.28}, -1.25, -1.25),  # inside the wider clip
        (1.5, 1.0, {"clip_high": 0.28}, -1.28, 0.0),
        (0.5, -1.0, {"clip_high": 0.28}, 0.8, 0.0),  # below 1 it is still 0.2
        (5.0, -1.0, {}, 5.0, 5.0),
        (5.0, -1.0, {"dual_clip": 3.0}, 3.0, 0.0),
        (2.0, -1.0, {"dual_clip": 3.0}, 2.0, 2.0),
        (5.0, 1.0, {"dual_clip": 3.0}, -1.2, 0.0),  # only where the advantage is negative
    ],
)
def test_policy_loss_with_a_wider_clip_above_and_a_bound_below(ratio, advantage, options, loss, gradient):
    logprobs = doubles(math.log(ratio)).requires_grad_()
    loss_N, _ = losses.policy_loss(logprobs, doubles(0.0), doubles(advantage), 0.2, **options)
    loss_N.sum().backward()
    assert loss_N.item() == pytest.approx(loss)
    assert logprobs.grad.item() == pytest.approx(gradient)


def test_an_answer_cut_off_goes_on_from_the_value_behind_it():
    """δ_2 = r_2 + γ V_3 - V_2 = 1 + 0.9·2 - 0.3 = 2.5; A_1 = 0 + 0.9·0.3 - 0.4 + 0.9·0.8·2.5 = 1.67."""
    mask = torch.tensor([[True, True, False], [True, True, True]])
    values = torch.tensor([[0.4, 0.3, 7.0], [0.1, 0.2, 0.3]], dtype=torch.float64)
    rewards = torch.tensor([[0.0, 1.0, 5.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    found, returns = advantages.gae(rewards, values, mask, 0.9, 0.8, doubles(2.0, 0.0))
    plain, _ = advantages.gae(rewards, values, mask, 0.9, 0.8)
    torch.testing.assert_close(found[0], doubles(1.67, 2.5, 0.0))
    torch.testing.assert_close(returns[0], doubles(2.07, 2.8, 0.0))
    assert torch.equal(found[1], plain[1])


def test_the_length_penalty_grows_in_a_line_over_the_last_tokens():
    penalties = advantages.overlong_penalties(torch.tensor([1, 60, 70, 80, 100]), 100, 40, 2.0)
    assert penalties.tolist() == [0.0, 0.0, 0.5, 1.0, 2.0]


def test_gold_curve_is_fitted_exactly_and_its_peak_found():
    """R(d) = d (2 - 0.5 log d) has its largest value at d = e^(2/0.5 - 1) = e³, so at KL = e⁶."""
    ds = [0.5, 1.0, 2.0, 4.0]
    points = [Point(0.0, 0.0, 10.0)] + [Point(d * d, d, 10.0 + d * (2.0 - 0.5 * math.log(d))) for d in ds]
    fit = overoptimisation.fit_gold(points)
    assert (fit.a, fit.b) == (pytest.approx(2.0), pytest.approx(0.5))
    assert fit.peak_kl == pytest.approx(math.exp(6.0))
    rising = [Point(0.0, 0.0, 0.0)] + [Point(d * d, d, d * (1.0 + 0.5 * math.log(d))) for d in ds]
    assert overoptimisation.fit_gold(rising).peak_kl is None
    assert overoptimisation.fit_gold(points[:2]) is None
    assert overoptimisation.fit_gold([]) is None


def test_over_optimisation_is_a_rising_score_with_a_falling_gold_score():
    both_rise = [Point(at, at, at) for at in range(5)]
    turned = both_rise + [Point(5 + at, 5 + at, 4 - at) for at in range(4)]
    assert overoptimisation.rises_while_gold_falls(turned, 4) is True
    assert overoptimisation.rises_while_gold_falls(both_rise, 4) is False
    assert overoptimisation.rises_while_gold_falls(turned, 9) is False  # over all of it, gold has risen
    assert overoptimisation.rises_while_gold_falls(turned[-3:], 4) is False  # too few points


# ---------------------------------------------------------------- answers that were cut off


def test_masked_answers_leave_gradient_whitening_and_counts(tiny_dir):
    """The rollout without the rows that were cut off must give the same gradient."""
    learner, config = counting(tiny_dir, truncated="mask", minibatches=1, rollout_prompts=16, max_new_tokens=14)
    perturb(learner)
    rollout = roll(learner, config)
    cut = rollout.truncated_R
    assert 0 < cut.sum() < 16
    (sums,) = accumulate_all(learner, config, rollout)
    assert sums["tokens"] == rollout.mask_RT[~cut].sum()
    masked = gradients(learner)
    learner.optimizer.zero_grad()
    advantages_RT, returns_RT = targets_of(rollout, config)
    kept = [at for at in range(16) if not cut[at]]
    other, _ = counting(tiny_dir, truncated="keep", minibatches=1, rollout_prompts=16, max_new_tokens=14)
    perturb(other)
    micros = list(rollouts.micros_of(other, rollout.prompts, rollout.answers, kept, config))
    surrogate.accumulate(other, rollout, micros, advantages_RT, returns_RT, config)
    for name, gradient in gradients(other).items():
        assert (masked[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9, name
    assert advantages_RT[rollout.learned_RT].mean().abs() < 1e-5
    assert advantages_RT[cut].abs().max() == 0.0


@pytest.mark.parametrize("truncated", ["mask", "bootstrap", "override"])
def test_a_rollout_of_which_every_answer_is_cut_off(tmp_path, tiny_dir, reward_dir, monkeypatch, truncated):
    monkeypatch.setattr(sampling, "stop_ids", lambda backbone: [512])  # no such token
    folder = run_with(tmp_path / "run", tiny_dir, reward_dir, truncated=truncated)
    assert run(folder) == EXIT_OK
    rows = numbers(folder)
    assert rows[0]["rollout/truncated_fraction"] == 1.0
    assert rows[0]["policy/steps"] == (0 if truncated == "mask" else 4)
    base, after = (load_file(path / "model.safetensors") for path in (tiny_dir, folder / "output"))
    assert all(torch.equal(base[name], after[name]) for name in base) is (truncated == "mask")


def test_answers_that_are_all_masked_say_nothing_of_entropy_and_stop_nothing(
    tmp_path, tiny_dir, reward_dir, monkeypatch
):
    monkeypatch.setattr(sampling, "stop_ids", lambda backbone: [512])  # no such token
    options = {"truncated": "mask", "entropy_stop": 0.01, "updates": 3, "ptx_coef": 1.0, "ptx_rows": 1}
    folder = run_with(tmp_path / "run", tiny_dir, reward_dir, documents=DOCUMENTS, **options)
    assert run(folder) == EXIT_OK
    metrics, (*trained, last) = Result.read(folder).metrics, numbers(folder)
    assert (metrics["updates"], metrics["stopped_by"]) == (3, "")
    assert not any("objective/entropy" in row or "policy/clip_fraction" in row for row in trained)
    assert all(
        row["policy/steps"] == 4 and row["ptx/loss"] > 0.0 for row in trained
    )  # the text is learned all the same
    assert last["objective/entropy"] > 0.01


@pytest.mark.parametrize("value_model", ["head", "adapter"])
def test_the_value_behind_a_cut_off_answer_is_that_of_one_token_more(tiny_dir, reward_dir, value_model):
    learner, config = learner_of(
        tiny_dir,
        lambda policy: load_reward(reward_dir, **CPU, backbone=policy),
        value_model=value_model,
        truncated="bootstrap",
        minibatches=1,
    )
    with torch.no_grad():
        learner.critic.head.weight.normal_(generator=torch.Generator().manual_seed(0))
    perturb(learner)
    rollout = roll(learner, config)
    cut = rollout.truncated_R
    assert cut.any()
    longer = [sampling.Sampled([*answer.ids, 5], answer.logprobs_T, None, False) for answer in rollout.answers]
    with torch.no_grad():
        for at in range(len(longer)):
            (micro,) = rollouts.micros_of(learner, rollout.prompts, longer, [at], config)
            states = learner.policy.run_top(micro.hidden)[:, :-1][micro.batch.response_BT[:, 1:]]
            value = learner.critic.read(micro.batch, micro.value_hidden, states)[-1]
            expected = value.item() if cut[at] else 0.0
            assert rollout.final_values_R[at].item() == pytest.approx(expected, abs=1e-4)


def test_scores_are_divided_by_their_deviation_over_all_updates(tmp_path, tiny_dir, reward_dir, monkeypatch):
    seen, used = [], []
    watched, describe = advantages.Moments.with_more, ppo.describe
    monkeypatch.setattr(advantages.Moments, "with_more", lambda own, x: seen.append(x) or watched(own, x))
    monkeypatch.setattr(ppo, "describe", lambda rollout, x, coef: used.append(x) or describe(rollout, x, coef))
    folder = run_with(tmp_path / "run", tiny_dir, reward_dir, scale_scores=True, truncated="keep")
    assert run(folder) == EXIT_OK
    rows = numbers(folder)
    assert len(seen) == 2
    for at in range(2):
        deviation = torch.cat(seen[: at + 1]).std(correction=0).item()
        assert rows[at]["objective/score_scale"] == pytest.approx(deviation, rel=1e-5)
        assert rows[at]["objective/score_used"] == pytest.approx(rows[at]["objective/score"] / deviation, rel=1e-5)
        torch.testing.assert_close(used[at], seen[at] / deviation)
    assert rows[2]["objective/score_scale"] == rows[1]["objective/score_scale"]  # the last measurement adds nothing


# ---------------------------------------------------------------- ending early, averages


def test_inner_epochs_end_when_the_policy_has_moved_too_far(tiny_dir):
    steps = []
    for target in (0.0, 1e-9, 100.0):
        learner, config = counting(
            tiny_dir, inner_epochs=4, minibatches=1, rollout_prompts=8, inner_kl_target=target, learning_rate=0.01
        )
        facts = learn(learner, roll(learner, config), 1, config)
        steps.append(facts["policy/steps"])
        assert all(weight.grad is None for weight in learner.policy_weights.values())
    assert steps == [4, 1, 4]  # the first step is always taken: before it the ratio is 1


def test_the_exported_weights_are_the_average_over_updates(tmp_path, tiny_dir, reward_dir, monkeypatch):
    seen = []
    average = ppo.average_weights

    def watched(learner, decay):
        average(learner, decay)
        seen.append({name: weight.detach().clone() for name, weight in learner.policy_weights.items()})

    monkeypatch.setattr(ppo, "average_weights", watched)
    folder = run_with(tmp_path / "run", tiny_dir, reward_dir, ema_decay=0.75)
    assert run(folder) == EXIT_OK
    saved = load_file(folder / "output" / "adapter" / "adapter_model.safetensors")
    name = next(name for name in seen[0] if name.endswith("lora_B.weight"))
    # lora_B starts at 0: 0.75 (0.25 w₁) + 0.25 w₂
    expected = 0.75 * 0.25 * seen[0][name] + 0.25 * seen[1][name]
    torch.testing.assert_close(saved[f"base_model.model.{name}"], expected)


def test_a_run_with_everything_switched_on_resumes_bit_for_bit(tmp_path, tiny_dir, reward_dir, monkeypatch):
    options = {
        "documents": DOCUMENTS,
        "gold": reward_dir,
        "updates": 3,
        "ema_decay": 0.5,
        "ptx_coef": 2.0,
        "ptx_rows": 1,
        "truncated": "bootstrap",
        "inner_kl_target": 0.001,
        "entropy_stop": 0.01,
        "learning_rate": 0.02,
        "scale_scores": True,
    }
    whole, cut = (run_with(tmp_path / name, tiny_dir, reward_dir, **options) for name in ("whole", "cut"))
    assert run(whole) == EXIT_OK
    for stop_in in (2, 3):  # in the second rollout; then, started again, in the last measurement
        with monkeypatch.context() as patch:
            patch.setattr(rollouts, "generate", partial(stopping, rollouts.generate, [stop_in]))
            assert run(cut) == EXIT_INTERRUPTED
    assert run(cut) == EXIT_OK
    assert numbers(cut) == numbers(whole)
    one, other = (Result.read(folder).metrics for folder in (cut, whole))
    assert one == other
    files = [load_file(folder / "output" / "model.safetensors") for folder in (cut, whole)]
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[1])


def test_a_run_that_a_rule_has_ended_is_not_taken_up_again_from_its_average(
    tmp_path, tiny_dir, reward_dir, monkeypatch
):
    """Stopped in its last measurement, when the average has taken the place of the weights: nothing is learned any more."""
    options = {"updates": 5, "ema_decay": 0.9, "kl_stop": 0.001, "learning_rate": 0.03, "scale_scores": True}
    whole, cut = (run_with(tmp_path / name, tiny_dir, reward_dir, **options) for name in ("whole", "cut"))
    assert run(whole) == EXIT_OK
    done = Result.read(whole).metrics["updates"]
    assert 0 < done < 5
    with monkeypatch.context() as patch:  # rollouts: one an update, the one that stops it, the last measurement
        patch.setattr(rollouts, "generate", partial(stopping, rollouts.generate, [done + 2]))
        assert run(cut) == EXIT_INTERRUPTED
    with monkeypatch.context() as patch:
        patch.setattr(ppo, "learn", lambda *_, **__: pytest.fail("it went on learning"))
        assert run(cut) == EXIT_OK
    assert Result.read(cut).metrics == Result.read(whole).metrics
    files = [load_file(folder / "output" / "model.safetensors") for folder in (cut, whole)]
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[1])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"truncated_stop": 0.01, "max_new_tokens": 2}, "is cut off, more than 0.01"),
        ({"entropy_stop": 20.0}, "is below 20.0"),
        ({"kl_stop": 0.001, "learning_rate": 0.03}, "exceeds 0.001"),
    ],
)
def test_stop_rules_say_why_and_still_leave_a_policy(tmp_path, tiny_dir, reward_dir, options, reason, capsys):
    folder = run_with(tmp_path / "run", tiny_dir, reward_dir, updates=5, **options)
    assert run(folder) == EXIT_OK
    metrics = Result.read(folder).metrics
    assert reason in metrics["stopped_by"]
    assert reason in capsys.readouterr().err
    assert metrics["updates"] < 5
    assert metrics["updates"] == len([row for row in numbers(folder) if row["split"] == "train"])
    assert (folder / "output" / "model.safetensors").is_file()


# ---------------------------------------------------------------- PPO-ptx


def mix_of(learner, config, documents=DOCUMENTS):
    return build_mix([DocumentRecord.parse(row) for row in documents], [], learner.policy, config)


def test_the_gradient_with_pretraining_text_is_the_sum_of_its_parts(tiny_dir):
    learner, config = counting(tiny_dir, minibatches=1, ptx_coef=27.8, ptx_rows=2, ptx_tokens=16)
    perturb(learner)
    mix = mix_of(learner, config)
    rollout = roll(learner, config)
    accumulate_all(learner, config, rollout)
    ppo_part = {name: weight.grad.clone() for name, weight in learner.policy_weights.items()}
    critic_part = learner.critic.head.weight.grad.clone()
    facts = mix_gradient(learner.policy, learner.policy_weights, mix, config, step=1, seed=0)
    total = {name: weight.grad.clone() for name, weight in learner.policy_weights.items()}
    assert torch.equal(learner.critic.head.weight.grad, critic_part)
    learner.optimizer.zero_grad()
    chosen = [mix.train[at] for at in pretraining_mix.batch_at(1, len(mix.train), 2, seed=0)]
    loss = language_gradient(learner.policy, arrange(learner.policy, chosen, "never"), 4096)
    text_part = {name: 27.8 * weight.grad for name, weight in learner.policy_weights.items()}
    for name in total:
        torch.testing.assert_close(total[name], ppo_part[name] + text_part[name], rtol=1e-4, atol=1e-5)
    one, other = (torch.cat([part[name].flatten() for name in total]) for part in (ppo_part, text_part))
    assert facts["ptx_loss"] == pytest.approx(loss, rel=1e-5)
    assert facts["ppo_norm"] == pytest.approx(one.norm().item(), rel=1e-4)
    assert facts["ptx_norm"] == pytest.approx(other.norm().item(), rel=1e-4)
    assert facts["ptx_cosine"] == pytest.approx(torch.cosine_similarity(one, other, dim=0).item(), abs=1e-4)


def test_pretraining_text_takes_part_in_the_one_step_of_a_minibatch(tiny_dir):
    learner, config = counting(tiny_dir, minibatches=2, inner_epochs=1, ptx_coef=1.0, ptx_rows=2, ptx_tokens=16)
    learner.mix = mix_of(learner, config)
    facts = learn(learner, roll(learner, config), 1, config)
    assert facts["policy/steps"] == 2
    state = next(iter(learner.optimizer.state.values()))
    assert state["step"].item() == 2
    assert {"ptx/loss", "ptx/grad_norm", "ptx/cosine"} <= set(facts)


def test_long_documents_are_cut_and_demonstrations_count_by_their_answers(tiny_dir):
    backbone = load_backbone(tiny_dir, **CPU)
    config = PpoConfig.from_dict({"ptx_coef": 1.0, "ptx_tokens": 8})
    text = "Bees make honey from the nectar of flowers."
    mix = build_mix([DocumentRecord(text), DocumentRecord(text, split="valid")], [], backbone, config)
    whole = [*backbone.tokenizer(text, add_special_tokens=False).input_ids, 2]
    assert [token for row in mix.train for token in row.ids] == whole[: 8 * len(mix.train)]
    assert max(len(row.ids) for row in mix.train) == 8
    assert len(mix.valid) == len(mix.train)
    assert build_mix([], [], backbone, config) is None


def test_pretraining_text_holds_the_language_model_loss_while_the_reward_rises(tiny_dir):
    """The same toy run twice: text keeps its loss on held-out sentences; without it PPO forgets them."""
    drift, gain = {}, {}
    for coef in (0.0, 0.5):
        text = {"ptx_coef": coef, "ptx_rows": 4} if coef else {}
        learner, config = counting(tiny_dir, **TOY, kl_coef=0.0, **text)
        texts = [{"text": f"{question} {answer}"} for question, answer in TEXT[:12]]
        held = [{"text": f"{question} {answer}", "split": "valid"} for question, answer in TEXT[12:]]
        mix = mix_of(learner, config, texts + held)
        learner.mix = mix if coef else None
        before, scores = held_out_loss(learner.policy, mix, 4096), []
        for update in range(1, config.updates + 1):
            rollout = roll(learner, config, update)
            scores.append(float(rollout.scores_R.mean()))
            learn(learner, rollout, update, config)
        drift[coef], gain[coef] = held_out_loss(learner.policy, mix, 4096) - before, scores[-1] - scores[0]
    assert drift[0.0] > 0.3
    assert drift[0.5] < 0.0
    assert min(gain.values()) > 0.2


def test_a_run_with_demonstrations_as_text(tmp_path, tiny_dir, reward_dir):
    texts = [{"id": "d0", "messages": [user("Name a fruit."), assistant("A pear.")]}]
    texts.append({"id": "d1", "messages": [user("Say yes."), assistant("Yes.")], "split": "valid"})
    folder = run_with(tmp_path / "run", tiny_dir, reward_dir, demonstrations=texts, ptx_coef=1.0, ptx_rows=1)
    assert run(folder) == EXIT_OK
    metrics = Result.read(folder).metrics
    assert metrics["ptx_loss_before"] > 0
    assert metrics["ptx_loss_after"] != metrics["ptx_loss_before"]
    assert numbers(folder)[-1]["ptx/loss"] == metrics["ptx_loss_after"]


# ---------------------------------------------------------------- who scores


def test_a_function_of_ones_own_is_maximised(tmp_path, tiny_dir):
    folder = run_with(tmp_path / "run", tiny_dir, None, reward=f"{HERE}:shorter")
    assert run(folder) == EXIT_OK
    for row in lines(folder / "samples.jsonl"):
        assert row["score"] == pytest.approx(-len(row["text"]) / 100)
    assert Result.read(folder).metrics["reward_on_shared_trunk"] is False


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shorter", "must be module:function"),
        (f"{HERE}:absent", "cannot be imported"),
        ("no.such.module:score", "cannot be imported"),
        (f"{HERE}:NUMBER", "is not a function"),
        (f"{HERE}:too_few", "returned 1 scores for 2 texts"),
        (f"{HERE}:not_numbers", "must return finite numbers, not 'good'"),
        (f"{HERE}:infinite", "must return finite numbers, not inf"),
        (f"{HERE}:raising", "failed on a trial of two texts: RuntimeError('no such oracle')"),
    ],
)
def test_a_function_that_cannot_score_is_refused_before_training(name, message):
    with pytest.raises(ConfigError) as refused:
        judges.load_function(name)
    assert refused.value.field == "reward"
    assert message in refused.value.problem


def test_a_second_reward_is_watched_and_its_curve_fitted(tmp_path, tiny_dir, reward_dir):
    folder = run_with(tmp_path / "run", tiny_dir, reward_dir, gold=reward_dir, updates=4, learning_rate=0.02)
    assert run(folder) == EXIT_OK
    rows = [row for row in numbers(folder) if row["split"] == "train"]
    assert all(row["objective/sqrt_kl"] == max(0.0, row["objective/kl"]) ** 0.5 for row in rows)
    assert all(row["objective/overoptimised"] == 0.0 for row in rows)  # it is the same model: they move together
    metrics = Result.read(folder).metrics
    assert math.isfinite(metrics["gold_a"])
    assert metrics["gold_score_after"] == pytest.approx(metrics["score_after"], abs=1e-4)


def test_a_falling_gold_score_is_warned_of(tiny_dir):
    class Log:
        config = PpoConfig(gold_window=3)
        notes: list[str] = []

        def note(self, text):
            self.notes.append(text)

    session, kept = Log(), {}
    for at in range(4):
        facts = {"objective/kl": float(at), "objective/score": float(at), "objective/gold_score": -float(at)}
        found = ppo.watch_gold(session, kept, facts, at + 1)
        assert found == {"objective/sqrt_kl": at**0.5, "objective/overoptimised": float(at >= 2)}
    assert session.notes == [f"update {at}: over 3 updates the score rose while the gold score fell" for at in (3, 4)]


@pytest.mark.parametrize(
    ("config", "extra", "message"),
    [
        ({"reward": f"{HERE}:shorter"}, {}, "reward: replaces inputs.reward"),
        ({}, {"reward_dir": None}, "inputs.reward: a ppo run needs a checkpoint as reward"),
        (
            {"reward": f"{HERE}:shorter", "value_model": "adapter"},
            {"reward_dir": None},
            "value_model: an adapter starts from inputs.reward",
        ),
        ({"ptx_coef": 1.0}, {}, "ptx_coef: needs data.documents or data.demonstrations"),
        ({}, {"documents": DOCUMENTS}, "ptx_coef: must be above 0 when data.documents is given"),
        ({"ptx_coef": 1.0}, {"documents": [DOCUMENTS[2]]}, "has a row of split 'train'"),
        ({"inner_kl_target": 1.0, "inner_epochs": 1, "minibatches": 1}, {}, "one step cannot end early"),
        ({"whiten_rewards": True}, {}, "whiten_rewards: needs rollout_prompts of at least 8"),
        ({"value_warmup": 2, "updates": 2}, {}, "value_warmup: must be below updates (2)"),
        ({"kl_target": 1.0, "kl_coef": 0.0}, {}, "kl_target: multiplies kl_coef, and 0 stays 0"),
        ({"kl_horizon": 7}, {}, "kl_horizon: does nothing without kl_target: leave it at 10000"),
        ({"ptx_rows": 2}, {}, "ptx_rows: does nothing without ptx_coef: leave it at 8"),
        ({"ptx_tokens": 32}, {}, "ptx_tokens: does nothing without ptx_coef: leave it at 256"),
        ({"overlong_penalty": 2.0}, {}, "overlong_penalty: does nothing without overlong_tokens: leave it at 1.0"),
        ({"gold_window": 7}, {}, "gold_window: does nothing without inputs.gold: leave it at 5"),
        (
            {"truncated": "keep", "truncated_value": -2.0},
            {},
            "truncated_value: does nothing when truncated is keep: leave it at -1.0",
        ),
        ({"clip_high": 0.05}, {}, "clip_high: must be at least clip (0.1)"),
        ({"dual_clip": 1.05}, {}, "dual_clip: must exceed 1 + clip"),
        ({"scale_scores": True, "whiten_scores": True}, {}, "scale_scores: has no effect with whiten_scores"),
        ({"min_new_tokens": 9}, {}, "min_new_tokens: cannot exceed max_new_tokens (8)"),
        ({"overlong_tokens": 9}, {}, "overlong_tokens: cannot exceed max_new_tokens (8)"),
        ({"compile": True}, {}, "compile: records CUDA graphs and gains nothing on cpu"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(tmp_path, tiny_dir, reward_dir, capsys, config, extra, message):
    extra = {"reward_dir": reward_dir} | extra
    folder = run_with(tmp_path / "run", tiny_dir, extra.pop("reward_dir"), **extra, **config)
    assert run(folder) == EXIT_BAD_SPEC
    assert message in capsys.readouterr().err
    assert not (folder / "output").exists()


def test_gold_and_reward_may_be_judged_on_one_batch(tiny_dir, reward_dir):
    learner, config = learner_of(tiny_dir, lambda policy: load_reward(reward_dir, **CPU, backbone=policy))
    learner.gold = ModelJudge(load_reward(reward_dir, **CPU))
    rollout = roll(learner, config)
    torch.testing.assert_close(rollout.gold_R, rollout.scores_R, rtol=0, atol=1e-4)
