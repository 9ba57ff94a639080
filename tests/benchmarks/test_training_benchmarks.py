"""Every benchmark of training runs at a tiny size, without its peer, and ends with one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, memory, ppo, reward, sampling
from benchmarks.harness import environment, llama, roofline
from benchmarks.harness.clock import Clock
from training.backbone import load_backbone, stop_ids


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """The benchmarks compute with one thread; what comes after them shall not notice."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def last_line(text: str) -> dict[str, Any]:
    found = json.loads(text.splitlines()[-1])
    assert found["machine"]["torch"] == torch.__version__
    return dict(found)


def test_reward_reports_every_k_and_what_it_computes(capsys: pytest.CaptureFixture[str]) -> None:
    reward.main(["--size", "tiny", "--tokens", "24", "--k", "2", "4", "--steps", "1", "--against", "nothing"])
    found = last_line(capsys.readouterr().out)
    assert found["k4"]["tokens_per_ranking"] == {"ours": 24 * 5, "trl": 24 * 2 * 6 * 2}
    assert found["k2"]["cpu_seconds_per_ranking"]["ours"] > 0
    assert found["k4"]["loss_first"] != found["k4"]["loss_last"], "no step was taken"


def test_reward_trains_the_weights_of_the_classifier_it_is_compared_with() -> None:
    rows = reward.rankings(2, 3, "tiny", 16)
    options = reward.options_of(["--size", "tiny", "--against", "nothing"])
    classifier, ours = reward.same_models(options, torch.device("cpu"), torch.float32)
    scores = [
        classifier(torch.tensor([row.prompt + answer])).logits.item() for row in rows for answer in row.completions
    ]
    own = [score for part in ours.model.score_rankings(rows) for score in part]
    assert own == pytest.approx(scores, abs=1e-5)


def test_ppo_reports_phases_and_counts_arithmetic(capsys: pytest.CaptureFixture[str]) -> None:
    ppo.main(
        [
            "--size",
            "tiny",
            "--batch",
            "2",
            "--prompt-tokens",
            "8",
            "--answer-tokens",
            "8",
            "--updates",
            "1",
            "--epochs",
            "1",
            "2",
            "--against",
            "nothing",
        ]
    )
    found = last_line(capsys.readouterr().out)
    assert set(found["epochs1"]["phases"]["ours"]) == {"sample", "score", "train"}
    assert found["epochs1"]["answer_tokens"] == 2 * 8, "an answer ended early: the shapes are not fixed"
    assert found["epochs2"]["arithmetic"]["ours"]["trunk_backward"] == 2 * 2 * 16
    assert found["epochs1"]["trained_parameters"]["ours"] == llama.parameters(llama.language_model("tiny")) + 33


def test_memory_measures_both_sides_in_processes_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    memory.main(["--size", "tiny", "--batch", "2", "--prompt-tokens", "8", "--answer-tokens", "8", "--updates", "1"])
    found = last_line(capsys.readouterr().out)
    assert found["ratio"] == pytest.approx(found["ours"]["peak_mb"] / found["four_models"]["peak_mb"], abs=1e-3)
    assert found["ours"]["before_mb"] > 100


def test_sampling_gives_both_sides_the_same_lengths(capsys: pytest.CaptureFixture[str]) -> None:
    sampling.main(
        ["--size", "tiny", "--batch", "3", "--prompts", "5", "--shortest", "2", "--longest", "12", "--rounds", "1"]
    )
    found = last_line(capsys.readouterr().out)
    assert found["equal"]["tokens"] == 5 * 12
    assert found["uneven"]["tokens"] == 2 + 4 + 7 + 10 + 12
    assert set(found["uneven"]["seconds"]) == {"ours", "transformers"}


def test_sampling_refuses_answers_of_another_length() -> None:
    with pytest.raises(RuntimeError, match="cannot be compared"):
        sampling.check_lengths([[5, 6], [7]], [2, 2])


def test_gpu_runs_as_a_smoke_test_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    shape = ["--batch", "2", "--prompt-tokens", "8", "--answer-tokens", "8", "--updates", "1", "--against", "nothing"]
    gpu.main(["--device", "cpu", "--size", "tiny", *shape])
    found = last_line(capsys.readouterr().out)
    assert found["device"] == "cpu" and found["precision"] == "float32"
    for phase in ("sampling", "scoring", "ppo", "reward"):
        assert found[phase]["tokens_per_second"] > 0 and found[phase]["of_bound"] > 0


def test_gpu_measures_ours_alone_where_trl_does_not_fit_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def measure(_folder: Path, clock: Clock, _rates: Any, options: Any) -> dict[str, Any]:
        asked.append(options.against)
        clock.add("ours", 1.0)
        if len(asked) == 1 or len(asked) > 2:
            raise torch.OutOfMemoryError("no room")
        return {"times": len(clock.seconds["ours"])}

    monkeypatch.setitem(gpu.MEASURES, "reward", measure)
    gpu.main(["--device", "cpu", "--size", "tiny", "--prompt-tokens", "4", "--answer-tokens", "4", "--only", "reward"])
    said = capsys.readouterr().out
    assert asked == ["trl", "nothing"]
    assert last_line(said)["reward"] == {"times": 1, "trl": "no room on the device beside ours"}
    assert "reward: the device has no room for TRL beside ours" in said
    with pytest.raises(torch.OutOfMemoryError):  # ours alone does not fit either: nothing is made up
        gpu.main(["--device", "cpu", "--size", "tiny", "--only", "reward", "--against", "nothing"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gpu_says_when_there_is_none() -> None:
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu.main([])


def test_the_roofline_counts_what_a_forward_pass_needs() -> None:
    shape = llama.Shape(vocabulary=10, hidden=4, layers=2, heads=2, key_value_heads=1, intermediate=8, context=16)
    weights = 2 * (2 * 16 + 2 * 4 * 2 + 3 * 4 * 8)
    assert roofline.trunk_weights(shape) == weights
    assert roofline.causal(2, 3) == 12
    expected = 2 * weights * 6 + 4 * 4 * 2 * 12 + 2 * 4 * 10 * 1
    assert roofline.forward_flops(shape, 6, roofline.causal(2, 3), logits=1) == expected
    keys_and_values = 2 * 2 * 1 * 2 * 2 * 3 * (5 + 6)
    assert roofline.decoding_bytes(shape, 3, 5, 2, 2) == (weights + 40) * 2 * 2 + keys_and_values
    rates = roofline.Rates(bytes_per_second=10.0, flops_per_second=100.0)
    assert roofline.bound_seconds(rates, flops=50.0, moved=20.0) == 2.0


def test_trunk_weights_are_those_of_the_real_model() -> None:
    model = llama.language_model("tiny")
    maps = sum(weight.numel() for name, weight in model.model.layers.named_parameters() if weight.dim() == 2)
    assert roofline.trunk_weights(llama.SIZES["tiny"]) == maps


@pytest.mark.parametrize(
    ("benchmark", "words", "named"),
    [
        (reward, "--k 1", "--k must be at least 2"),
        (reward, "--steps 0", "must be at least 1"),
        (ppo, "--epochs 0", "--epochs must be at least 1"),
        (ppo, "--size tiny --prompt-tokens 250 --answer-tokens 20", "exceed the 256 tokens"),
        (memory, "--batch 0", "must be at least 1"),
        (sampling, "--shortest 9 --longest 9", "--shortest must be below --longest"),
        (gpu, "--k 1", "--k at least 2"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    benchmark: Any, words: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(words.split())
    assert named in capsys.readouterr().err


def test_without_the_peers_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "PEERS", tmp_path)
    with pytest.raises(SystemExit) as ended:
        reward.main(["--against", "trl"])
    assert ended.value.code == 2
    assert "make bench-peers" in capsys.readouterr().err


def test_the_peers_are_pinned_to_the_versions_of_the_project() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (environment.ROOT / name).read_text(encoding="utf-8").splitlines()
        return dict(line.split("==") for line in lines if line and not line.startswith("#") and ";" not in line)

    ours, theirs = pins("requirements.lock"), pins("benchmarks/peers.lock")
    assert theirs["trl"] == "1.16.0"
    assert {name: ours[name] for name in ("torch", "transformers", "peft", "tokenizers")}.items() <= theirs.items()


def test_the_clock_leaves_the_warm_up_out() -> None:
    clock = Clock(warmup=1)
    for seconds in (100.0, 1.0, 3.0, 2.0):
        clock.add("step", seconds)
    assert clock.median("step") == 2.0


def test_the_endless_llama_cannot_say_its_end_token(tmp_path: Path) -> None:
    folder = llama.save(llama.language_model("tiny"), "tiny", tmp_path, endless=True)
    backbone = load_backbone(folder, device=torch.device("cpu"), dtype=torch.float32)
    assert stop_ids(backbone) == []
