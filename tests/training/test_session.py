import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.run_directories import demonstrations, lines, make_run
from training import sft
from training.contracts import (
    EXIT_BAD_SPEC,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    Kind,
    Result,
    sha256_of,
    verify_manifest,
    write_manifest,
)
from training.session import Metrics, Session, main


def toy(session: Session) -> Metrics:
    """A stage that adds 1 to a weight for ten steps."""
    weight = torch.zeros(1)
    kept = session.restore({"weight": weight})
    for step in session.steps(10):
        weight += 1
        kept["sum"] = kept.get("sum", 0.0) + float(torch.rand(1))
        session.log(step, loss=float(weight), draw=float(torch.rand(1)))
        session.sample(step, prompt="p", text=f"text {step}")
        session.end_step(step, weights={"weight": weight}, extra=kept)
    (session.staging / "weight.txt").write_text(str(weight.item()))
    return {"weight": weight.item(), "sum": kept["sum"]}


def stopping_at(step: int) -> Callable[[Session], Metrics]:
    def train(session: Session) -> Metrics:
        sample = session.sample

        def sample_then_stop(at: int, **facts: Any) -> None:
            sample(at, **facts)
            if at == step:
                signal.raise_signal(signal.SIGTERM)

        session.sample = sample_then_stop  # type: ignore[method-assign]
        return toy(session)

    return train


@pytest.fixture
def run(tmp_path: Path, tiny_dir: Path) -> Path:
    data = {"demonstrations": demonstrations(4)}
    return make_run(tmp_path / "run", Kind.SFT, config={"checkpoint_every": 4}, inputs={"policy": tiny_dir}, data=data)


def edit_spec(run: Path, **changes: Any) -> None:
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps(spec | changes))


def test_a_finished_run_leaves_output_result_and_nothing_else(run: Path) -> None:
    assert main(toy, [str(run)]) == EXIT_OK
    result = Result.read(run)
    assert (result.state, result.metrics["weight"], result.device) == ("succeeded", 10.0, "cpu")
    assert result.manifest_sha256 == sha256_of(run / "output" / "manifest.json")
    manifest = verify_manifest(run / "output")
    assert (manifest["kind"], manifest["stage"]) == ("policy", "sft")
    names = sorted(path.name for path in run.iterdir())
    assert names == ["data", "metrics.jsonl", "output", "result.json", "samples.jsonl", "spec.json"]
    rows = lines(run / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert rows[4]["progress/fraction"] == 0.5
    assert {"time", "split", "loss", "progress/eta_seconds"} <= set(rows[4])


def test_starting_a_finished_run_again_does_nothing(run: Path) -> None:
    assert main(toy, [str(run)]) == EXIT_OK
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert main(toy, [str(run)]) == EXIT_OK
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize("step", [1, 4, 6, 10])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(run: Path, tmp_path: Path, step: int) -> None:
    assert main(stopping_at(step), [str(run)]) == EXIT_INTERRUPTED
    assert not (run / "result.json").exists()
    assert not (run / "output").exists()
    assert main(toy, [str(run)]) == EXIT_OK
    whole = make_run(
        tmp_path / "whole",
        Kind.SFT,
        config={"checkpoint_every": 4},
        inputs={"policy": tmp_path},
        data={"demonstrations": demonstrations(4)},
    )
    assert main(toy, [str(whole)]) == EXIT_OK
    timeless = [
        [{key: row[key] for key in ("step", "loss", "draw")} for row in lines(folder / "metrics.jsonl")]
        for folder in (run, whole)
    ]
    assert timeless[0] == timeless[1]
    assert lines(run / "samples.jsonl") == lines(whole / "samples.jsonl")
    assert Result.read(run).metrics == Result.read(whole).metrics


def test_lines_written_after_the_last_checkpoint_are_dropped(run: Path) -> None:
    def crash_at_seven(session: Session) -> Metrics:
        log = session.log

        def log_or_crash(step: int, split: str = "train", **metrics: float | None) -> None:
            log(step, split, **metrics)
            if step == 7:
                raise OSError("disk")

        session.log = log_or_crash  # type: ignore[method-assign]
        return toy(session)

    assert main(crash_at_seven, [str(run)]) == EXIT_FAILED
    assert Result.read(run).error == "OSError: disk"
    assert [row["step"] for row in lines(run / "metrics.jsonl")] == list(range(1, 8))
    assert main(toy, [str(run)]) == EXIT_OK
    assert [row["step"] for row in lines(run / "metrics.jsonl")] == list(range(1, 11))


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond `size` bytes of any file, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("size", "reported"), [(6000, True), (0, False)])
def test_a_full_disk_keeps_the_last_checkpoint_and_says_what_to_do(
    run: Path, capsys: pytest.CaptureFixture[str], size: int, reported: bool
) -> None:
    def wide(session: Session) -> Metrics:
        """Two checkpoints of 8 kB and a stage that goes on after them."""
        weight = torch.zeros(2000)
        session.restore({"weight": weight})
        for step in session.steps(10):
            weight += step
            if step > 5 and size_limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            session.log(step, loss=float(weight[0]))
            session.end_step(step, weights={"weight": weight})
        return {"weight": float(weight[0])}

    size_limit = True
    with files_limited_to(resource.RLIM_INFINITY):
        assert main(wide, [str(run)]) == EXIT_FAILED
    told = "free some space on the disk of run and start the same directory again: it goes on after step 4"
    assert told in capsys.readouterr().err
    assert (run / "result.json").exists() is reported
    if reported:
        assert told in Result.read(run).error
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000004"]
    assert not (run / "output").exists()
    size_limit = False
    assert main(wide, [str(run)]) == EXIT_OK
    assert Result.read(run).metrics["weight"] == 55.0
    assert [row["step"] for row in lines(run / "metrics.jsonl")] == list(range(1, 11))


def test_a_number_that_is_not_finite_fails_the_run(run: Path) -> None:
    def diverges(session: Session) -> Metrics:
        session.log(3, **{"sft/loss": float("nan")})
        return {}

    assert main(diverges, [str(run)]) == EXIT_FAILED
    assert "sft/loss is nan at step 3; a lower learning_rate" in Result.read(run).error
    assert not (run / "output").exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kind": "tune"}, "'kind' must be one of pretrain, sft"),
        ({"colour": 1}, "unknown field 'colour'"),
        ({"config": {"epocs": 1}}, "epocs: unknown setting"),
        ({"config": {"epochs": 0}}, "epochs: must be from 1 to 1000"),
        ({"config": {"learning_rate": "fast"}}, "learning_rate: must be float, not str"),
        ({"inputs": {}}, "sft needs inputs.policy"),
        (
            {"inputs": {"policy": [{"path": "/no/such/model"}]}},
            "inputs.policy[0]: there is no directory /no/such/model",
        ),
        ({"data": {"demonstrations": [{"path": "data/none.jsonl"}]}}, "data.demonstrations[0]: there is no file"),
        ({"data": {"demonstrations": [{"path": "../spec.json"}]}}, "lies outside the run directory"),
        (
            {"data": {"demonstrations": [{"path": "data/demonstrations.jsonl", "sha256": "0" * 64}]}},
            "differs from the sha256",
        ),
        (
            {"data": {"demonstrations": [{"path": "data/demonstrations.jsonl", "rows": 9}]}},
            "has 4 rows, spec.json says 9",
        ),
    ],
)
def test_a_wrong_spec_is_one_clear_line(
    run: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], problem: str
) -> None:
    edit_spec(run, **changes)
    assert main(sft.train, [str(run)]) == EXIT_BAD_SPEC
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("error: ") and problem in told
    result = Result.read(run)
    assert result.state == "failed" and problem in result.error


def test_a_changed_input_is_refused(run: Path, tiny_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    digest = write_manifest(folder)
    edit_spec(run, inputs={"policy": [{"path": str(folder), "sha256": digest}]})
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    assert main(toy, [str(run)]) == EXIT_BAD_SPEC
    assert "model.safetensors is missing or differs from the manifest" in Result.read(run).error
    edit_spec(run, inputs={"policy": [{"path": str(folder), "sha256": "0" * 64}]})
    assert main(toy, [str(run)]) == EXIT_BAD_SPEC
    assert "inputs.policy[0]: manifest.json of model is not the one in spec.json" in Result.read(run).error


def test_bad_records_name_file_row_and_field(run: Path) -> None:
    path = run / "data" / "demonstrations.jsonl"
    path.write_text(path.read_text() + '{"id": "x", "messages": [{"role": "user", "content": " "}]}\n')
    assert main(sft.train, [str(run)]) == EXIT_BAD_SPEC
    assert "demonstrations.jsonl row 5: messages[0].content must be non-empty text" in Result.read(run).error


def test_usage_is_told_when_there_is_no_directory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(toy, []) == EXIT_BAD_SPEC
    assert main(toy, [str(tmp_path / "none")]) == EXIT_BAD_SPEC
    assert capsys.readouterr().err.count("usage: python -m training.STAGE RUN_DIR") == 2


def test_sigterm_to_the_process_keeps_a_checkpoint_and_the_next_start_finishes(tmp_path: Path, tiny_dir: Path) -> None:
    config = {"epochs": 40, "batch_size": 1, "checkpoint_every": 0}
    data = {"demonstrations": demonstrations(8)}
    run = make_run(tmp_path / "run", Kind.SFT, config=config, inputs={"policy": tiny_dir}, data=data)
    command = [sys.executable, "-m", "training.sft", str(run)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "metrics.jsonl").exists() and len((run / "metrics.jsonl").read_text().splitlines()) > 3:
            break
        time.sleep(0.02)
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED, told
    assert "start it again to go on" in told
    assert len(list((run / "checkpoints").glob("step-*"))) == 1
    assert main(sft.train, [str(run)]) == EXIT_OK
    assert [row["step"] for row in lines(run / "metrics.jsonl") if row["split"] == "train"] == list(range(1, 321))
