"""Features of a frozen trunk are kept between runs; a file that is damaged or foreign is rebuilt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.run_directories import demonstrations, make_run, rankings
from training import reward
from training.contracts import EXIT_BAD_SPEC, EXIT_OK, Kind, Result
from training.feature_cache import FeatureCache, text_id
from training.records import RankingRow
from training.reward_scoring import RewardModel
from training.session import main

ROW = RankingRow("a", "a", [1, 2], [[3], [4, 5]], [1, 2])
KEY = {"model": "m", "readout": "mean"}


def test_texts_are_recalled_in_this_process_and_in_the_next(tmp_path: Path) -> None:
    cache = FeatureCache(KEY, tmp_path / "features")
    assert cache.recall(ROW) is None
    states_KD = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    cache.keep(ROW, states_KD)
    cache.save()
    swapped = RankingRow("b", "a", [1, 2], [[4, 5], [3]], [1, 2])
    for known in (cache, FeatureCache(KEY, tmp_path / "features")):
        found = known.recall(swapped)
        assert found is not None and torch.equal(found, states_KD.flip(0))
        assert known.recall(RankingRow("c", "c", [1, 2], [[3], [9]], [1, 2])) is None
    assert [path.name for path in (tmp_path / "features").iterdir()] == [cache.path.name]  # type: ignore[union-attr]


def test_where_a_prompt_ends_is_part_of_a_texts_identity() -> None:
    assert text_id([1, 2], [3]) != text_id([1], [2, 3])
    assert text_id([1, 2], [3]) == text_id([1, 2], [3])


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = FeatureCache(KEY)
    cache.keep(ROW, torch.zeros(2, 2))
    cache.save()
    assert cache.recall(ROW) is not None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm", ["cut", "changed", "foreign", "not a file of tensors"])
def test_a_damaged_or_foreign_file_is_not_trusted(harm: str, tmp_path: Path) -> None:
    cache = FeatureCache(KEY, tmp_path)
    cache.keep(ROW, torch.ones(2, 2))
    cache.save()
    path = cache.path
    assert path is not None
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif harm == "changed":
        path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x00\x00")
    elif harm == "foreign":
        other = FeatureCache(KEY | {"model": "n"}, tmp_path)
        other.keep(ROW, torch.ones(2, 2))
        other.save()
        other.path.replace(path)  # type: ignore[union-attr]
    else:
        save_file({"weights": load_file(path)["states"]}, path)
    again = FeatureCache(KEY, tmp_path)
    assert again.problem.startswith(path.name)
    assert again.recall(ROW) is None
    again.keep(ROW, torch.full((2, 2), 7.0))
    again.save()
    healed = FeatureCache(KEY, tmp_path)
    assert healed.problem == "" and torch.equal(healed.recall(ROW), torch.full((2, 2), 7.0))  # type: ignore[arg-type]


def prepare(folder: Path, tiny_dir: Path, count: int = 12, **config: Any) -> Path:
    settings = {"epochs": 0, "head_l2": 0.1, "readout": "mean", "feature_cache": "features"}
    data = {"rankings": rankings(count, valid=4), "demonstrations": demonstrations(4)}
    return make_run(folder, Kind.REWARD, config=settings | config, inputs={"policy": tiny_dir}, data=data)


def test_a_second_run_reads_no_text_it_knows_and_finds_the_same(
    tmp_path: Path, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    states = RewardModel.states

    def counted(self: RewardModel, batch: Any, hidden: Any = None) -> torch.Tensor:
        read.append(len(batch.row_N))
        return states(self, batch, hidden)

    monkeypatch.setattr(RewardModel, "states", counted)
    runs = [prepare(tmp_path / name, tiny_dir) for name in ("first", "second")]
    for run in runs:
        read.clear()
        assert main(reward.train, [str(run)]) == EXIT_OK
        assert (sum(read) > 0) == (run.name == "first")
    one, two = (Result.read(run).metrics for run in runs)
    assert one.pop("accuracy_ci95") == two.pop("accuracy_ci95")
    assert two == pytest.approx(one, rel=1e-5, abs=1e-6)

    read.clear()  # eight new rankings of three: at most their 24 texts
    assert main(reward.train, [str(prepare(tmp_path / "more", tiny_dir, 20))]) == EXIT_OK
    assert 0 < sum(read) <= 24

    read.clear()  # another readout reads other things
    assert main(reward.train, [str(prepare(tmp_path / "last", tiny_dir, readout="last"))]) == EXIT_OK
    assert sum(read) > 24
    assert len(list((tmp_path / "features").iterdir())) == 2


def test_within_one_run_each_text_is_read_once(tmp_path: Path, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[tuple[int, ...]] = []
    keep = FeatureCache.keep

    def kept(self: FeatureCache, ranking: RankingRow, states_KD: torch.Tensor) -> None:
        texts.extend((*ranking.prompt, -1, *answer) for answer in ranking.completions)
        keep(self, ranking, states_KD)

    monkeypatch.setattr(FeatureCache, "keep", kept)
    config = {"seeds": 3, "members": 3, "curve_points": 3, "feature_cache": ""}
    run = prepare(tmp_path / "run", tiny_dir, **config)
    assert main(reward.train, [str(run)]) == EXIT_OK
    together = [tuple(texts[at : at + 3]) for at in range(0, 36, 3)]  # twelve rankings of three
    assert len(set(together)) == len(together)
    assert len(texts) <= 36 + 4  # and four demonstrations


def test_a_hub_name_is_no_key(tmp_path: Path, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.backbone.fingerprint", lambda _: "")
    run = prepare(tmp_path / "run", tiny_dir)
    assert main(reward.train, [str(run)]) == EXIT_BAD_SPEC
    assert Result.read(run).error.startswith("feature_cache: inputs.policy must be a directory")
