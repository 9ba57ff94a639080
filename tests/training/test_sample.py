import json
import signal

import pytest

from tests.training.run_directories import TOPICS, lines, make_run, numbers, user
from training import sample
from training.contracts import (
    EXIT_BAD_SPEC,
    EXIT_INTERRUPTED,
    EXIT_OK,
    InputRef,
    Kind,
    Result,
    RunSpec,
    read_records,
    verify_manifest,
)
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
    assert len(lines(kept)) == 5
    kept.write_text(kept.read_text() + '{"id": "torn')
    assert run(cut) == EXIT_OK
    assert (cut / "output" / "completions.jsonl").read_text() == (whole / "output" / "completions.jsonl").read_text()


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
