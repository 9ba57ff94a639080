"""Run and checkpoint pages: who sees them, what they say, and what wrong input gets."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from labeling.projects.models import Membership
from labeling.runs import charts, directory
from labeling.runs.models import Run, RunData, RunInput, RunMetric
from tests.factories import CheckpointFactory, MembershipFactory, RunFactory, SnapshotFactory
from training.contracts import canonical_json

pytestmark = pytest.mark.django_db


@pytest.fixture
def engineer() -> Membership:
    return MembershipFactory.create(role="engineer", project__slug="demo")


@pytest.fixture
def client(engineer: Membership) -> Client:
    client = Client()
    client.force_login(engineer.user)
    return client


@pytest.fixture
def run(engineer: Membership) -> Run:
    now = timezone.now()
    run = RunFactory.create(
        project=engineer.project,
        name="ppo-1",
        state="running",
        attempt=1,
        heartbeat_at=now,
        started_at=now,
        lease_expires_at=now,
        latest={"objective/score": 1.25, "objective/kl": 3.5},
        metrics_rows=1,
        step=4,
        progress=0.25,
        eta_seconds=7800,
    )
    RunInput.objects.create(
        run=run, role="policy", checkpoint=CheckpointFactory.create(project=run.project, name="sft-1")
    )
    RunData.objects.create(run=run, snapshot=SnapshotFactory.create(project=run.project, name="prompts-1"))
    RunMetric.objects.create(run=run, row=0, step=4, time=100.0, values=run.latest)
    directory.path_of(run).mkdir(parents=True)
    return run


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_strangers_and_contractors_see_nothing(run: Run) -> None:
    urls = [f"/p/demo/runs/{run.pk}/", "/p/demo/runs/", "/p/demo/runs/new/", "/p/demo/checkpoints/"]
    stranger, contractor = Client(), Client()
    stranger.force_login(MembershipFactory.create(role="admin").user)
    contractor.force_login(MembershipFactory.create(role="contractor", project=run.project).user)
    assert [stranger.get(url).status_code for url in urls] == [404] * 4
    assert [contractor.get(url).status_code for url in urls] == [403] * 4


def test_a_run_of_another_project_is_not_found(client: Client) -> None:
    assert client.get(f"/p/demo/runs/{RunFactory.create().pk}/").status_code == 404


def test_the_page_of_a_running_run(client: Client, run: Run) -> None:
    folder = directory.path_of(run)
    (folder / "log.txt").write_text("loading\n<script>alert(1)</script>\n")
    sample = {"step": 4, "prompt": "Why?", "text": "I see. " * 20, "score": 3.0, "kl": 2.0}
    (folder / "samples.jsonl").write_text(canonical_json(sample) + "\n")
    page = text_of(client.get(f"/p/demo/runs/{run.pk}/"))
    assert "Step <b data-step>4</b> of <span data-steps>16</span>" in page
    assert "About 2 h 10 min left" in page
    assert "<b>1.25</b>" in page and "sft-1" in page and "prompts-1" in page
    assert "1 of the latest answers looks odd." in page and "repeats itself" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert f"/p/demo/runs/{run.pk}/stop/" in page


def test_a_failed_run_says_why_with_its_log(client: Client, run: Run) -> None:
    (directory.path_of(run) / "log.txt").write_text("the last words\n")
    Run.objects.filter(pk=run.pk).update(
        state="failed", error="data.prompts[0]: row 3 is wrong", finished_at=timezone.now()
    )
    page = text_of(client.get(f"/p/demo/runs/{run.pk}/"))
    assert '<pre class="cause">data.prompts[0]: row 3 is wrong</pre>' in page
    assert "the last words" in page
    assert "/stop/" not in page


def test_other_runs_are_laid_over_and_settings_that_differ_are_marked(client: Client, run: Run) -> None:
    other = RunFactory.create(project=run.project, name="ppo-0", metrics_rows=3, config={**run.config, "updates": 7})
    foreign = RunFactory.create(name="foreign", metrics_rows=3)
    page = text_of(client.get(f"/p/demo/runs/{run.pk}/?with={other.pk}&with={foreign.pk}&with=nonsense"))
    assert page.count("data-run=") == 2
    assert page.count('class="differs"') == 1
    assert "foreign" not in page


def test_the_list_filters_and_pages(client: Client, run: Run) -> None:
    RunFactory.create_batch(34, project=run.project, kind="sft", state="cancelled")
    assert "ppo-1" not in text_of(client.get("/p/demo/runs/"))
    page = client.get("/p/demo/runs/?kind=ppo&state=live")
    assert [row.name for row in page.context["page"].rows] == ["ppo-1"]
    first = client.get("/p/demo/runs/")
    second = client.get("/p/demo/runs/" + first.context["page"].older)
    back = client.get("/p/demo/runs/" + second.context["page"].newer)
    assert [len(page.context["page"].rows) for page in (first, second, back)] == [30, 5, 30]
    assert back.context["page"].rows == first.context["page"].rows
    assert second.context["page"].older == ""
    assert client.get("/p/demo/runs/?before=nonsense&kind=nonsense").status_code == 200


def test_stopping_asks_first(client: Client, run: Run) -> None:
    url = f"/p/demo/runs/{run.pk}/stop/"
    assert "Stop ppo-1?" in text_of(client.get(url))
    run.refresh_from_db()
    assert run.cancel_requested_at is None
    answer = client.post(url)
    assert (answer.status_code, answer["Location"]) == (302, f"/p/demo/runs/{run.pk}/")
    run.refresh_from_db()
    assert (run.state, run.cancel_requested_at is not None) == ("cancelling", True)


def test_the_form_offers_every_setting_and_starts_a_run(client: Client, engineer: Membership) -> None:
    policy = CheckpointFactory.create(project=engineer.project, state="promoted")
    reward = CheckpointFactory.create(project=engineer.project, kind="reward", state="promoted")
    prompts = SnapshotFactory.create(project=engineer.project)
    page = client.get(f"/p/demo/runs/new/?kind=ppo&snapshot={prompts.public_id}")
    form = page.context["form"]
    said = {
        field.html_name: field.value() for field in form if field.value() is not None and field.value() is not False
    }
    assert said["inputs.policy"] == str(policy.public_id) and said["inputs.reward"] == str(reward.public_id)
    assert (said["name"], said["data.prompts"], said["config.kl_coef"]) == ("ppo-1", [str(prompts.public_id)], 0.05)
    answer = client.post("/p/demo/runs/new/?kind=ppo", {**said, "config.updates": "2", "config.kl_coef": ""})
    assert answer.status_code == 302, answer.context["form"].errors
    run = Run.objects.get()
    assert answer["Location"] == f"/p/demo/runs/{run.pk}/"
    assert (run.config["updates"], run.config["kl_coef"], run.config["whiten_advantages"]) == (2, 0.05, True)
    assert run.created_by == engineer.user


def test_the_form_says_what_is_wrong_beside_the_field(client: Client, engineer: Membership) -> None:
    policy = CheckpointFactory.create(project=engineer.project)
    prompts = SnapshotFactory.create(project=engineer.project)
    said = {"name": "x", "seed": "0", "inputs.policy": str(policy.public_id), "data.prompts": [str(prompts.public_id)]}
    answer = client.post("/p/demo/runs/new/?kind=ppo", {**said, "config.minibatches": "500", "config.clip": "-3"})
    errors = answer.context["form"].errors
    assert answer.status_code == 400
    assert "greater than or equal to 0.001" in errors["config.clip"][0]
    errors = client.post("/p/demo/runs/new/?kind=ppo", said).context["form"].errors
    assert "needs a checkpoint as reward" in errors["inputs.reward"][0]
    reward = CheckpointFactory.create(project=engineer.project, kind="reward")
    said["inputs.reward"] = str(reward.public_id)
    answer = client.post("/p/demo/runs/new/?kind=ppo", {**said, "config.minibatches": "500"})
    assert "cannot exceed rollout_prompts (64)" in answer.context["form"].errors["config.minibatches"][0]
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not Run.objects.exists()


def test_best_of_n_is_watched_by_a_gold_model_and_its_curve_drawn_when_it_is_there(
    client: Client, engineer: Membership
) -> None:
    policy = CheckpointFactory.create(project=engineer.project)
    reward, gold = (CheckpointFactory.create(project=engineer.project, kind="reward") for _ in range(2))
    prompts = SnapshotFactory.create(project=engineer.project)
    said = {"name": "x", "seed": 0, "inputs.policy": policy.public_id, "data.prompts": prompts.public_id}
    said |= {"inputs.reward": reward.public_id, "inputs.gold": gold.public_id}
    form = client.post("/p/demo/runs/new/?kind=sample", {**said, "config.best_of": 3}).context["form"]
    assert form.errors["config.best_of"] == [
        "best_of: must be at least 4 when inputs.gold is given, for a curve; or leave that out."
    ]
    assert "best_of 4 or more" in form.fields["inputs.gold"].help_text
    assert client.post("/p/demo/runs/new/?kind=sample", {**said, "config.best_of": 4}).status_code == 302
    run = Run.objects.get()
    assert dict(run.inputs.values_list("role", "checkpoint")) == {
        "policy": policy.pk,
        "reward": reward.pk,
        "gold": gold.pk,
    }
    shown = [row["chart"].metric for row in charts.charts_of(run)]
    assert shown == ["sample/completions"]
    run.latest = {"sample/completions": 8, "best_of/sample/score": 1.5, "best_of/sample/gold_score": -0.5}
    assert [row["latest"] for row in charts.charts_of(run)] == [8, 1.5, -0.5]


def test_the_help_of_a_setting_is_read_in_the_readers_language(client: Client, engineer: Membership) -> None:
    def fields(language: str) -> tuple[str, str]:
        client.cookies["language"] = language
        form = client.get("/p/demo/runs/new/?kind=ppo").context["form"]
        return form["config.gae_lambda"].label, str(form["config.gae_lambda"].help_text)

    assert fields("en") == ("GAE lambda", "λ of generalised advantage estimation.")
    assert fields("zh-hans") == ("GAE lambda", "广义优势估计的 λ。")


def test_running_again_copies_the_settings(client: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(config={**run.config, "updates": 11}, seed=9)
    form = client.get(f"/p/demo/runs/new/?kind=ppo&like={run.pk}").context["form"]
    assert (form["config.updates"].value(), form["seed"].value(), form["name"].value()) == (11, 9, "ppo-1")


def test_a_kind_has_to_be_chosen_first(client: Client) -> None:
    page = text_of(client.get("/p/demo/runs/new/?kind=nonsense"))
    assert "What should run?" in page and "?kind=ppo" in page and "?kind=pretrain" not in page


def test_checkpoint_pages_promote_and_retire(client: Client, engineer: Membership) -> None:
    base = CheckpointFactory.create(project=engineer.project, kind="base", name="base")
    row = CheckpointFactory.create(project=engineer.project, name="sft-1", parent=base)
    url = f"/p/demo/checkpoints/{row.public_id}/"
    page = text_of(client.get(url))
    assert "base" in page and f"?kind=sample&amp;policy={row.public_id}" in page
    assert "Promote sft-1?" in text_of(client.get(url + "promote/"))
    row.refresh_from_db()
    assert row.state == "candidate"
    client.post(url + "promote/")
    row.refresh_from_db()
    assert row.state == "promoted"
    assert "is promoted: promote another one first" in text_of(client.post(url + "retire/", follow=True))
    row.refresh_from_db()
    assert row.state == "promoted"
    assert [found.name for found in client.get("/p/demo/checkpoints/?kind=policy").context["page"].rows] == ["sft-1"]


def test_the_base_model_of_the_installation_is_entered_without_naming_a_path(
    client: Client, engineer: Membership, tmp_path: Any, settings: Any
) -> None:
    settings.BASE_MODEL = str(tmp_path / "tiny")
    assert "is not a model" in text_of(client.post("/p/demo/checkpoints/base/", follow=True))
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    client.post("/p/demo/checkpoints/base/", {"path": "/etc"})
    assert engineer.project.checkpoints.get().path == str(tmp_path / "tiny")
