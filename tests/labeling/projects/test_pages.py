"""Pages of projects: who may open them, what they show, what they change."""

from __future__ import annotations

import re

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.utils.translation import override

from labeling.people.models import Role
from labeling.projects.access import member
from labeling.projects.context import NAVIGATION
from labeling.projects.forms import ProjectForm
from labeling.projects.models import Acceptance, Guideline, Invitation, Membership, Project
from labeling.urls import urlpatterns as real
from tests.factories import MembershipFactory, ProjectFactory, UserFactory
from tests.labeling.conftest import at

pytestmark = pytest.mark.django_db


@member(Role.ENGINEER)
def engineers_only(request: object, slug: str) -> HttpResponse:
    return HttpResponse(f"{request.project.slug} {request.membership.role}")  # type: ignore[attr-defined]


@member()
def anybody(request: object, slug: str) -> HttpResponse:
    return HttpResponse("in")


urlpatterns = [path("p/<slug:slug>/engineers/", engineers_only), path("p/<slug:slug>/anybody/", anybody), *real]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.CONTRACTOR, 403), (Role.REVIEWER, 403), (Role.ENGINEER, 200), (Role.ADMIN, 200)],
)
def test_a_role_opens_its_pages_and_admins_open_all(client: Client, role: Role, status: int) -> None:
    place = MembershipFactory(role=role)
    client.force_login(place.user)
    assert client.get(f"/p/{place.project.slug}/engineers/").status_code == status
    assert client.get(f"/p/{place.project.slug}/anybody/").status_code == 200


@pytest.mark.urls(__name__)
def test_strangers_get_404_like_for_projects_that_do_not_exist(client: Client) -> None:
    project = ProjectFactory()
    assert client.get(f"/p/{project.slug}/anybody/").status_code == 302  # to the login
    client.force_login(MembershipFactory().user)
    known, unknown = (client.get(f"/p/{slug}/anybody/") for slug in (project.slug, "no-such"))
    assert known.status_code == unknown.status_code == 404
    client.force_login(UserFactory(is_staff=True))  # not even platform admins see into a project they are not in
    assert client.get(f"/p/{project.slug}/anybody/").status_code == 404


PAGES = ["project-settings", "project-pause", "people", "person-invite", "guideline-edit", "guideline-publish"]


@pytest.mark.parametrize("role", [Role.CONTRACTOR, Role.REVIEWER, Role.ENGINEER])
def test_only_admins_open_the_pages_that_change_a_project(client: Client, role: Role) -> None:
    place = MembershipFactory(role=role)
    victim = MembershipFactory(project=place.project)
    client.force_login(place.user)
    for name in PAGES:
        assert client.get(at(name, place)).status_code == 403
        assert client.post(at(name, place), {"email": "x@example.org", "role": "admin"}).status_code == 403
    for name in ("person-role", "person-pause", "person-resume"):
        assert client.post(at(name, place, victim.pk), {"role": "admin", "reason": "x"}).status_code == 403
    victim.refresh_from_db()
    assert (victim.role, victim.state) == ("contractor", "active")
    assert not Invitation.objects.exists()


def test_looking_never_changes_anything(as_admin: Client, admin: Membership) -> None:
    for name in PAGES:
        assert as_admin.get(at(name, admin)).status_code == (409 if name == "guideline-publish" else 200), name
    assert (Membership.objects.count(), Invitation.objects.count(), Guideline.objects.count()) == (1, 0, 0)


def test_people_of_another_project_are_out_of_reach(as_admin: Client, admin: Membership) -> None:
    foreign = MembershipFactory()
    for name in ("person-role", "person-pause", "person-resume"):
        assert as_admin.post(at(name, admin, foreign.pk), {"role": "admin", "reason": "x"}).status_code == 404
    foreign.refresh_from_db()
    assert (foreign.role, foreign.state) == ("contractor", "active")


def test_only_platform_admins_create_projects(client: Client) -> None:
    client.force_login(UserFactory())
    assert client.get("/projects/new/").status_code == client.post("/projects/new/", {"name": "X"}).status_code == 403
    assert not Project.objects.exists()


def test_a_platform_admin_creates_a_project_with_the_form_as_it_stands(client: Client) -> None:
    client.force_login(UserFactory(is_staff=True))
    form = client.get("/projects/new/").context["form"]
    said = ((field.html_name, field.value()) for field in form)
    data = {name: value for name, value in said if value is not None and value is not False}
    answer = client.post("/projects/new/", {**data, "name": "Helpful assistant"})
    assert answer["Location"] == "/p/helpful-assistant/guideline/"
    assert Project.objects.get().completions_per_comparison == 4
    bad = client.post("/projects/new/", {**data, "name": "Two", "overlap": "99"})
    assert bad.status_code == 400 and 'href="#id_overlap"' in bad.content.decode()
    assert Project.objects.count() == 1


def test_the_page_of_somebody_without_a_project_says_what_to_do(client: Client) -> None:
    client.force_login(UserFactory())
    assert "You are in no project yet" in client.get("/projects/").content.decode()


def test_the_invitation_link_is_shown_once_and_leads_in(as_admin: Client, admin: Membership) -> None:
    answer = as_admin.post(at("person-invite", admin), {"email": "new@example.org", "role": "contractor"})
    link = re.search(r"http://testserver(/invitation/[\w-]{43}/)", answer.content.decode())
    assert link is not None
    assert Client().get(link[1]).status_code == 200
    listed = as_admin.get(at("people", admin)).content.decode()
    assert "new@example.org" in listed and link[1] not in listed
    as_admin.post(at("invitation-revoke", admin, Invitation.objects.get().pk))
    assert Client().get(link[1]).status_code == 404


def test_people_are_filtered_and_paged(as_admin: Client, admin: Membership) -> None:
    for n in range(60):
        MembershipFactory(project=admin.project, user=UserFactory(name=f"Worker {n:02}"))
    paused = MembershipFactory(project=admin.project, state="paused", role=Role.REVIEWER, user=UserFactory(name="Ada"))
    first = as_admin.get(at("people", admin), {"role": "contractor"})
    assert len(first.context["page"].rows) == 50
    second = as_admin.get(at("people", admin) + first.context["page"].older)
    assert len(second.context["page"].rows) == 10
    assert as_admin.get(at("people", admin), {"text": "ada", "state": "paused"}).context["page"].rows == [paused]
    assert "Nobody like that" in as_admin.get(at("people", admin), {"text": "zzz"}).content.decode()


def test_role_and_pause_and_resume(as_admin: Client, admin: Membership) -> None:
    place = MembershipFactory(project=admin.project)
    as_admin.post(at("person-role", admin, place.pk), {"role": "reviewer"})
    assert as_admin.post(at("person-pause", admin, place.pk), {"reason": ""}).status_code == 400
    as_admin.post(at("person-pause", admin, place.pk), {"reason": "On leave"})
    place.refresh_from_db()
    assert (place.role, place.state, place.paused_reason) == ("reviewer", "paused", "On leave")
    as_admin.post(at("person-resume", admin, place.pk))
    place.refresh_from_db()
    assert place.state == "active"


def test_pausing_a_project_asks_with_a_count(as_admin: Client, admin: Membership) -> None:
    MembershipFactory(project=admin.project)
    assert "1 active contractor will" in as_admin.get(at("project-pause", admin)).content.decode()
    as_admin.post(at("project-pause", admin))
    admin.project.refresh_from_db()
    assert admin.project.is_paused
    as_admin.post(at("project-pause", admin))
    admin.project.refresh_from_db()
    assert not admin.project.is_paused


def test_a_guideline_from_draft_to_acceptance(as_admin: Client, admin: Membership) -> None:
    labeler = MembershipFactory(project=admin.project)
    preview = as_admin.post(at("guideline-edit", admin), {"body": "# Be *kind*", "preview": "1"}).content.decode()
    assert "<h3>Be <em>kind</em></h3>" in preview and not Guideline.objects.exists()
    as_admin.post(at("guideline-edit", admin), {"body": "Be kind.\r\nAlways.", "save": "1"})
    assert Guideline.objects.get(version=0).body == "Be kind.\nAlways."
    assert "2 people must accept" in as_admin.get(at("guideline-publish", admin)).content.decode()
    as_admin.post(at("guideline-publish", admin))
    person = Client()
    person.force_login(labeler.user)
    assert "I have read it" in person.get(at("guideline", labeler)).content.decode()
    person.post(at("guideline-accept", labeler, 1))
    assert Acceptance.objects.get().user == labeler.user
    assert "I have read it" not in person.get(at("guideline", labeler)).content.decode()
    assert person.get(at("guideline-version", labeler, 2)).status_code == 404
    assert "Be kind" not in Client().get(at("guideline", labeler)).content.decode()


def test_a_guideline_carries_what_counts_in_final_evaluations(as_admin: Client, admin: Membership) -> None:
    both = {"body": "Helpful first.", "evaluation": "Truth\r\nfirst."}
    preview = as_admin.post(at("guideline-edit", admin), {**both, "preview": "1"}).content.decode()
    assert preview.index("In final evaluations</h4>") < preview.index("<p>Truth\nfirst.</p>")
    for said in (both, {**both, "evaluation": "Harmlessness first."}):
        as_admin.post(at("guideline-edit", admin), {**said, "save": "1"})
        assert as_admin.post(at("guideline-publish", admin)).status_code == 302
    assert as_admin.post(at("guideline-publish", admin)).status_code == 409  # it says the same
    found = Guideline.objects.filter(version__gt=0).order_by("version").values_list("body", "evaluation")
    assert list(found) == [("Helpful first.", "Truth\nfirst."), ("Helpful first.", "Harmlessness first.")]
    assert "Harmlessness first." in as_admin.get(at("guideline", admin)).content.decode()
    changed = as_admin.get(at("guideline-changes", admin, 2, 1)).content.decode()
    assert "Truth" in changed and "Harmlessness" in changed


def test_labelers_do_not_see_the_draft(client: Client, admin: Membership) -> None:
    Guideline.objects.create(project=admin.project, version=0, body="Secret draft")
    place = MembershipFactory(project=admin.project)
    client.force_login(place.user)
    body = client.get(at("guideline", place)).content.decode()
    assert "Secret draft" not in body and "still writing" in body


def test_the_navigation_leads_only_where_the_role_may_go(client: Client) -> None:
    for role in Role:
        place = MembershipFactory(role=role)
        client.force_login(place.user)
        nav = client.get(at("guideline", place)).context["nav"]
        assert [item.label for item in nav] == [label for _, label, roles in NAVIGATION if role in roles]
        assert [item.label for item in nav if item.current] == ["Guideline"]
        for item in nav:
            assert client.get(item.url).status_code in {200, 302}, (role, item.label)


def test_every_help_text_of_the_settings_is_said_in_chinese() -> None:
    helped = {name: field.help_text for name, field in ProjectForm.base_fields.items() if field.help_text}
    english = {name: str(text) for name, text in helped.items()}
    with override("zh-hans"):
        assert [name for name, text in helped.items() if str(text) == english[name]] == []
