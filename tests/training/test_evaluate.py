import json

import pytest
import torch

from tests.training.run_directories import TOPICS, lines, make_run, rankings, user
from training import evaluate
from training.agreement import agreement
from training.contracts import EXIT_BAD_SPEC, EXIT_OK, Kind, RankingRecord, Result, read_records
from training.default_model import make_tiny
from training.records import ranking_rows
from training.reward_model import load_reward
from training.sampling import Sampled
from training.session import main

CONFIG = {"n": 2, "max_new_tokens": 10, "batch_rows": 8}


@pytest.fixture(scope="module")
def other_dir(tmp_path_factory):
    """Another policy with the same tokenizer."""
    return make_tiny(tmp_path_factory.mktemp("models") / "other", seed=1)


def prompts():
    return [
        {"id": f"p{at}", "messages": [user(f"Tell me about {text}.")], "split": "test"}
        for at, text in enumerate(TOPICS)
    ]


def held_out(count=6):
    return [row | {"split": "test"} for row in rankings(count)]


def evaluated(folder, *, config=None, **parts):
    data = {name: rows for name, rows in parts.items() if name in ("prompts", "rankings")}
    inputs = {role: path for role, path in parts.items() if role not in data}
    make_run(folder, Kind.EVALUATE, config=CONFIG | (config or {}), inputs=inputs, data=data)
    return main(evaluate.train, [str(folder)])


def report_of(folder):
    return json.loads((folder / "output" / "report.json").read_text())


def test_a_policy_against_itself_is_a_draw_without_any_kl(tmp_path, tiny_dir, reward_dir):
    folder = tmp_path / "run"
    assert evaluated(folder, policy=tiny_dir, reference=tiny_dir, reward=reward_dir, prompts=prompts()) == EXIT_OK
    report = report_of(folder)
    assert report["comparison"]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert report["comparison"]["win_rate"] == 0.5
    low, high = report["comparison"]["win_rate_ci95"]
    assert low <= 0.5 <= high
    assert report["policy"] == report["reference"]
    completions = read_records("completions", [folder / "output" / "completions.jsonl"])
    assert len(completions) == 2 * 2 * len(TOPICS)
    texts = {side: [row.text for row in completions if row.policy == side] for side in ("policy", "reference")}
    assert texts["policy"] == texts["reference"]
    assert len(lines(folder / "samples.jsonl")) == 16


def test_two_policies_differ_and_the_numbers_agree_with_each_other(tmp_path, tiny_dir, other_dir, reward_dir):
    folder, back = tmp_path / "run", tmp_path / "back"
    assert evaluated(folder, policy=tiny_dir, reference=other_dir, reward=reward_dir, prompts=prompts()) == EXIT_OK
    assert evaluated(back, policy=other_dir, reference=tiny_dir, reward=reward_dir, prompts=prompts()) == EXIT_OK
    one, other = report_of(folder), report_of(back)
    assert one["comparison"]["kl_per_token"] > 0.1
    assert one["comparison"]["win_rate"] == pytest.approx(1.0 - other["comparison"]["win_rate"])
    assert one["policy"] == other["reference"]
    low, high = one["comparison"]["win_rate_ci95"]
    assert low <= one["comparison"]["win_rate"] <= high
    metrics = Result.read(folder).metrics
    assert metrics["comparison/win_rate"] == one["comparison"]["win_rate"]
    assert metrics["policy/entropy"] == one["policy"]["entropy"]
    assert lines(folder / "metrics.jsonl")[-1]["progress/fraction"] == 1.0


def test_a_reward_model_is_judged_by_held_out_rankings(tmp_path, tiny_dir, reward_dir):
    folder = tmp_path / "run"
    assert evaluated(folder, policy=tiny_dir, reward=reward_dir, rankings=held_out()) == EXIT_OK
    reward = load_reward(reward_dir, device=torch.device("cpu"), dtype=torch.float32)
    rows = ranking_rows([RankingRecord.parse(row) for row in held_out()], reward.backbone.tokenizer, 1024)
    expected = agreement(reward.score_rankings(rows), rows)
    found = report_of(folder)["reward"]
    assert found["accuracy"] == expected["accuracy"]
    assert found["pairs"] == expected["pairs"] == 18
    assert found["accuracy_ci95"] == pytest.approx(expected["accuracy_ci95"])
    assert {"low", "high", "predicted", "observed", "pairs"} == set(found["calibration"][0])
    assert not (folder / "output" / "completions.jsonl").exists()
    assert Result.read(folder).metrics["reward/accuracy"] == expected["accuracy"]
    kept = lines(folder / "output" / "scores.jsonl")
    assert [row["id"] for row in kept] == [row.id for row in rows]
    assert [row["scores"] for row in kept] == [pytest.approx(own) for own in reward.score_rankings(rows)]


def test_a_policy_alone_is_described(tmp_path, tiny_dir):
    folder = tmp_path / "run"
    assert evaluated(folder, policy=tiny_dir, prompts=prompts()) == EXIT_OK
    report = report_of(folder)
    assert set(report) == {"split", "seed", "config", "policy"}
    assert {"length", "repeat_4gram", "eos_fraction", "entropy", "distinct_2"} <= set(report["policy"])


@pytest.mark.parametrize("change", [{"n": 3}, {"temperature": 0.5}, {"max_new_tokens": 5}])
def test_settings_change_the_answers(tmp_path, tiny_dir, change):
    found = []
    for name, config in (("plain", {}), ("changed", change)):
        assert evaluated(tmp_path / name, config=config, policy=tiny_dir, prompts=prompts()) == EXIT_OK
        found.append((tmp_path / name / "output" / "completions.jsonl").read_text())
    assert found[0] != found[1]


def test_batch_rows_changes_no_answer(tmp_path, tiny_dir):
    texts = []
    for rows in (3, 64):
        folder = tmp_path / str(rows)
        assert evaluated(folder, config={"batch_rows": rows}, policy=tiny_dir, prompts=prompts()) == EXIT_OK
        texts.append([row.text for row in read_records("completions", [folder / "output" / "completions.jsonl"])])
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("parts", "config", "message"),
    [
        ({"prompts": prompts()}, {"split": "valid"}, "has a row of split 'valid'"),
        ({"rankings": held_out()}, {}, "inputs.reward must name the reward model"),
        ({"prompts": prompts()}, {"max_tokens": 8}, "prompts row 1 (id p0)"),
    ],
)
def test_what_is_missing_or_too_long_is_named(tmp_path, tiny_dir, capsys, parts, config, message):
    assert evaluated(tmp_path / "run", config=config, policy=tiny_dir, **parts) == EXIT_BAD_SPEC
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "output").exists()


def answer(length):
    return Sampled([5] * length, torch.zeros(length), None, True)


def test_wins_count_every_pair_of_a_prompt_and_ties_by_half():
    names = ["a", "a", "b", "b"]
    scores = {"policy": [1.0, 3.0, 0.0, 0.0], "reference": [2.0, 0.0, 0.0, -1.0]}
    answers = {"policy": [answer(10)] * 4, "reference": [answer(10), answer(20), answer(10), answer(20)]}
    assert evaluate.wins_by_prompt(names, scores, answers, None) == [0.75, 0.75]
    assert evaluate.wins_by_prompt(names, scores, answers, evaluate.alike) == [0.5, 0.5]


def test_lengths_match_within_a_tenth():
    assert evaluate.alike(answer(10), answer(9))
    assert not evaluate.alike(answer(10), answer(8))


def test_the_bootstrap_interval_of_a_constant_is_a_point():
    assert evaluate.bootstrap([0.7] * 5, seed=0) == pytest.approx([0.7, 0.7])
    low, high = evaluate.bootstrap([0.0, 1.0] * 50, seed=0)
    assert 0.38 < low < 0.45
    assert 0.55 < high < 0.62
