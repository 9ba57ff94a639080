"""The registry: entering, promoting, retiring, lineage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labeling.checkpoints import selectors, services
from labeling.checkpoints.models import Checkpoint
from labeling.core.errors import BadInput, WrongState
from labeling.runs.models import Run, RunInput
from tests.factories import CheckpointFactory, ProjectFactory, RunFactory
from training.contracts import sha256_of, write_manifest

pytestmark = pytest.mark.django_db


def output(project: Any, name: str, **changes: Any) -> Checkpoint:
    said = {"kind": "policy", "parent": None, "reward": None, "manifest_sha256": "", "bytes": 1, "metrics": {}}
    return services.register_output(project=project, name=name, path=f"runs/{name}/output", **{**said, **changes})


def test_a_base_directory_is_entered_once_with_its_hash_and_size(tmp_path: Path) -> None:
    project = ProjectFactory.create()
    (tmp_path / "config.json").write_text("{}")
    write_manifest(tmp_path)
    first = services.register_base(project=project, path=str(tmp_path), name="base")
    assert (first.kind, first.path) == ("base", str(tmp_path))
    assert first.manifest_sha256 == sha256_of(tmp_path / "manifest.json")
    assert first.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert services.register_base(project=project, path=str(tmp_path), name="other name") == first


def test_a_base_without_our_manifest_has_no_hash(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "manifest.json").write_text('{"written by": "somebody else"}')
    assert (
        services.register_base(project=ProjectFactory.create(), path=str(tmp_path), name="base").manifest_sha256 == ""
    )


def test_a_hub_name_is_kept_as_it_is() -> None:
    base = services.register_base(project=ProjectFactory.create(), path="acme/tiny-1.5B", name="base")
    assert (base.path, selectors.location(checkpoint=base)) == ("acme/tiny-1.5B", "acme/tiny-1.5B")


@pytest.mark.parametrize("path", ["/no/such/folder", "../outside", "a/b/c", "name with spaces", ""])
def test_what_is_no_model_is_refused(path: str) -> None:
    with pytest.raises(BadInput) as refused:
        services.register_base(project=ProjectFactory.create(), path=path, name="base")
    assert refused.value.field == "path"
    assert not Checkpoint.objects.exists()


def test_a_taken_name_gets_a_number() -> None:
    project = ProjectFactory.create()
    assert [output(project, "ppo-1").name for _ in range(3)] == ["ppo-1", "ppo-1-2", "ppo-1-3"]
    assert output(project, "x" * 80).name == "x" * 80
    assert output(project, "x" * 80).name == "x" * 78 + "-2"


def test_promoting_demotes_the_one_before() -> None:
    project = ProjectFactory.create()
    first, second, reward = output(project, "a"), output(project, "b"), output(project, "r", kind="reward")
    for row in (first, reward, second):
        services.promote(checkpoint=row, by=None)
    states = dict(Checkpoint.objects.values_list("name", "state"))
    assert states == {"a": "candidate", "b": "promoted", "r": "promoted"}
    assert selectors.promoted(project=project, kind="policy") == second


def test_promoting_twice_changes_nothing() -> None:
    row = output(ProjectFactory.create(), "a")
    services.promote(checkpoint=row, by=None)
    assert services.promote(checkpoint=row, by=None).state == "promoted"


def test_a_base_or_a_retired_one_cannot_be_promoted() -> None:
    base, row = CheckpointFactory.create(kind="base"), CheckpointFactory.create(state="retired")
    for refused in (base, row):
        with pytest.raises(WrongState):
            services.promote(checkpoint=refused, by=None)
    assert not Checkpoint.objects.filter(state="promoted").exists()


def test_retiring_is_refused_while_promoted_or_read_by_a_run() -> None:
    row = output(ProjectFactory.create(), "a")
    services.promote(checkpoint=row, by=None)
    with pytest.raises(WrongState, match="a is promoted"):
        services.retire(checkpoint=row, by=None)
    other = output(row.project, "b")
    run = RunFactory.create(project=row.project)
    RunInput.objects.create(run=run, role="policy", checkpoint=other)
    with pytest.raises(WrongState, match="1 run that is not over reads it"):
        services.retire(checkpoint=other, by=None)
    Run.objects.filter(pk=run.pk).update(state="cancelled")
    assert services.retire(checkpoint=other, by=None).state == "retired"
    assert list(selectors.usable(project=row.project)) == [row]
    assert services.restore(checkpoint=other, by=None).state == "candidate"


def test_lineage_goes_both_ways() -> None:
    project = ProjectFactory.create()
    base = CheckpointFactory.create(project=project, kind="base", name="base")
    sft = output(project, "sft", parent=base)
    reward = output(project, "reward", kind="reward", parent=sft)
    ppo = output(project, "ppo", parent=sft, reward=reward)
    assert [row.name for row in selectors.lineage(checkpoint=ppo).ancestors] == ["base", "sft"]
    assert [row.name for row in selectors.lineage(checkpoint=sft).children] == ["reward", "ppo"]
    assert [row.name for row in selectors.lineage(checkpoint=reward).optimised] == ["ppo"]
