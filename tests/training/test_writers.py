"""Writers get what metrics.jsonl gets; one that is not installed is refused before anything is done."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training.run_directories import demonstrations, lines, make_run
from training import sft
from training.configs import CONFIGS, ConfigError, config_for
from training.contracts import EXIT_BAD_SPEC, EXIT_OK, Kind, Result
from training.session import main
from training.writers import open_writers


class Spy:
    """Stands in for all three packages; keeps what it is told as (call, step, numbers)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int | None, dict[str, float]]] = []
        self.opened: dict[str, Any] = {}
        self.closed = 0

    def init(self, **facts: Any) -> "Spy":
        self.opened = facts
        return self

    def SummaryWriter(self, **facts: Any) -> "Spy":
        return self.init(**facts)

    def log(self, numbers: dict[str, float], *, step: int | None) -> None:
        self.heard.append(("log", step, numbers))

    def add_scalar(self, name: str, value: float, *, global_step: int) -> None:
        self.heard.append(("add_scalar", global_step, {name: value}))

    def finish(self) -> None:
        self.closed += 1

    close = finish


@pytest.mark.parametrize(
    ("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb"), ("trackio", "trackio")]
)
def test_a_writer_gets_what_the_metrics_file_gets(
    name: str, module: str, tmp_path: Path, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy()
    monkeypatch.setitem(sys.modules, module, spy)  # type: ignore[arg-type]
    config = {"writers": name, "batch_size": 4, "epochs": 2}
    data = {"demonstrations": demonstrations(8, valid=4)}
    run = make_run(tmp_path / "run", Kind.SFT, config=config, inputs={"policy": tiny_dir}, data=data)
    assert main(sft.train, [str(run)]) == EXIT_OK
    heard: dict[int | None, dict[str, float]] = {}
    for _, step, numbers in spy.heard:
        heard.setdefault(step, {}).update(numbers)
    written: dict[int, dict[str, float]] = {}
    for row in lines(run / "metrics.jsonl"):
        front = "" if row["split"] == "train" else f"{row['split']}/"
        named = {front + key: row[key] for key in row if key not in ("step", "time", "split")}
        written.setdefault(row["step"], {}).update(named)
    assert heard == written
    assert {"sft/loss", "valid/sft/loss", "progress/fraction"} <= set(heard[1])
    assert spy.closed == 1
    if name == "tensorboard":
        assert spy.opened == {"log_dir": str(run / "tensorboard"), "purge_step": 1}
    else:
        assert (spy.opened["project"], spy.opened["name"], spy.opened["config"]["epochs"]) == ("loop", "run", 2)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_writer_that_is_not_installed_is_refused_with_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"tensorboard": "torch.utils.tensorboard"}.get(name, name)
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]  # what is not installed
    data = {"demonstrations": demonstrations(2)}
    run = make_run(tmp_path / "run", Kind.SFT, config={"writers": name}, inputs={"policy": tmp_path}, data=data)
    assert main(sft.train, [str(run)]) == EXIT_BAD_SPEC
    assert f"writers: {name} is not installed: install it (pip install 'loop-rlhf[writers]'" in Result.read(run).error


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_writer_nobody_knows_is_refused_by_every_stage(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="writers: there is no 'paper'; there are tensorboard, wandb, trackio"):
        config_for(kind, {"writers": "wandb, paper"})
    assert config_for(kind, {"writers": " wandb,tensorboard, wandb"}).writer_names() == ("wandb", "tensorboard")


def test_a_known_run_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy()
    monkeypatch.setitem(sys.modules, "wandb", spy)  # type: ignore[arg-type]
    spec: Any = SimpleNamespace(name="sft-3", kind=Kind.SFT, run="r7")
    open_writers(config_for("sft", {"writers": "wandb"}), spec, tmp_path, first_step=5)
    assert (spy.opened["id"], spy.opened["resume"], spy.opened["name"]) == ("r7", "allow", "sft-3")


def test_wandb_gets_lines_of_earlier_steps_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy()
    monkeypatch.setitem(sys.modules, "wandb", spy)  # type: ignore[arg-type]
    spec: Any = SimpleNamespace(name="best-of-4", kind=Kind.SAMPLE, run="")
    (writer,) = open_writers(config_for("sample", {"writers": "wandb"}), spec, tmp_path, first_step=1)
    for step in (5, 8, 8, 1, 2, 4, 8, 16):
        writer.write(step, {"x": float(step)})
    told = [5, 8, 8, None, None, None, None, 16]  # the free ones count on from 8
    assert [step for _, step, _ in spy.heard] == told
    assert [numbers["x"] for _, _, numbers in spy.heard] == [5.0, 8.0, 8.0, 1.0, 2.0, 4.0, 8.0, 16.0]
