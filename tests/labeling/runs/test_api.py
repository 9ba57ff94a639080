"""Runs and checkpoints over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from labeling.projects.models import Membership
from labeling.runs import directory
from labeling.runs.models import Run, RunMetric
from tests.factories import CheckpointFactory, MembershipFactory, RunFactory, SnapshotFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer() -> Membership:
    return MembershipFactory.create(role="engineer", project__slug="demo")


@pytest.fixture
def api(engineer: Membership) -> APIClient:
    return client_of(engineer)


def client_of(place: Membership) -> APIClient:
    client = APIClient()
    client.force_login(place.user)
    return client


@pytest.fixture
def run(engineer: Membership) -> Run:
    now = timezone.now()
    live = {"heartbeat_at": now, "lease_expires_at": now, "started_at": now}
    run = RunFactory.create(project=engineer.project, name="ppo-1", state="running", attempt=1, metrics_rows=3, **live)
    for row, split in enumerate(("train", "train", "valid")):
        values = {"loss": 3.0 - row, "progress/fraction": 0.1}
        RunMetric.objects.create(run=run, row=row, step=row + 1, split=split, time=10.0 + row, values=values)
    return run


def new_run(engineer: Membership, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "sample",
        "name": "sample-1",
        "config": {"n": 2},
        "snapshots": [str(SnapshotFactory.create(project=engineer.project).public_id)],
        "inputs": {"policy": [str(CheckpointFactory.create(project=engineer.project).public_id)]},
        **changes,
    }


def test_starting_listing_and_cancelling(api: APIClient, engineer: Membership) -> None:
    answer = api.post("/api/v1/projects/demo/runs/", new_run(engineer), format="json")
    assert (answer.status_code, answer.data["state"], answer.data["config"]["n"]) == (201, "queued", 2)
    listed = api.get("/api/v1/projects/demo/runs/?kind=sample&state=queued").data
    assert [row["id"] for row in listed] == [answer.data["id"]]
    url = f"/api/v1/runs/{answer.data['id']}/"
    assert api.post(url + "cancel/").data["state"] == "cancelled"
    again = api.post(url + "cancel/")
    assert (again.status_code, again.data["code"]) == (409, "wrong_state")
    assert api.get(url).data["state"] == "cancelled"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"config": {"nn": 1}}, "config.nn"),
        ({"snapshots": ["5ee3dbf6-1f2a-4cb0-a5ae-2bd3ddd1ed4a"]}, "snapshots"),
        ({"inputs": {"policy": []}}, "inputs.policy"),
    ],
)
def test_what_is_wrong_is_named(api: APIClient, engineer: Membership, changes: dict[str, Any], field: str) -> None:
    answer = api.post("/api/v1/projects/demo/runs/", new_run(engineer, **changes), format="json")
    assert (answer.status_code, answer.data["field"]) == (400, field)
    assert not Run.objects.exists()


def test_unknown_keys_are_refused(api: APIClient, engineer: Membership) -> None:
    answer = api.post("/api/v1/projects/demo/runs/", new_run(engineer, path="/etc/passwd"), format="json")
    assert answer.status_code == 400
    assert list(answer.data["fields"]) == ["path"]


def test_metrics_come_as_columns_and_then_only_what_is_new(api: APIClient, run: Run) -> None:
    url = f"/api/v1/runs/{run.pk}/metrics/"
    body = api.get(url).data
    assert body["series"] == {
        "loss": {"step": [1, 2], "time": [10.0, 11.0], "value": [3.0, 2.0]},
        "valid/loss": {"step": [3], "time": [12.0], "value": [1.0]},
    }
    assert (body["last"], body["attempt"], body["state"], body["reset"]) == (2, 1, "running", False)
    assert api.get(url, {"after": 2, "attempt": 1, "state": "running"}).status_code == 204
    assert api.get(url, {"after": 2, "attempt": 1, "state": "starting"}).data["state"] == "running"
    assert api.get(url, {"after": 1}).data["series"] == {"valid/loss": {"step": [3], "time": [12.0], "value": [1.0]}}
    assert api.get(url, {"since_step": 2, "until_step": 2}).data["series"]["loss"]["step"] == [2]


def test_a_run_that_began_anew_is_told_from_its_start(api: APIClient, run: Run) -> None:
    url = f"/api/v1/runs/{run.pk}/metrics/"
    body = api.get(url, {"after": 2, "attempt": 0}).data
    assert (body["reset"], body["series"]["loss"]["step"]) == (True, [1, 2])
    assert api.get(url, {"after": 40, "attempt": 1}).data["reset"]


def test_numbers_of_the_query_are_checked(api: APIClient, run: Run) -> None:
    for name in ("after", "attempt", "since_step"):
        answer = api.get(f"/api/v1/runs/{run.pk}/metrics/", {name: "1e3"})
        assert (answer.status_code, answer.data["field"]) == (400, name)


def test_the_log_has_a_tail(api: APIClient, run: Run) -> None:
    folder = directory.path_of(run)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("".join(f"line {number}\n" for number in range(1000)))
    assert api.get(f"/api/v1/runs/{run.pk}/log/?lines=2").data == {"log": "line 998\nline 999"}
    assert api.get(f"/api/v1/runs/{run.pk}/log/?lines=9999").status_code == 400


def test_strangers_find_nothing_and_reviewers_only_read(run: Run) -> None:
    url = f"/api/v1/runs/{run.pk}/"
    assert APIClient().get(url).status_code in (401, 403)
    stranger = client_of(MembershipFactory.create(role="admin"))
    assert [stranger.get(url + part).status_code for part in ("", "metrics/", "log/")] == [404] * 3
    assert stranger.post(url + "cancel/").status_code == 404
    contractor = client_of(MembershipFactory.create(role="contractor", project=run.project))
    assert contractor.get(url).status_code == 403
    reviewer = client_of(MembershipFactory.create(role="reviewer", project=run.project))
    assert (reviewer.get(url).status_code, reviewer.post(url + "cancel/").status_code) == (200, 403)
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_checkpoints_are_listed_read_and_promoted(api: APIClient, engineer: Membership) -> None:
    base = CheckpointFactory.create(project=engineer.project, kind="base", path="/models/base")
    policy = CheckpointFactory.create(project=engineer.project, parent=base)
    listed = api.get("/api/v1/projects/demo/checkpoints/?kind=policy").data
    assert [(row["id"], row["parent"]) for row in listed] == [(str(policy.public_id), base.public_id)]
    assert "path" not in listed[0]
    url = f"/api/v1/checkpoints/{policy.public_id}/"
    assert api.post(url + "promote/").data["state"] == "promoted"
    assert api.get(url).data["state"] == "promoted"
    assert api.post(f"/api/v1/checkpoints/{base.public_id}/promote/").status_code == 409
    stranger = client_of(MembershipFactory.create(role="admin"))
    assert (stranger.get(url).status_code, stranger.post(url + "promote/").status_code) == (404, 404)
