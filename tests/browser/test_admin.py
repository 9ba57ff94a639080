"""The admin's screens: every size and theme, the review queue by keyboard, decisions about many things without script."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from labeling.comparisons.services import create_comparisons
from labeling.core import audit, chain
from labeling.people.models import Role, User
from labeling.projects import services
from labeling.projects.models import Membership, Project
from labeling.projects.saved_views import save_view
from labeling.prompts.models import Prompt, PromptImport
from labeling.prompts.services import import_prompts
from labeling.quality import control_items
from labeling.quality.models import Review
from tests.browser.work import check_axe, check_fits, check_targets, resize
from tests.factories import (
    CheckpointFactory,
    CompletionFactory,
    MembershipFactory,
    ProjectFactory,
    PromptFactory,
    UserFactory,
    contractor_of,
)
from tests.labeling.quality.submitted import comparisons, rank_next, sample, write_next

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = (
    "review/",
    "review/{ranking}/",
    "review/{demonstration}/",
    "review/{ranking}/edit/",
    "review/accept/?scope=all",
    "controls/",
    "controls/agreed/?least=2&limit=5&judgements=3",
    "controls/new/{task}/",
    "prompts/?category=maths",
    "prompts/bulk/?action=categorise&scope=all",
    "prompts/quarantine/",
    "prompts/imports/{failed}/",
    "prompts/imports/{queued}/",
    "tasks/",
    "tasks/{batch}/",
    "tasks/{batch}/priority/",
    "leaks/",
    "people/",
    "people/work/",
    "people/{paused}/",
    "audit/",
    "settings/",
)


@pytest.fixture
def project(transactional_db: None) -> Project:
    """A project with work to review, controls, leaks, quarantine, a paused person and a checked log."""
    project: Project = ProjectFactory(name="Helpful assistant", review_percent=100, control_percent=10)
    admin = MembershipFactory(
        project=project, role=Role.ADMIN, user=UserFactory(name="Ada Lovelace", is_staff=True)
    ).user
    maya, noor = contractor_of(project, name="Maya Okafor"), contractor_of(project, name="Noor Haddad")
    made = comparisons(project, 3, overlap=2)
    for labeler in (maya, noor):
        for _ in range(3):
            rank_next(project, labeler, reason="The first one is right and short.")
    write_next(project, maya, "Because **blue** light is scattered more:\n\n- short waves\n- small particles")
    sample(project)
    ids = list(made[0].completions.order_by("pk").values_list("pk", flat=True))
    control_items.make_control(
        comparison=made[0], tiers=[[pk] for pk in ids], judgements=5, by=admin, note="Agreed by two."
    )
    comparisons(project, 2)
    leak(project)
    rows: list[dict[str, Any]] = [{"prompt": f"What is {n} times {n}?", "category": "maths"} for n in range(12)]
    rows += [{"prompt": "Write to maya@example.org from 8.8.8.8"}, {"prompt": "Call 020 7946 0018", "owner": "c-1"}]
    import_prompts(project=project, lines=rows, fmt="objects", by=admin, source="maths.jsonl")
    errors = [{"line": 7, "field": "prompt", "detail": "“prompt” is empty: write what the user asks."}]
    told = {"detail": "One line is wrong, so nothing was imported.", "errors": errors, "error_count": 1}
    PromptImport.objects.create(project=project, source="bad.jsonl", state="failed", report=told, created_by=admin)
    PromptImport.objects.create(
        project=project, source="big.jsonl", state="queued", lines_read=340_000, created_by=admin
    )
    paused = MembershipFactory(project=project, user=UserFactory(name="Bo Lindqvist"))
    services.pause_member(membership=paused, reason="Every answer was given within two seconds.", by=admin)
    services.appeal(membership=paused, text="I had read them the day before.", by=paused.user)
    save_view(project=project, user=admin, page="prompts", name="Maths", query="category=maths")
    audit.seal_events()
    chain.follow_chain()
    return project


def leak(project: Project) -> None:
    """A comparison whose third completion names its vendor."""
    prompt, policy = PromptFactory(project=project), CheckpointFactory(project=project)
    texts = ("Rain falls.", "Water comes down.", "As a model made by OpenAI, I cannot get wet.")
    rows = [CompletionFactory(prompt=prompt, checkpoint=policy, text=text) for text in texts]
    create_comparisons(project=project, groups=[rows], by=None)


def addresses(project: Project) -> list[str]:
    named = {
        "ranking": Review.objects.filter(ranking__isnull=False).latest("pk").public_id,
        "demonstration": Review.objects.get(demonstration__isnull=False).public_id,
        "task": project.tasks.filter(kind="comparison", comparison__control=None).earliest("pk").public_id,
        "batch": project.batches.earliest("pk").public_id,
        "failed": PromptImport.objects.get(state="failed").pk,
        "queued": PromptImport.objects.get(state="queued").pk,
        "paused": Membership.objects.get(state="paused").pk,
    }
    return [f"/p/{project.slug}/{page.format(**named)}" for page in PAGES]


def admin_of(project: Project) -> User:
    """The project's admin."""
    return project.memberships.get(role=Role.ADMIN).user


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_admin_screens_are_accessible_and_fit(project: Project, open_as: Any, width: int, theme: str) -> None:
    page = open_as(admin_of(project), viewport={"width": width, "height": 900}, color_scheme=theme)
    for address in addresses(project):
        page.goto(address)
        check_axe(page)
        for narrow in {width, 320} if width == 390 else {width}:
            resize(page, narrow)
            check_fits(page)
        check_targets(page)
        resize(page, width)


def test_a_reviewer_accepts_returns_and_edits_by_keys(project: Project, open_as: Any) -> None:
    reviewer = MembershipFactory(project=project, role=Role.REVIEWER).user
    page = open_as(reviewer)
    page.goto(f"/p/{project.slug}/review/")
    page.locator(".row-link").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Decision")).to_be_visible()
    page.keyboard.down("a")
    expect(page.get_by_text("Accepted.")).to_be_visible()
    page.keyboard.down("a")  # still held: the next piece is not accepted unseen
    page.keyboard.up("a")
    page.keyboard.press("r")
    expect(page.get_by_label("What should change?")).to_be_focused()
    page.keyboard.type("Say why B is worse, please.")  # an r in the note is an r
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Returned to")).to_be_visible()
    page.keyboard.press("e")
    page.wait_for_url("**/edit/")
    page.get_by_label("Place of A").select_option("3")
    page.get_by_role("button", name="Save and accept").press("Enter")
    expect(page.get_by_text("Your revision stands in its place, accepted.")).to_be_visible()
    assert sorted(Review.objects.exclude(state="waiting").values_list("state", flat=True)) == [
        "accepted", "accepted", "replaced", "returned"
    ]  # fmt: skip
    assert Review.objects.get(state="returned").note == "Say why B is worse, please."


def test_a_view_is_used_and_called_something_else(project: Project, open_as: Any) -> None:
    page = open_as(admin_of(project))
    page.goto(f"/p/{project.slug}/prompts/")
    page.get_by_label("Category").select_option("maths")  # sent with every other field, empty
    expect(page.get_by_role("link", name="Maths", exact=True)).to_have_attribute("aria-current", "true")
    page.locator(".rename summary").press("Enter")
    page.get_by_label("Name of the view").first.fill("Sums")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The view is called “Sums” now.")).to_be_visible()
    expect(page.get_by_role("link", name="Sums", exact=True)).to_have_attribute("aria-current", "true")
    page.get_by_label("Name of the view").last.fill("Sums")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The view “Sums” has these filters now.")).to_be_visible()


def test_an_admin_decides_about_many_things_without_script(project: Project, open_as: Any) -> None:
    page = open_as(admin_of(project), java_script_enabled=False)
    page.goto(f"/p/{project.slug}/prompts/quarantine/")
    page.get_by_label("All that match").check()
    page.get_by_role("button", name="Redact…").click()
    expect(page.get_by_role("heading", name="Redact 2 prompts and let them in?")).to_be_visible()
    page.get_by_role("button", name="Redact and let in").click()
    expect(page.get_by_text("2 redacted and let in.")).to_be_visible()
    assert Prompt.objects.filter(summary="Write to [e-mail] from [address]", state="active").exists()
    page.goto(f"/p/{project.slug}/prompts/?category=maths")
    page.get_by_label("With these:").select_option("withdraw")
    page.get_by_role("button", name="All that match…").click()
    expect(page.get_by_text("12 of them will change.")).to_be_visible()
    page.locator("form.confirm button").click()
    expect(page.get_by_text("12 prompts changed.")).to_be_visible()
    page.goto(f"/p/{project.slug}/leaks/")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Release…").click()
    page.get_by_role("button", name="Release them").click()
    expect(page.get_by_text("1 completion changed.")).to_be_visible()
    page.goto(f"/p/{project.slug}/review/")
    page.get_by_role("button", name="Accept all that match…").click()
    page.locator("form.confirm button").click()
    expect(page.get_by_text("7 accepted.")).to_be_visible()
    page.goto(f"/p/{project.slug}/people/")
    page.get_by_role("link", name="Bo Lindqvist", exact=True).click()
    expect(page.get_by_text("I had read them the day before.")).to_be_visible()
    page.get_by_role("button", name="Reinstate").click()
    expect(page.get_by_text("Bo Lindqvist can work.")).to_be_visible()
