import os
import random
import stat
from pathlib import Path

import pytest
import torch
from torch import nn

from training.checkpointing import fingerprint, latest_resume_point, new_directory, save_resume_point
from training.contracts import ContractError, verify_manifest, write_atomic


def trained(steps: int = 3) -> tuple[nn.Linear, torch.optim.AdamW]:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    for _ in range(steps):
        step(layer, optimizer)
    return layer, optimizer


def step(layer: nn.Linear, optimizer: torch.optim.AdamW) -> None:
    layer(torch.randn(4, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_a_restored_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    layer, optimizer = trained()
    random.seed(5)
    save_resume_point(tmp_path, 3, weights=dict(layer.named_parameters()), optimizer=optimizer, extra={"beta": 0.05})
    step(layer, optimizer)
    expected = (layer.weight.clone(), torch.rand(2), random.random())

    other, again = trained(1)
    point = latest_resume_point(tmp_path)
    assert point is not None
    assert (point.step, point.extra) == (3, {"beta": 0.05})
    point.restore(dict(other.named_parameters()), again)
    step(other, again)
    assert torch.equal(other.weight, expected[0])
    assert torch.equal(torch.rand(2), expected[1])
    assert random.random() == expected[2]


def test_only_the_newest_two_are_kept_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    layer, optimizer = trained()
    for number in (5, 10, 15):
        save_resume_point(tmp_path, number, weights=dict(layer.named_parameters()), optimizer=optimizer)
    folders = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert folders == ["step-000010", "step-000015"]
    newest = tmp_path / "checkpoints" / "step-000015"
    (newest / "weights.safetensors").write_bytes(b"torn")
    point = latest_resume_point(tmp_path)
    assert point is not None and point.step == 10
    (tmp_path / "checkpoints" / "step-000010" / "manifest.json").unlink()
    assert latest_resume_point(tmp_path) is None


def test_a_damaged_newer_one_takes_no_place_of_the_two_that_are_kept(tmp_path: Path) -> None:
    layer, optimizer = trained()

    def save(number: int) -> None:
        save_resume_point(tmp_path, number, weights=dict(layer.named_parameters()), optimizer=optimizer)

    for number in (5, 10, 100):
        save(number)
    (tmp_path / "checkpoints" / "step-000100" / "weights.safetensors").write_bytes(b"torn")
    for number in (15, 20):  # gone on with after 10
        save(number)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000015", "step-000020"]


def test_a_file_is_on_the_disk_before_its_name_and_the_name_before_the_call_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")

    def replace(source: str, target: Path) -> None:
        done.append("rename")
        rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomic(tmp_path / "result.json", "{}")
    assert done == ["file", "rename", "folder"]
    assert [path.read_text() for path in tmp_path.iterdir()] == ["{}"]


FILES = ("weights.safetensors", "optimizer.safetensors", "optimizer.json", "random.safetensors", "random.json", "state.json", "manifest.json")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_with_a_file_missing_or_cut_is_passed_over(tmp_path: Path, name: str) -> None:
    layer, optimizer = trained()
    for number in (1, 2):
        save_resume_point(tmp_path, number, weights=dict(layer.named_parameters()), optimizer=optimizer)
    newest = tmp_path / "checkpoints" / "step-000002"
    assert sorted(path.name for path in newest.iterdir()) == sorted(FILES)
    whole = (newest / name).read_bytes()
    (newest / name).write_bytes(whole[:-2])
    cut = latest_resume_point(tmp_path)
    (newest / name).unlink()
    missing = latest_resume_point(tmp_path)
    assert cut is not None and missing is not None
    assert (cut.step, missing.step) == (1, 1)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    layer, optimizer = trained()
    save_resume_point(tmp_path, 1, weights={"a": layer.weight}, optimizer=optimizer)
    point = latest_resume_point(tmp_path)
    assert point is not None
    with pytest.raises(ContractError, match="holds other weights than this run trains"):
        point.restore({"b": layer.weight})


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "output"
    with pytest.raises(RuntimeError), new_directory(target) as staging:
        (staging / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for text in ("one", "two"):
        with new_directory(target, kind="policy") as staging:
            (staging / "file").write_text(text)
    assert (target / "file").read_text() == "two"
    assert verify_manifest(target)["kind"] == "policy"
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_fingerprint_follows_weights_and_config(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"w")
    (tmp_path / "config.json").write_text("{}")
    before = fingerprint(tmp_path)
    (tmp_path / "README").write_text("not a weight")
    assert fingerprint(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"v")
    assert fingerprint(tmp_path) != before
    assert fingerprint("owner/hub-name") == ""
