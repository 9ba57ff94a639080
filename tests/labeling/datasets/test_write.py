"""Snapshot files: records that training reads, the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.core.files import artifact_path
from labeling.datasets import render, services, tasks, write
from labeling.people.models import Role
from labeling.projects.models import Membership, Project
from tests.factories import MembershipFactory
from training import contracts

Make = Callable[..., Any]


def test_rankings_survive_losslessly(project: Project, labeler: Membership, rank: Make) -> None:
    ranking = rank([2, 1, 1])
    frozen = services.freeze(project=project, kind="rankings", write_now=True)
    (shard,) = write.shard_paths(frozen)
    (row,) = contracts.read_jsonl(shard)
    assert row["ranks"] == [2, 1, 1]
    assert row["quality"] == [5, 6, 6]
    assert row["flags"] == [["opinion"], [], []]
    assert [completion["text"] for completion in row["completions"]] == ["text 0", "text 1", "text 2"]
    assert row["labeler"] == str(labeler.labeler_key)
    assert row["split"] == "train"
    assert labeler.user.email not in shard.read_text(encoding="utf-8")
    (record,) = contracts.read_records("rankings", [shard])
    assert (record.id, record.ranks) == (str(ranking.public_id), [2, 1, 1])


def test_strength_of_two_becomes_the_margin(project: Project, rank: Make) -> None:
    rank([1, 2], strength=3)
    rank([1, 2], strength=1)
    frozen = services.freeze(project=project, kind="rankings", write_now=True)
    margins = [row["margin"] for row in contracts.read_jsonl(write.shard_paths(frozen)[0])]
    assert margins == pytest.approx([1.0, 1 / 3])


def test_demonstrations_end_with_the_answer(project: Project, demonstrate: Make) -> None:
    row = demonstrate("Because of the air.")
    frozen = services.freeze(project=project, kind="demonstrations", write_now=True)
    (record,) = contracts.read_records("demonstrations", write.shard_paths(frozen))
    assert record.messages == [*row.prompt.messages, {"role": "assistant", "content": "Because of the air."}]


def test_a_snapshot_rebuilds_byte_for_byte_after_later_work(
    project: Project, demonstrate: Make, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "SHARD_ROWS", 2)
    monkeypatch.setattr(render, "PAGE", 3)
    for number in range(7):
        demonstrate(f"Änswer {number} ☃")
    frozen = services.freeze(project=project, kind="demonstrations", write_now=True)
    demonstrate("Later work.")
    assert [entry["path"] for entry in frozen.files] == [f"demonstrations-0000{n}.jsonl" for n in range(4)]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in write.shard_paths(frozen)) == 7
    again = write.write_files(frozen, tmp_path)
    assert again == frozen.manifest_sha256 == contracts.sha256_of(artifact_path(frozen.path) / "manifest.json")
    for path in write.shard_paths(frozen):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert write.rebuilds_identically(frozen)


def test_a_changed_file_is_noticed(project: Project, demonstrate: Make) -> None:
    demonstrate()
    frozen = services.freeze(project=project, kind="demonstrations", write_now=True)
    shard = write.shard_paths(frozen)[0]
    shard.write_bytes(shard.read_bytes().replace(b"answer", b"answeR"))
    assert not write.rebuilds_identically(frozen)


def test_the_sweep_writes_what_a_lost_wake_up_left(project: Project, demonstrate: Make) -> None:
    demonstrate()
    frozen = services.freeze(project=project, kind="demonstrations")
    assert tasks.sweep() == 0  # too fresh: its own wake-up is still on the way
    type(frozen).objects.filter(pk=frozen.pk).update(created_at="2026-01-01T00:00:00Z")
    assert tasks.sweep() == 1
    frozen.refresh_from_db()
    assert frozen.state == "ready"
    assert tasks.sweep() == 0


def test_a_failed_write_is_kept_on_the_row_and_can_be_tried_again(
    project: Project, demonstrate: Make, settings: Any, tmp_path: Any
) -> None:
    demonstrate()
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    good, settings.ARTIFACT_ROOT = settings.ARTIFACT_ROOT, blocked
    frozen = services.freeze(project=project, kind="demonstrations", write_now=True)
    assert frozen.state == "failed"
    assert "Not a directory" in frozen.error
    settings.ARTIFACT_ROOT = good
    services.retry_writing(snapshot=frozen, by=None)
    assert write.write_snapshot(snapshot_id=frozen.pk).state == "ready"


def test_the_pages_show_a_snapshot_to_engineers_only(
    project: Project, labeler: Membership, demonstrate: Make, client: Client
) -> None:
    demonstrate()
    frozen = services.freeze(project=project, kind="demonstrations", write_now=True)
    page = reverse("snapshot", args=[project.slug, frozen.public_id])
    download = reverse("snapshot-file", args=[project.slug, frozen.public_id, "demonstrations-00000.jsonl"])
    client.force_login(labeler.user)
    assert client.get(page).status_code == client.get(download).status_code == 403
    client.force_login(MembershipFactory(role=Role.ENGINEER).user)
    assert client.get(page).status_code == client.get(download).status_code == 404
    client.force_login(MembershipFactory(project=project, role=Role.ENGINEER).user)
    assert frozen.manifest_sha256 in client.get(page).content.decode()
    answer = client.get(download)
    body = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert json.loads(body)["messages"][-1]["content"] == "An answer."
    assert answer["Content-Disposition"].startswith("attachment")
    assert client.get(reverse("snapshot-file", args=[project.slug, frozen.public_id, "secret_key"])).status_code == 404


def test_the_form_freezes_and_says_what_is_wrong(project: Project, demonstrate: Make, client: Client) -> None:
    demonstrate()
    client.force_login(MembershipFactory(project=project, role=Role.ENGINEER).user)
    new = reverse("snapshot-new", args=[project.slug])
    refused = client.post(new, {"kind": "rankings"})
    assert refused.status_code == 400
    assert "These rules leave no row" in refused.content.decode()
    made = client.post(new, {"kind": "demonstrations", "name": "first"})
    assert made.status_code == 302
    assert project.snapshots.get().name == "first"
