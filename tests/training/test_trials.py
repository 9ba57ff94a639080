"""Several trainings in one run: the plan, the shelf, the best of n seeds, the learning curve, and resume across them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.run_directories import make_run, numbers, rankings
from training import reward
from training.backbone import load_backbone
from training.configs import ConfigError, RewardConfig, config_for
from training.contracts import EXIT_BAD_SPEC, EXIT_INTERRUPTED, EXIT_OK, Kind, Result
from training.records import RankingRow
from training.reward_model import load_reward
from training.session import Session, main
from training.trials import Shelf, Start, plan_trials, quality, resample, seed_of, subset

CPU = torch.device("cpu")
FAST = {"lora_rank": 2, "first_adapted_layer": 1, "learning_rate": 1e-2, "batch_size": 4, "normalise": "completions"}


def rows_of(prompts: int, each: int = 1) -> list[RankingRow]:
    return [
        RankingRow(f"r{at}-{copy}", f"p{at}", [1], [[2], [3]], [1, 2]) for at in range(prompts) for copy in range(each)
    ]


def prepare(folder: Path, tiny_dir: Path, *, valid: int = 4, **config: Any) -> Path:
    rows = rankings(12, valid=valid)
    return make_run(
        folder, Kind.REWARD, config=FAST | config, inputs={"policy": tiny_dir}, data={"rankings": rows}, seed=5
    )


def table_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "output" / "agreement.json").read_text()))


# ---------------------------------------------------------------- plan


def test_one_seed_and_no_curve_is_one_trial_on_everything() -> None:
    rows = rows_of(5)
    [trial] = plan_trials(rows, RewardConfig(epochs=2, batch_size=2), seed=9)
    assert (trial.seed, trial.rows, trial.first, trial.last, trial.candidate) == (9, rows, 1, 6, True)


def test_candidates_come_first_and_each_point_has_twice_the_prompts_of_the_one_before() -> None:
    trials = plan_trials(rows_of(16), RewardConfig(seeds=2, curve_points=4, batch_size=4), seed=9)
    assert [(len(trial.rows), trial.first, trial.last, trial.candidate) for trial in trials] == [
        (16, 1, 4, True),
        (16, 5, 8, True),
        (2, 9, 9, False),
        (4, 10, 10, False),
        (8, 11, 12, False),
    ]
    assert [trial.seed for trial in trials] == [9, seed_of(9, 1), 9, 9, 9]
    assert seed_of(9, 1) != seed_of(9, 2) != seed_of(8, 2)


def test_a_smaller_subset_is_part_of_a_larger_one_and_prompts_stay_whole() -> None:
    rows = rows_of(10, each=3)
    few, many = (subset(rows, share, seed=1) for share in (0.2, 0.5))
    assert (len(few), len(many)) == (6, 15)
    assert {row.id for row in few} < {row.id for row in many}
    assert len(subset(rows, 0.01, seed=1)) == 3


def test_resampling_draws_whole_prompts_with_replacement() -> None:
    drawn = resample(rows_of(20, each=2), seed=3)
    assert len(drawn) == 40
    counts = {row.id: sum(other.id == row.id for other in drawn) for row in drawn}
    assert max(counts.values()) > 1 and len(counts) < 40
    assert all(counts[f"r{at}-0"] == counts[f"r{at}-1"] for at in range(20) if f"r{at}-0" in counts)
    heads = plan_trials(rows_of(20), RewardConfig(epochs=0, head_l2=1.0, seeds=2, members=2, curve_points=2), seed=3)
    assert [(trial.resampled, trial.candidate, trial.steps) for trial in heads] == [
        (True, True, 0),
        (True, True, 0),
        (False, False, 0),
        (False, False, 0),
    ]
    assert [len(trial.rows) for trial in heads] == [20, 20, 10, 20]


# ---------------------------------------------------------------- weights


def test_a_new_start_draws_anew_only_what_was_drawn() -> None:
    trials = plan_trials(rows_of(4), RewardConfig(seeds=3), seed=0)
    weights = {
        "x.lora_A.weight": torch.randn(2, 6),
        "x.lora_B.weight": torch.zeros(6, 2),
        "head.weight": torch.randn(1, 6),
    }
    start = Start(weights)
    found = []
    for trial in (trials[1], trials[2], trials[1]):
        for weight in weights.values():
            weight.add_(1.0)
        start.again(trial)
        found.append({name: weight.clone() for name, weight in weights.items()})
    assert all(torch.equal(found[0][name], found[2][name]) for name in weights)
    assert not torch.equal(found[0]["x.lora_A.weight"], found[1]["x.lora_A.weight"])
    assert not torch.equal(found[0]["head.weight"], found[1]["head.weight"])
    assert float(found[1]["x.lora_B.weight"].abs().max()) == 0.0
    assert float(found[0]["x.lora_A.weight"].abs().max()) <= 6**-0.5  # Kaiming uniform with a = √5: ±1/√fan_in


def test_the_shelf_keeps_the_best_and_the_first_of_equals() -> None:
    weights = {"w": torch.zeros(1)}
    shelf = Shelf(weights, 2)
    reports = [{"accuracy": a, "log_loss": loss} for a, loss in ((0.5, 0.7), (0.8, 0.6), (0.6, 0.5), (0.6, 0.4), (0.6, 0.4))]  # fmt: skip
    held: list[int] = []
    for number in range(5):
        weights["w"].fill_(float(number))
        shelf.offer(number, reports, held)
    kept = shelf.ordered(reports, held)
    assert [(number, float(own["w"])) for number, own in kept] == [(1, 1.0), (3, 3.0)]
    shelf.put_back(kept[1][1])
    assert float(weights["w"]) == 3.0
    assert set(shelf.weights) == {"shelf.0.w", "shelf.1.w"}
    assert quality({"accuracy": None, "log_loss": None}, 0) > quality({"accuracy": None, "log_loss": None}, 1)


# ---------------------------------------------------------------- whole runs


def test_the_best_seed_on_held_out_rankings_is_published(tmp_path: Path, tiny_dir: Path) -> None:
    run = prepare(tmp_path / "run", tiny_dir, seeds=3, epochs=2)
    assert main(reward.train, [str(run)]) == EXIT_OK
    table, metrics = table_of(run), Result.read(run).metrics
    trials = table["trials"]
    assert len({trial["seed"] for trial in trials}) == 3
    best = max(range(3), key=lambda at: (trials[at]["accuracy"], -trials[at]["log_loss"]))
    assert table["chosen"] == [best]
    assert (metrics["seed"], metrics["accuracy"]) == (trials[best]["seed"], trials[best]["accuracy"])
    assert metrics["log_loss"] == pytest.approx(trials[best]["log_loss"], abs=1e-6)
    assert metrics["loss_last"] == trials[best]["loss_last"]

    alone = prepare(tmp_path / "alone", tiny_dir, epochs=2)
    assert main(reward.train, [str(alone)]) == EXIT_OK
    assert Result.read(alone).metrics["loss_last"] == trials[0]["loss_last"]  # the first seed is the run's own


def test_choosing_or_drawing_a_curve_without_held_out_rankings_is_refused(tmp_path: Path, tiny_dir: Path) -> None:
    for at, (name, settings) in enumerate([("seeds", {"seeds": 2}), ("curve_points", {"curve_points": 2})]):
        run = prepare(tmp_path / str(at), tiny_dir, valid=0, valid_fraction=0.0, **settings)
        assert main(reward.train, [str(run)]) == EXIT_BAD_SPEC
        assert Result.read(run).error.startswith(f"{name}: ")
        assert "give data.rankings rows of split 'valid'" in Result.read(run).error
        assert not (run / "output").exists()


def test_the_curve_shows_accuracy_against_labels_and_leaves_the_result_as_it_was(
    tmp_path: Path, tiny_dir: Path
) -> None:
    results = []
    for name, points in (("plain", 0), ("curve", 3)):
        run = prepare(tmp_path / name, tiny_dir, curve_points=points, epochs=2)
        assert main(reward.train, [str(run)]) == EXIT_OK
        results.append((table_of(run), load_reward(run / "output", device=CPU, dtype=torch.float32)))
    (plain, one), (table, other) = results
    assert plain["curve"] == []
    assert [(point["rankings"], point["pairs"]) for point in table["curve"]] == [(2, 6), (4, 12), (8, 24)]
    assert table["curve"][-1]["accuracy"] == table["accuracy"] == plain["accuracy"]
    assert torch.equal(one.head.weight, other.head.weight)
    assert Result.read(run).metrics["curve_accuracy_6"] == table["curve"][0]["accuracy"]
    assert [row["reward/accuracy"] for row in numbers(run) if row["split"] == "curve"] == [
        point["accuracy"] for point in table["curve"][:2]
    ]


def test_a_run_of_several_trials_resumes_bit_for_bit_at_every_step(
    tmp_path: Path, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"seeds": 3, "members": 2, "curve_points": 2, "checkpoint_every": 0}
    whole = prepare(tmp_path / "whole", tiny_dir, **config)
    assert main(reward.train, [str(whole)]) == EXIT_OK
    run = prepare(tmp_path / "stopped", tiny_dir, **config)
    log = Session.log

    def log_and_stop(session: Session, step: int, split: str = "train", /, **metrics: float | None) -> None:
        log(session, step, split, **metrics)
        session.should_stop |= split == "train"

    monkeypatch.setattr(Session, "log", log_and_stop)
    steps = Result.read(whole).metrics["steps"]
    assert steps == 7  # three candidates of two steps each, and one point of the curve
    for _ in range(steps):
        assert main(reward.train, [str(run)]) == EXIT_INTERRUPTED
    assert main(reward.train, [str(run)]) == EXIT_OK
    assert numbers(run) == numbers(whole)
    assert table_of(run) == table_of(whole)
    for name in ("head.safetensors", "members.safetensors", "adapter/adapter_model.safetensors"):
        assert (run / "output" / name).read_bytes() == (whole / "output" / name).read_bytes()


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"members": 2}, "members"),
        ({"members": 2, "seeds": 2, "tuning": "full"}, "members"),
        ({"seeds": 2, "epochs": 0, "head_l2": 1.0}, "seeds"),
        ({"combine": "min"}, "combine"),
        ({"variance_penalty": 1.0}, "variance_penalty"),
        ({"curve_points": 1}, "curve_points"),
        ({"feature_cache": "features"}, "feature_cache"),
        ({"feature_cache": "../features", "epochs": 0, "head_l2": 1.0}, "feature_cache"),
    ],
)
def test_settings_without_an_effect_are_refused(config: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        config_for("reward", config)
    assert refusal.value.field == field


def test_full_tuning_starts_every_seed_from_the_same_base(tmp_path: Path, tiny_dir: Path) -> None:
    run = prepare(
        tmp_path / "run", tiny_dir, tuning="full", first_adapted_layer=0, lora_rank=8, seeds=2, learning_rate=0.0
    )
    assert main(reward.train, [str(run)]) == EXIT_OK
    base = load_backbone(tiny_dir, device=CPU, dtype=torch.float32).model.state_dict()
    saved = load_reward(run / "output", device=CPU, dtype=torch.float32).backbone.model.state_dict()
    layers = [name for name in base if "layers" in name]
    assert layers and all(torch.equal(base[name], saved[name]) for name in layers)
