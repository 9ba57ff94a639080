"""One real label's way: browser → snapshot → reward model → PPO → the next comparison, with real workers and real runs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from labeling.assignments.models import Slot
from labeling.checkpoints import services as checkpoints
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons import services as comparisons
from labeling.comparisons.models import Comparison, Ranking
from labeling.datasets.models import Snapshot
from labeling.datasets.write import shard_paths
from labeling.demonstrations import services as demonstrations
from labeling.demonstrations.models import Demonstration
from labeling.people.models import Role
from labeling.projects.models import Membership, Project
from labeling.runs.models import Run
from tests.factories import (
    PASSWORD,
    GuidelineFactory,
    MembershipFactory,
    ProjectFactory,
    PromptFactory,
    completions_of,
    contractor_of,
)
from tests.workers import CeleryProcess
from training.contracts import read_jsonl

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
SOON = 240.0  # seconds a run may take on a busy machine


@pytest.fixture
def project(transactional_db: None) -> Project:
    """A tiny base model, a guideline nobody has accepted, prompts, and the first completions."""
    project = ProjectFactory(name="Tiny", slug="tiny", completions_per_comparison=4)
    GuidelineFactory(project=project, version=1, body="Be **kind** and short.\n\n- [ ] It is true.")
    folder = Path(settings.ARTIFACT_ROOT) / "models" / f"tiny-{uuid.uuid4().hex[:8]}"
    subprocess.run([sys.executable, "-m", "training.default_model", str(folder), "--tiny"], check=True)
    base = checkpoints.register_base(project=project, path=str(folder), name="tiny-base")
    prompts = [PromptFactory(project=project, text=f"Say something about the number {n}.") for n in range(8)]
    demonstrations.create_demonstration_tasks(project=project, prompts=prompts[:1], by=None)
    comparisons.create_comparisons(
        project=project, groups=[completions_of(prompts[1], 4, checkpoint=base)], by=None, title="First"
    )
    return project


def log_in(page: Any, server: Any, email: str) -> None:
    """Through the form, as a person does."""
    page.goto(server.url + "/account/login/")
    page.get_by_label(re.compile("e-?mail", re.I)).fill(email)
    page.locator("input[type=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/account/login" not in url)


def test_a_label_travels_from_the_browser_to_the_next_comparison(
    new_context: Any, live_server: Any, project: Project, celery_worker_process: CeleryProcess
) -> None:
    contractor = MembershipFactory(project=project, role=Role.CONTRACTOR)
    page = new_context().new_page()
    log_in(page, live_server, contractor.user.email)
    accept_the_guideline(page, live_server, project)
    write_a_demonstration(page, live_server, project)
    rank_by_keyboard(page, project)
    written = Demonstration.objects.get(project=project)
    assert (written.text, written.guideline.version) == ("Seven is a prime number.", 1)
    ranking = Ranking.objects.get(project=project)
    assert [item.rank for item in in_shown_order(ranking)] == [1, 3, 3, 2]

    rank_more(project, contractor)
    engineer = MembershipFactory(project=project, role=Role.ADMIN)
    desk = new_context().new_page()
    log_in(desk, live_server, engineer.user.email)
    frozen = freeze(desk, live_server, project, "rankings")
    assert str(ranking.public_id) in {row["id"] for path in shard_paths(frozen) for row in read_jsonl(path)}
    prompts = freeze(desk, live_server, project, "prompts")

    reward = run_from_the_page(
        desk, live_server, project, "reward", {"config.epochs": "1", "config.lora_rank": "2"}, snapshot=frozen
    )
    press(desk, live_server, f"/p/tiny/runs/{reward.pk}/", "Promote")
    ppo = run_from_the_page(
        desk,
        live_server,
        project,
        "ppo",
        {"config.updates": "1", "config.rollout_prompts": "4", "config.max_new_tokens": "8", "config.lora_rank": "2"},
        snapshot=prompts,
    )
    policy = Checkpoint.objects.get(run=ppo)
    assert policy.reward == Checkpoint.objects.get(run=reward)
    run_from_the_page(
        desk,
        live_server,
        project,
        "sample",
        {"config.n": "4", "config.max_new_tokens": "8"},
        snapshot=prompts,
        query=f"&policy={policy.public_id}",
    )
    compare_the_new_policy(desk, live_server, project, policy)

    page.goto(live_server.url + "/p/tiny/label/")
    page.get_by_role("button", name=re.compile("Continue.*ompar")).click()
    page.wait_for_url("**/work/**")
    assert page.locator(".resp").count() == 4
    shown = Slot.objects.get(labeler=contractor.user, state=Slot.State.LEASED).task.comparison
    assert {completion.checkpoint for completion in shown.completions.all()} == {policy}
    assert policy.name not in page.content()


# ---- the contractor


def accept_the_guideline(page: Any, server: Any, project: Project) -> None:
    page.goto(f"{server.url}/p/{project.slug}/label/")
    assert page.get_by_role("button", name=re.compile("Continue")).count() == 0, (
        "no work before the guideline is accepted"
    )
    page.get_by_role("link", name="Read and accept").click()
    page.get_by_role("button", name=re.compile("I have read it")).click()


def write_a_demonstration(page: Any, server: Any, project: Project) -> None:
    page.goto(f"{server.url}/p/{project.slug}/label/")
    page.get_by_role("button", name=re.compile("Continue.*rite")).press("Enter")
    page.wait_for_url("**/work/**")
    page.keyboard.type("Seven is a prime number.")
    page.get_by_label("It is true.").press("Space")
    page.keyboard.press("Control+Enter")
    wait_for(lambda: Demonstration.objects.filter(project=project).exists(), "the demonstration")


def rank_by_keyboard(page: Any, project: Project) -> None:
    page.wait_for_selector(".resp")  # submitting leads to the next task, of whatever kind
    page.wait_for_selector("[data-order]", state="attached")
    page.wait_for_load_state()  # keys count once the script is there
    page.keyboard.type("1332")
    assert re.sub(r"\s", "", page.locator("[data-order]").inner_text()) == "A>D>B=C"
    for digit in "6254":
        page.keyboard.press(f"Shift+Digit{digit}")
    page.keyboard.press("Control+Enter")
    wait_for(lambda: Ranking.objects.filter(project=project).exists(), "the ranking")


def in_shown_order(ranking: Ranking) -> list[Any]:
    """The ranked items in the order in which the labeler saw A, B, C, D."""
    assert ranking.slot is not None
    place = dict(ranking.slot.display_order.values_list("completion", "place"))
    return sorted(ranking.items.all(), key=lambda item: place[item.completion_id])


def rank_more(project: Project, first: Membership) -> None:
    """A second person's rankings of other prompts, so that there is something to hold out."""
    from labeling.assignments.claim import claim_slot

    base = project.checkpoints.get(kind="base")
    prompts = list(project.prompts.order_by("id")[2:8])
    groups = [completions_of(prompt, 3, checkpoint=base) for prompt in prompts]
    comparisons.create_comparisons(project=project, groups=groups, by=None)
    other = contractor_of(project)
    while slot := claim_slot(project=project, labeler=other, kinds=["comparison"]):
        chosen = list(slot.task.comparison.completions.order_by("pk"))
        comparisons.submit_ranking(
            slot_id=slot.public_id,
            labeler=other,
            token=slot.lease_token,
            submission=uuid.uuid4(),
            tiers=[[completion.pk] for completion in chosen],
            ratings={completion.pk: {"quality": 4, "flags": []} for completion in chosen},
        )


# ---- the engineer


def freeze(page: Any, server: Any, project: Project, kind: str) -> Snapshot:
    page.goto(f"{server.url}/p/{project.slug}/snapshots/new/")
    page.locator("[name=kind]").select_option(kind)
    page.locator("[name=name]").fill(f"{kind}-1")
    page.get_by_role("button", name="Freeze").click()
    page.wait_for_selector(f"h1:has-text('{kind}-1')")
    frozen = Snapshot.objects.get(project=project, name=f"{kind}-1")
    wait_for(lambda: Snapshot.objects.get(pk=frozen.pk).state == "ready", f"the files of {kind}-1")
    frozen.refresh_from_db()
    return frozen


def run_from_the_page(
    page: Any, server: Any, project: Project, kind: str, config: dict[str, str], *, snapshot: Snapshot, query: str = ""
) -> Run:
    """Fill in the form, start, and watch the run's page until it says how it ended."""
    page.goto(f"{server.url}/p/{project.slug}/runs/new/?kind={kind}&snapshot={snapshot.public_id}{query}")
    page.locator("details.settings").evaluate_all("parts => parts.forEach(part => { part.open = true; })")
    page.locator("[name=name]").fill(f"{kind}-1")
    for name, value in config.items():
        page.locator(f"[name='{name}']").fill(value)
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_selector(f"h1:has-text('{kind}-1')")
    run = Run.objects.get(project=project, name=f"{kind}-1")
    assert f"/runs/{run.pk}/" in page.url
    wait_for(lambda: Run.objects.get(pk=run.pk).is_over, f"the {kind} run")
    run.refresh_from_db()
    assert run.state == Run.State.SUCCEEDED, run.error
    page.get_by_text("Succeeded").first.wait_for()
    assert run.metrics_rows > 0
    return run


def press(page: Any, server: Any, address: str, label: str) -> None:
    """Open a page, press a button or follow a link of this name, and confirm what it asks."""
    page.goto(server.url + address)
    page.get_by_role("button", name=re.compile(label)).or_(
        page.get_by_role("link", name=re.compile(label))
    ).first.click()
    confirm = page.locator("form.confirm button[type=submit]")
    if confirm.count():
        confirm.click()
    page.wait_for_load_state()


def compare_the_new_policy(page: Any, server: Any, project: Project, policy: Checkpoint) -> None:
    page.goto(f"{server.url}/p/{project.slug}/tasks/new/?kind=comparison")
    page.get_by_label(policy.name).check()
    page.get_by_role("button", name="Count tasks").click()
    page.get_by_role("button", name=re.compile(r"Create \d+ task")).click()
    page.wait_for_url(re.compile(r"/tasks/[0-9a-f-]{36}/"))
    fresh = Comparison.objects.filter(completions__checkpoint=policy).distinct()
    assert fresh.count() == project.prompts.count()


def wait_for(ready: Any, what: str, seconds: float = SOON) -> None:
    """Poll until it is so; AssertionError naming what did not come."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.1)
