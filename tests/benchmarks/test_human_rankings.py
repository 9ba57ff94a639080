"""People's rankings: the files that are read, the split, the accuracy with its interval, and one whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import human_rankings
from benchmarks.harness import pair_accuracy
from benchmarks.harness.human_rankings import Judged, judged_row, prompt_of, read, split
from training.contracts import ContractError
from training.default_model import make_tiny


def judged(number: int, verdicts: list[tuple[int, int, str]], texts: list[str]) -> dict[str, Any]:
    return {
        "id": f"q{number}",
        "prompt": f"Question {number}?",
        "context": "A long context.",
        "responses": texts,
        "human_pairwise": [{"a": a, "b": b, "pref": preferred} for a, b, preferred in verdicts],
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_judged_pairs_become_ranks_by_wins_and_keep_what_was_decided() -> None:
    row = judged_row(judged(1, [(0, 1, "tie"), (0, 2, "a"), (1, 2, "b")], ["x", "y", "z"]), 1, context_characters=6)
    assert row.record["ranks"] == [1, 3, 2]  # wins 1.5, 0.5, 1
    assert row.pairs == [(0, 2), (2, 1)]
    assert row.record["messages"] == [{"role": "user", "content": "A long\n\nQuestion 1?"}]


def test_our_own_format_is_read_too(tmp_path: Path) -> None:
    record = {
        "id": "r1",
        "prompt_id": "p1",
        "messages": [{"role": "user", "content": "Hello"}],
        "completions": [{"id": "a", "text": "Hi."}, {"id": "b", "text": "No."}, {"id": "c", "text": "Hey."}],
        "ranks": [1, 2, 1],
        "split": "valid",
    }
    (row,) = read(write(tmp_path / "rows.jsonl", [record]), context_characters=0)
    assert row.pairs == [(0, 1), (2, 1)]
    assert row.record["split"] == "train"


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"human_pairwise": [], "prompt": "?"}, "line 2: KeyError: 'responses'"),
        (judged(1, [(0, 5, "a")], ["x", "y"]), "line 2: ValueError: human_pairwise has"),
        (judged(1, [(0, 1, "both")], ["x", "y"]), "line 2: ValueError: human_pairwise has"),
        ({"id": "r", "messages": [{"role": "user", "content": "?"}], "completions": [], "ranks": []}, "completions"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: dict[str, Any], named: str) -> None:
    path = write(tmp_path / "rows.jsonl", [judged(0, [(0, 1, "a")], ["x", "y"]), row])
    with pytest.raises(ContractError, match=named):
        read(path, context_characters=10)


def test_a_prompt_is_on_one_side_of_the_split() -> None:
    rows = [judged_row(judged(at // 2, [(0, 1, "a")], ["x", "y"]), at, context_characters=0) for at in range(12)]
    learned, held = split(rows, 0.34, seed=0)
    assert len(held) == 4 and len(learned) == 8
    assert not {prompt_of(row) for row in learned} & {prompt_of(row) for row in held}
    with pytest.raises(ContractError, match="cannot be split"):
        split(rows[:2], 0.5, seed=0)


def test_accuracy_counts_pairs_and_equal_scores_as_half() -> None:
    rows = [Judged({}, [(0, 1), (1, 2)]), Judged({}, [(0, 1)])]
    counts = pair_accuracy.right_of(rows, [[3.0, 2.0, 2.0], [0.0, 1.0]])
    assert counts.tolist() == [[1.5, 2.0], [0.0, 1.0]]
    assert pair_accuracy.accuracy(counts, pair_accuracy.resampled(["p", "q"], 0))["accuracy"] == 0.5


def test_the_interval_is_that_of_resampled_prompts() -> None:
    """100 prompts with one pair each, 60 right: the binomial's 95 % interval is 0.6 ± 0.096."""
    counts = np.array([[1.0, 1.0]] * 60 + [[0.0, 1.0]] * 40)
    samples = pair_accuracy.resampled([f"p{at}" for at in range(100)], 0)
    assert samples.sum(1).tolist() == [100] * pair_accuracy.RESAMPLES
    assert pair_accuracy.accuracy(counts, samples)["interval"] == pytest.approx([0.504, 0.696], abs=0.015)
    assert pair_accuracy.gain(counts, counts, samples) == {"difference": 0.0, "interval": [0.0, 0.0]}


def test_rankings_of_one_prompt_are_resampled_together() -> None:
    samples = pair_accuracy.resampled(["p", "q", "p"], 0)
    assert (samples[:, 0] == samples[:, 2]).all()


def test_a_bag_of_words_finds_the_word_that_wins() -> None:
    rows = [Judged({"completions": [{"text": f"yes {at}"}, {"text": f"no {at}"}]}, [(0, 1)]) for at in range(6)]
    words = pair_accuracy.BagOfWords(rows, penalty=0.01)
    good, bad = words.score(Judged({"completions": [{"text": "Yes, new"}, {"text": "No, new"}]}, []))
    assert good > 0.5 > -0.5 > bad


def test_a_run_reports_the_reward_model_beside_the_baselines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["It is good.", "People like it a lot, and they say so.", "Yes."]
    rows = [judged(at, [(0, 1, "b"), (0, 2, "a"), (1, 2, "a")], texts) for at in range(9)]
    file, model = write(tmp_path / "rows.jsonl", rows), make_tiny(tmp_path / "tiny")
    human_rankings.main(["--file", str(file), "--model", str(model), "--trunk-layers", "1", "--threads", "1"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["longer"]["accuracy"] == 1.0 and found["shorter"]["accuracy"] == 0.0
    assert found["reward"]["accuracy"] == 1.0, "the held-out completions are those of training"
    assert found["held_out"] == {"rankings": 3, "pairs": 9} and found["train"]["rankings"] == 6


def test_what_cannot_be_read_ends_with_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot be read"):
        human_rankings.main(["--file", str(tmp_path / "missing.jsonl")])
