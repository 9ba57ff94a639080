import json
import math
import signal
from dataclasses import replace

import pytest
import torch

from tests.training.run_directories import TOPICS, assistant, lines, make_run, numbers, user
from training import sample
from training.chat import encode_answer, encode_prompt
from training.contracts import (
    EXIT_BAD_SPEC,
    EXIT_INTERRUPTED,
    EXIT_OK,
    DemonstrationRecord,
    InputRef,
    Kind,
    PromptRecord,
    Result,
    RunSpec,
    read_records,
    verify_manifest,
)
from training.prompt_programs import PromptProgram, build_program
from training.reward_model import RewardModel, load_reward
from training.session import main

CONFIG = {"n": 2, "max_new_tokens": 12, "batch_rows": 5}


def prompts(count=4):
    return [{"id": f"p{at}", "messages": [user(f"Tell me about {TOPICS[at]}.")]} for at in range(count)]


def run_of(folder, tiny_dir, **config):
    return make_run(
        folder, Kind.SAMPLE, config=CONFIG | config, inputs={"policy": tiny_dir}, data={"prompts": prompts()}
    )


def run(folder):
    return main(sample.train, [str(folder)])


def same(rows, others):
    """Equal texts and facts; numbers up to rounding, which depends on the rows decoded beside a row."""
    assert [replace(row, logprob=0, sampling={}) for row in rows] == [
        replace(row, logprob=0, sampling={}) for row in others
    ]
    for row, other in zip(rows, others, strict=True):
        assert row.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert row.sampling == pytest.approx(other.sampling, abs=1e-4)
    return True


def completions(folder):
    return read_records("completions", [folder / "output" / "completions.jsonl"])


def test_every_prompt_gets_n_completions_in_order(tmp_path, tiny_dir):
    folder = run_of(tmp_path / "run", tiny_dir)
    assert run(folder) == EXIT_OK
    found = completions(folder)
    assert [row.prompt_id for row in found] == ["p0", "p0", "p1", "p1", "p2", "p2", "p3", "p3"]
    assert len({row.id for row in found}) == 8
    assert {row.finish_reason for row in found} <= {"stop", "length"}
    assert all(row.token_count == 12 for row in found if row.finish_reason == "length")
    assert all(row.logprob < 0 and row.sampling["temperature"] == 1.0 for row in found)
    verify_manifest(folder / "output")
    metrics = Result.read(folder).metrics
    assert metrics["completions"] == 8
    assert metrics["length"] == sum(row.token_count for row in found) / 8
    assert lines(folder / "metrics.jsonl")[-1]["progress/fraction"] == 1.0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path, tiny_dir):
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        folder = make_run(
            tmp_path / name,
            Kind.SAMPLE,
            config=CONFIG,
            inputs={"policy": tiny_dir},
            data={"prompts": prompts()},
            seed=seed,
        )
        assert run(folder) == EXIT_OK
        texts.append([row.text for row in completions(folder)])
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_several_policies_are_named(tmp_path, tiny_dir):
    folder = run_of(tmp_path / "run", tiny_dir)
    spec = RunSpec.read(folder)
    refs = [InputRef(str(tiny_dir), name) for name in ("parent", "child")]
    RunSpec(spec.kind, spec.config, {"policy": refs}, spec.data).write(folder)
    assert run(folder) == EXIT_OK
    assert [row.policy for row in completions(folder)][:4] == ["parent", "parent", "child", "child"]


def test_two_policies_of_one_name_are_refused(tmp_path, tiny_dir, capsys):
    folder = run_of(tmp_path / "run", tiny_dir)
    spec = RunSpec.read(folder)
    RunSpec(spec.kind, spec.config, {"policy": [InputRef(str(tiny_dir))] * 2}, spec.data).write(folder)
    assert run(folder) == EXIT_BAD_SPEC
    assert "inputs.policy[1]: the name 'tiny' occurs twice" in capsys.readouterr().err
    assert not (folder / "output").exists()


def test_a_stopped_run_goes_on_and_gives_the_same_completions(tmp_path, tiny_dir, monkeypatch):
    whole, cut = run_of(tmp_path / "whole", tiny_dir), run_of(tmp_path / "cut", tiny_dir)
    assert run(whole) == EXIT_OK
    keep = sample.Progress.keep

    def keep_then_stop(progress, records, rows):
        keep(progress, records, rows)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(sample.Progress, "keep", keep_then_stop)
        assert run(cut) == EXIT_INTERRUPTED
    assert not (cut / "output").exists()
    kept = cut / "checkpoints" / "completions.jsonl"
    assert 5 <= len(lines(kept)) < 8
    with kept.open("ab") as file:
        file.write('{"id": "torn é'.encode()[:-1])  # cut within a letter, as a full disk does
    assert run(cut) == EXIT_OK
    assert same(completions(cut), completions(whole))


@pytest.mark.parametrize(
    "change", [{"temperature": 0.5}, {"top_p": 0.5}, {"max_new_tokens": 6}, {"n": 3}, {"system": "Be brief."}]
)
def test_every_setting_changes_the_result(tmp_path, tiny_dir, change):
    plain, changed = run_of(tmp_path / "plain", tiny_dir), run_of(tmp_path / "changed", tiny_dir, **change)
    assert run(plain) == run(changed) == EXIT_OK
    assert [row.text for row in completions(plain)] != [row.text for row in completions(changed)]


def test_batch_rows_changes_the_work_and_not_the_texts(tmp_path, tiny_dir):
    few, many = run_of(tmp_path / "few", tiny_dir, batch_rows=2), run_of(tmp_path / "many", tiny_dir, batch_rows=64)
    assert run(few) == run(many) == EXIT_OK
    assert [row.text for row in completions(few)] == [row.text for row in completions(many)]
    assert len(numbers(few)) > len(numbers(many))


def test_a_prompt_without_room_is_named(tmp_path, tiny_dir, capsys):
    folder = run_of(tmp_path / "run", tiny_dir, max_new_tokens=2047)
    assert run(folder) == EXIT_BAD_SPEC
    assert "lower max_new_tokens" in capsys.readouterr().err
    assert json.loads((folder / "result.json").read_text())["state"] == "failed"


def test_no_prompts_is_an_error(tmp_path, tiny_dir, capsys):
    folder = make_run(tmp_path / "run", Kind.SAMPLE, config=CONFIG, inputs={"policy": tiny_dir}, data={"prompts": []})
    assert run(folder) == EXIT_BAD_SPEC
    assert "data.prompts is empty" in capsys.readouterr().err


# ---------------------------------------------------------------- best of n, prompt programs


def with_reward(folder, tiny_dir, reward_dir, *, demonstrations=None, **config):
    data = {"prompts": prompts()} | ({"demonstrations": demonstrations} if demonstrations else {})
    inputs = {"policy": tiny_dir} | ({"reward": reward_dir} if reward_dir else {})
    return make_run(folder, Kind.SAMPLE, config=CONFIG | config, inputs=inputs, data=data)


def test_best_of_n_keeps_the_candidate_that_scores_highest(tmp_path, tiny_dir, reward_dir):
    plain = with_reward(tmp_path / "plain", tiny_dir, reward_dir, n=1)
    best = with_reward(tmp_path / "best", tiny_dir, reward_dir, n=1, best_of=4)
    assert run(plain) == run(best) == EXIT_OK
    reward = load_reward(reward_dir, device=torch.device("cpu"), dtype=torch.float32)
    for one, other, prompt in zip(completions(plain), completions(best), prompts(), strict=True):
        assert other.sampling["best_of"] == 4
        assert other.sampling["score"] >= max(one.sampling["score"], other.sampling["score_mean"])
        ids = encode_prompt(reward.backbone.tokenizer, prompt["messages"])
        answer = encode_answer(reward.backbone.tokenizer, other.text, finished=other.finish_reason == "stop")
        if len(answer) == other.token_count:  # the text's own tokens: the score can be computed again from it
            assert reward.score([(ids, answer)]).item() == pytest.approx(other.sampling["score"], abs=1e-4)
    metrics = Result.read(best).metrics
    assert metrics["best_of_kl_bound"] == pytest.approx(math.log(4) - 3 / 4)
    assert metrics["score"] > metrics["score_candidates"]
    assert metrics["score"] > Result.read(plain).metrics["score"]


def test_the_first_candidate_is_the_completion_without_best_of(tmp_path, tiny_dir, reward_dir, monkeypatch):
    plain = with_reward(tmp_path / "plain", tiny_dir, reward_dir, n=2)
    first = with_reward(tmp_path / "first", tiny_dir, reward_dir, n=2, best_of=3)
    assert run(plain) == EXIT_OK
    monkeypatch.setattr(RewardModel, "score", lambda self, rows: torch.zeros(len(rows)))  # the first of equals is kept
    assert run(first) == EXIT_OK
    assert [row.text for row in completions(first)] == [row.text for row in completions(plain)]


def test_a_stopped_best_of_n_goes_on_and_gives_the_same_completions(tmp_path, tiny_dir, reward_dir, monkeypatch):
    whole, cut = (with_reward(tmp_path / name, tiny_dir, reward_dir, best_of=3) for name in ("whole", "cut"))
    assert run(whole) == EXIT_OK
    finished = sample.Progress.finished

    def finish_then_stop(progress):
        finished(progress)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(sample.Progress, "finished", finish_then_stop)
        assert run(cut) == EXIT_INTERRUPTED
    assert 1 <= len(lines(cut / "checkpoints" / "completions.jsonl")) < 8
    assert run(cut) == EXIT_OK
    assert same(completions(cut), completions(whole))


def test_shots_are_earlier_turns_behind_the_system_text(tmp_path, tiny_dir):
    shots = [
        {"id": "d0", "messages": [user("Name a colour."), assistant("Red.")], "split": "train"},
        {"id": "d1", "messages": [user("Never shown."), assistant("No.")], "split": "valid"},
        {"id": "d2", "messages": [user("And a number?"), assistant("Seven.")]},
    ]
    program = build_program("Be brief.", 2, [DemonstrationRecord.parse(row) for row in shots])
    own = PromptRecord("p", [{"role": "system", "content": "Be kind."}, user("Who are you?")])
    assert program.apply(own).messages == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        user("Name a colour."),
        assistant("Red."),
        user("And a number?"),
        assistant("Seven."),
        user("Who are you?"),
    ]
    assert PromptProgram().apply(own) == own
    plain = with_reward(tmp_path / "plain", tiny_dir, None)
    shown = with_reward(tmp_path / "shown", tiny_dir, None, demonstrations=shots, shots=1)
    assert run(plain) == run(shown) == EXIT_OK
    assert [row.text for row in completions(plain)] != [row.text for row in completions(shown)]
    assert completions(shown)[0].sampling["shots"] == 1


@pytest.mark.parametrize(
    ("config", "shots", "message"),
    [
        ({"best_of": 2}, None, "best_of: needs inputs.reward"),
        ({"best_of": 2, "temperature": 0.0, "n": 1}, None, "best_of: must be 1 at temperature 0"),
        ({"temperature": 0.0}, None, "n: must be 1 at temperature 0"),
        ({"temperature": 0.0, "n": 1, "top_p": 0.9}, None, "top_p: does nothing when temperature is 0.0"),
        ({"shots": 1}, None, "shots: needs data.demonstrations to take them from"),
        ({"shots": 2}, [user("a"), assistant("b")], "shots: asks for 2 demonstrations; data.demonstrations has 1"),
        ({}, [user("a"), assistant("b")], "shots: must be at least 1 when data.demonstrations is given"),
        (
            {"shots": 1},
            [{"role": "system", "content": "s"}, user("a"), assistant("b")],
            "demonstration d0 has a system message and cannot be a shot",
        ),
        ({"compile": True}, None, "compile: records CUDA graphs and gains nothing on cpu"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, tiny_dir, capsys, config, shots, message):
    rows = [{"id": "d0", "messages": shots}] if shots else None
    folder = with_reward(tmp_path / "run", tiny_dir, None, demonstrations=rows, **config)
    assert run(folder) == EXIT_BAD_SPEC
    assert message in capsys.readouterr().err
    assert not (folder / "output").exists()
