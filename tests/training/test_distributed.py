"""Two processes compute what one computes, and write one result."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from tests.training.ranks import gradients
from tests.training.run_directories import TOPICS, demonstrations, lines, make_run, numbers, rankings, user
from training import distributed, launch, ppo, reward, sample, sft
from training.configs import ConfigError, SftConfig, config_for
from training.contracts import EXIT_BAD_SPEC, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, Kind, Result, verify_manifest
from training.session import main

NOUGHT = ("ppo.policy_loss", "ppo.approx_kl", "ppo.approx_kl_k3", "ppo.drift")  # at a ratio of 1 only rounding is left


def two_processes(work: str, *paths: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.training.ranks", work, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_gradients_of_two_processes_are_those_of_one(tiny_dir: Path, tmp_path: Path) -> None:
    two_processes("gradients", tiny_dir, tmp_path)
    lora, full = gradients(tiny_dir), gradients(tiny_dir, tuning="full")
    for kind, expected in (("lora", lora), ("lora.spread", lora), ("full", full), ("full.spread", full)):
        found = load_file(tmp_path / f"{kind}.safetensors")
        assert set(found) == set(expected)
        for name, value in expected.items():
            slack = 1e-4 if name in NOUGHT else 0.0
            assert (found[name] - value).norm() <= 1e-5 * value.norm() + slack, (kind, name)
            assert value.norm() > 0 or not name.endswith(".grad"), name
    for numbers_of_one in (lora, full):
        assert sum(name.startswith("ppo.") and name.endswith(".grad") for name in numbers_of_one) > 10
        assert numbers_of_one["ppo.objective/kl"].abs() > 0.01  # π and π_ref are two models


def stage(run: Path, kind: Kind = Kind.SFT) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training.launch", "--nproc-per-node", "2", kind, str(run)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_sharded_run_stops_goes_on_and_ends_like_one_process(tiny_dir: Path, tmp_path: Path) -> None:
    def prepare(name: str, **config: Any) -> Path:
        data = {"demonstrations": demonstrations(10, valid=3)}
        config = {"tuning": "full", "batch_size": 3, "epochs": 20, "schedule": "constant"} | config
        return make_run(tmp_path / name, Kind.SFT, config=config, inputs={"policy": tiny_dir}, data=data)

    alone, many = prepare("alone"), prepare("many", shard=True)
    process = stage(many)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (many / "metrics.jsonl").exists() and len((many / "metrics.jsonl").read_text().splitlines()) > 4:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=100)
    assert process.returncode == EXIT_INTERRUPTED, told
    (kept,) = (many / "checkpoints").glob("step-*")
    assert 0 < int(kept.name.removeprefix("step-")) < 60
    process = stage(many)
    _, told = process.communicate(timeout=200)
    assert process.returncode == EXIT_OK, told

    assert main(sft.train, [str(alone)]) == EXIT_OK
    assert verify_manifest(many / "output")["kind"] == "policy"
    assert sorted(path.name for path in many.rglob("*")) == sorted(path.name for path in alone.rglob("*"))
    ours, theirs = numbers(many), numbers(alone)
    assert [(row["step"], row["split"]) for row in ours] == [(row["step"], row["split"]) for row in theirs]
    for one, other in zip(ours[:20], theirs[:20], strict=True):  # later, rounding has had its way with Adam
        assert one["sft/loss"] == pytest.approx(other["sft/loss"], rel=1e-3)
    assert Result.read(many).metrics["rows"] == 7
    assert lines(many / "samples.jsonl")[:3] == lines(alone / "samples.jsonl")[:3]
    one, two = (load_file(folder / "output" / "model.safetensors") for folder in (alone, many))
    assert {name: weight.shape for name, weight in one.items()} == {name: weight.shape for name, weight in two.items()}


def test_two_processes_sample_what_one_samples(tiny_dir: Path, reward_dir: Path, tmp_path: Path) -> None:
    def prepare(name: str) -> Path:
        prompts = [{"id": f"p{at}", "messages": [user(f"Tell me about {topic}.")]} for at, topic in enumerate(TOPICS)]
        config = {"n": 2, "max_new_tokens": 8, "best_of": 4}
        inputs = {"policy": tiny_dir, "reward": reward_dir, "gold": reward_dir}
        return make_run(tmp_path / name, Kind.SAMPLE, config=config, inputs=inputs, data={"prompts": prompts})

    alone, many = prepare("alone"), prepare("many")
    process = stage(many, Kind.SAMPLE)
    _, told = process.communicate(timeout=200)
    assert process.returncode == EXIT_OK, told
    assert main(sample.train, [str(alone)]) == EXIT_OK
    ours, theirs = (lines(run / "output" / "completions.jsonl") for run in (many, alone))
    assert len(ours) == 20
    for one, other in zip(ours, theirs, strict=True):
        rounded = {"logprob": 0, "sampling": {}}
        assert one | rounded == other | rounded
        assert one["logprob"] == pytest.approx(other["logprob"], abs=1e-4)
        assert one["sampling"] == pytest.approx(other["sampling"], abs=1e-4)
    assert Result.read(many).metrics["completions"] == 20
    assert Result.read(many).metrics == pytest.approx(Result.read(alone).metrics, abs=1e-3)
    assert [row["step"] for row in numbers(many) if row["split"] == "best_of"] == [1, 2, 4]


PPO = {"updates": 2, "rollout_prompts": 6, "minibatches": 2, "max_new_tokens": 8, "micro_tokens": 48}
WHOLE = {"tuning": "full", "inner_epochs": 2, "learning_rate": 1e-4, "ema_decay": 0.5}
ADAPTERS = {"value_model": "adapter", "first_adapted_layer": 1, "lora_rank": 4, "learning_rate": 1e-3}
EARLY = {"inner_epochs": 4, "inner_kl_target": 1e-3, "kl_target": 1.0, "ptx_coef": 1.0}
RUNS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "ppo": (Kind.PPO, PPO | WHOLE),
    "ppo-spread": (Kind.PPO, PPO | WHOLE),
    "ppo-adapters-spread": (Kind.PPO, PPO | ADAPTERS | EARLY),
    "sft-adapters-spread": (Kind.SFT, {"batch_size": 3, "first_adapted_layer": 1}),
    "reward-adapters-spread": (Kind.REWARD, {"batch_size": 3, "seeds": 2, "members": 2, "combine": "min"}),
}


@pytest.fixture(scope="module")
def runs(tiny_dir: Path, reward_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all RUNS, each done by two processes and, as NAME-alone, still to be done by one."""
    folder = tmp_path_factory.mktemp("runs")
    own_trunk = shutil.copytree(reward_dir, folder / "reward", ignore=shutil.ignore_patterns("adapter"))
    inputs = {"policy": tiny_dir, "reward": own_trunk, "gold": reward_dir}
    texts = demonstrations(7, valid=2)
    asked = [{"id": f"p{at}", "messages": [user(f"Tell me about {topic}.")]} for at, topic in enumerate(TOPICS)]
    data = {
        Kind.PPO: {"prompts": asked},
        Kind.SFT: {"demonstrations": demonstrations(7)},  # none held out: only the first rank has run the model by then
        Kind.REWARD: {"rankings": rankings(7, valid=1), "demonstrations": texts},  # the second has nothing to score
    }
    for name, (kind, config) in RUNS.items():
        rows = data[kind] | ({"demonstrations": texts} if "ptx_coef" in config else {})
        roles = inputs if kind == Kind.PPO else {"policy": tiny_dir}
        make_run(folder / name, kind, config=config | {"shard": "spread" in name}, inputs=roles, data=rows)
        make_run(folder / f"{name}-alone", kind, config=config, inputs=roles, data=rows)
    two_processes("runs", *(folder / name for name in RUNS))
    return folder


def assert_same_numbers(one: Path, other: Path) -> None:
    ours, theirs = numbers(one), numbers(other)
    assert [(row["step"], row["split"]) for row in ours] == [(row["step"], row["split"]) for row in theirs]
    for row, twin in zip(ours, theirs, strict=True):
        assert set(row) == set(twin)
        for name in set(row) - {"split"}:
            slack = 1e-3 if name == "objective/sqrt_kl" else 1e-4  # at first the root of what rounding has left
            assert row[name] == pytest.approx(twin[name], rel=1e-3, abs=slack), (row["step"], name)


def assert_same_weights(one: Path, other: Path, start: Path) -> None:
    """Apart by little of what they have moved: Adam makes much of a small gradient's rounding."""
    ours, theirs = (load_file(folder / "output" / "model.safetensors") for folder in (one, other))
    assert set(ours) == set(theirs)
    moved = 0
    for name, weight in load_file(start / "model.safetensors").items():
        if name in ours:
            way = (ours[name] - weight).norm()
            moved += bool(way > 0)
            assert (ours[name] - theirs[name]).norm() <= 0.05 * way, name
    assert moved > 5


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_stop_go_on_and_end_like_one(name: str, runs: Path, tiny_dir: Path) -> None:
    kind, _ = RUNS[name]
    many, alone = runs / name, runs / f"{name}-alone"
    assert main({Kind.PPO: ppo, Kind.SFT: sft, Kind.REWARD: reward}[kind].train, [str(alone)]) == EXIT_OK
    assert_same_numbers(many, alone)
    assert_same_weights(many, alone, tiny_dir)
    assert sorted(path.name for path in many.rglob("*")) == sorted(path.name for path in alone.rglob("*"))
    assert verify_manifest(many / "output")["kind"] == ("reward" if kind == Kind.REWARD else "policy")
    if name == "ppo-adapters-spread":
        assert [row["policy/steps"] < 8 for row in numbers(alone)[:2]] == [
            True,
            True,
        ]  # ended early, on both ranks alike


def test_shares_cover_everything_and_weigh_about_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = [9.0, 1.0, 4.0, 4.0, 2.0, 7.0, 3.0]
    monkeypatch.setattr(distributed, "size", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(distributed.share(costs))
    assert parts == [[0, 1], [5, 6], [2, 3, 4]]
    assert [sum(costs[at] for at in part) for part in parts] == [10.0, 10.0, 10.0]


def test_one_process_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.joined():
        assert (distributed.rank(), distributed.size(), distributed.is_first()) == (0, 1, True)
        assert distributed.share([3.0, 1.0]) == [0, 1]
        assert distributed.in_shares("ab", [1.0, 2.0], lambda own: [one * 2 for one in own]) == ["aa", "bb"]
        x = torch.ones(2)
        assert distributed.total(x) is x


def test_sharding_is_refused_where_it_has_no_use(tiny_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shard: cannot spread a base rounded to nf4: set base_precision to 'as"):
        config_for("sft", {"shard": True, "base_precision": "nf4"})
    with pytest.raises(ConfigError, match="compile: does not apply with shard, whose weights come and go"):
        config_for("ppo", {"shard": True, "compile": True})
    with pytest.raises(ConfigError, match="shard: saves nothing when epochs is 0"):
        config_for("reward", {"shard": True, "epochs": 0, "head_l2": 0.1})
    with pytest.raises(ConfigError, match="shard: is for one training when tuning is 'full': use 1 for seeds"):
        config_for("reward", {"shard": True, "tuning": "full", "seeds": 2})
    assert SftConfig.from_dict({"shard": True, "tuning": "full"}).shard
    config = {"shard": True, "tuning": "full"}
    data = {"demonstrations": demonstrations(2)}
    run = make_run(tmp_path / "run", Kind.SFT, config=config, inputs={"policy": tiny_dir}, data=data)
    assert main(sft.train, [str(run)]) == EXIT_BAD_SPEC
    assert "shard: there is one process only; start several with torchrun" in Result.read(run).error


def failing(code: int) -> ChildFailedError:
    failure = ProcessFailure(local_rank=1, pid=1, exitcode=code, error_file="")
    return ChildFailedError("stage", {1: failure})


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (None, EXIT_OK),
        (failing(EXIT_BAD_SPEC), EXIT_BAD_SPEC),
        (failing(-9), EXIT_FAILED),
        (SignalException("told to stop", signal.SIGTERM), EXIT_INTERRUPTED),
    ],
)
def test_the_launcher_ends_with_the_status_of_the_stage(
    raised: Exception | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    def run(arguments: Any) -> None:
        started.append(arguments)
        if raised:
            raise raised

    monkeypatch.setattr(torchrun, "run", run)
    assert launch.main(["--nproc-per-node", "3", "reward", "runs/r"]) == status
    (arguments,) = started
    assert (arguments.nproc_per_node, arguments.standalone) == ("3", True)
    assert (arguments.module, arguments.training_script) == (True, "training.reward")
    assert arguments.training_script_args == ["runs/r"]
    many = ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "h:1", "sft", "r"]
    assert launch.main(many) == status
    assert (started[1].nnodes, started[1].rdzv_endpoint, started[1].standalone) == ("2", "h:1", False)


def test_the_launcher_tells_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.main(["--nproc-per-node", "2"]) == EXIT_BAD_SPEC
    assert launch.main(["tune", "runs/r"]) == EXIT_BAD_SPEC
    assert capsys.readouterr().err.count("usage: python -m training.launch") == 2
