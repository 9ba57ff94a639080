"""The overview, rounds and quality in a real browser: every size and theme, without script, and live."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.assignments.models import TaskBatch
from labeling.checkpoints.models import Checkpoint
from labeling.datasets.models import Snapshot
from labeling.rounds import services
from labeling.rounds.models import Round
from labeling.runs.models import Run, RunMetric
from tests.browser.work import check_axe, check_fits
from tests.driven_loop import Loop
from tests.factories import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
State = Round.State
PAGES = (
    "/p/{slug}/",
    "/p/{slug}/rounds/",
    "/p/{slug}/rounds/1/",
    "/p/{slug}/rounds/2/",
    "/p/{slug}/rounds/2/settings/",
    "/p/{slug}/rounds/2/close/",
    "/p/{slug}/quality/",
    "/p/{slug}/snapshots/",
    "/p/{slug}/snapshots/new/",
    "/p/{slug}/snapshots/{rankings}/",
    "/p/{slug}/runs/",
    "/p/{slug}/runs/new/?kind=reward&snapshot={rankings}",
    "/p/{slug}/runs/{run}/",
    "/p/{slug}/checkpoints/",
    "/p/{slug}/checkpoints/{policy}/",
    "/p/{slug}/checkpoints/{policy}/retire/",
    "/p/{slug}/tasks/",
    "/p/{slug}/tasks/new/",
    "/p/{slug}/tasks/{batch}/",
    "/p/{slug}/tasks/{batch}/withdraw/",
)


@pytest.fixture
def loop(transactional_db: None) -> Loop:
    """Round 2 in PPO, with judgements of round 1's policy and a run that writes numbers."""
    loop = Loop()
    loop.open(plan={"overlap": 2, "sample_prompts": 3, "next_prompts": 3})
    loop.until(State.NEXT)
    loop.until(State.COMPARISONS)
    loop.until(State.PPO)
    run = loop.run()
    for row in range(1, 41):
        values = {"objective/score": row / 10 - 2, "objective/kl": row / 8}
        RunMetric.objects.create(run=run, row=row, step=row, time=float(row), values=values)
    Run.objects.filter(pk=run.pk).update(progress=0.4, step=40)
    return loop


def sign_in(page: Any, server: Any, loop: Loop) -> None:
    """As the project's admin."""
    page.goto(server.url + "/account/login/")
    page.get_by_label("Email").fill(loop.admin.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/p/{loop.project.slug}/")


def addresses(loop: Loop) -> list[str]:
    """Every page above, of the newest snapshot of rankings, run, policy and batch."""
    project = loop.project
    names = {
        "slug": project.slug,
        "rankings": Snapshot.objects.filter(project=project, kind="rankings").latest("id").public_id,
        "run": loop.run().pk,
        "policy": Checkpoint.objects.filter(project=project, kind="policy").latest("id").public_id,
        "batch": TaskBatch.objects.filter(project=project).latest("id").public_id,
    }
    return [page.format(**names) for page in PAGES]


def test_pages_are_accessible_and_fit_at_every_size_and_theme(loop, live_server, new_context):
    for width, theme in ((1440, "light"), (390, "dark")):
        page = new_context(viewport={"width": width, "height": 900}, color_scheme=theme).new_page()
        sign_in(page, live_server, loop)
        for path in addresses(loop):
            answer = page.goto(live_server.url + path)
            assert answer.status == 200, path
            check_axe(page)
            check_fits(page)
        page.context.close()


def test_nothing_needs_script(loop, live_server, new_context):
    page = new_context(java_script_enabled=False).new_page()
    sign_in(page, live_server, loop)
    expect(page.get_by_role("heading", level=1)).to_have_text("ppo-1 learns from your labels")
    page.goto(f"{live_server.url}/p/{loop.project.slug}/rounds/2/")
    page.get_by_role("button", name="Autopilot off").click()
    expect(page.get_by_text("Autopilot drives from here.")).to_be_visible()
    loop.project.refresh_from_db()
    assert loop.project.autopilot


def test_the_overview_follows_the_round_by_itself(loop, live_server, new_context):
    page = new_context().new_page()
    sign_in(page, live_server, loop)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("ppo-1 learns from your labels")
    expect(page.locator(".mini figure")).to_have_count(2)
    loop.fail("RuntimeError: out of memory")
    services.advance_round(round_id=loop.round.pk)
    expect(heading).to_have_text("Round 2 needs a decision")
    expect(page.locator(".nowcard")).to_contain_text("out of memory")
    page.get_by_role("link", name="Decide").click()
    page.get_by_role("button", name="Retry the stage").click()
    expect(page.get_by_text("The stage starts again.")).to_be_visible()
    assert loop.round.ppo_run.state == "queued"


def test_the_picture_says_in_words_what_it_shows(loop, live_server, new_context):
    page = new_context().new_page()
    sign_in(page, live_server, loop)
    expect(page.locator('[aria-current="step"]')).to_contain_text("PPO (at work)")
    expect(page.locator(".station.rm")).to_contain_text("(done)")
    expect(page.locator(".station.policy")).to_contain_text("(waiting)")
    expect(page.get_by_role("img", name="Win rates on held-out prompts")).to_be_visible()
    expect(page.get_by_role("img", name="Reward from −1.90 to 2.00")).to_be_visible()
