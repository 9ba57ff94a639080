"""Projects, members, guidelines."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from labeling.core.errors import BadInput, Conflict, LoopError, NotAllowed, WrongState
from labeling.core.models import Event
from labeling.people.models import Role, User
from labeling.projects import selectors, services
from labeling.projects.models import Acceptance, Guideline, Membership, Project
from tests.factories import MembershipFactory, ProjectFactory, PromptFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def by() -> User:
    return UserFactory(is_staff=True)


def test_the_maker_of_a_project_is_its_first_admin(by: User) -> None:
    project = services.create_project(name="Helpful assistant", by=by, overlap=2)
    assert (project.slug, project.overlap) == ("helpful-assistant", 2)
    place = Membership.objects.get()
    assert (place.user, place.role, place.state) == (by, "admin", "active")


def test_two_projects_of_one_name_get_two_addresses_and_two_seeds(by: User) -> None:
    one, two = (services.create_project(name="Same", by=by) for _ in range(2))
    assert (one.slug, two.slug) == ("same", "same-2")
    assert one.seed != two.seed


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"overlap": 0}, "overlap"),
        ({"completions_per_comparison": 10}, "completions_per_comparison"),
        ({"valid_percent": 45, "test_percent": 50}, "test_percent"),
        ({"colour": "red"}, "colour"),
        ({"name": ""}, "name"),
    ],
)
def test_settings_out_of_bounds_are_refused(by: User, settings: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as problem:
        services.create_project(**{"name": "P", "by": by, **settings})  # type: ignore[arg-type]
    assert problem.value.field == field
    assert not Project.objects.exists() and not Membership.objects.exists()


def test_what_decides_the_split_is_fixed_by_the_first_prompt(by: User) -> None:
    project = ProjectFactory(test_percent=20)
    services.update_project(project=project, by=by, test_percent=30)
    PromptFactory(project=project)
    with pytest.raises(Conflict, match="test_percent"):
        services.update_project(project=project, by=by, test_percent=10, overlap=3)
    project.refresh_from_db()
    assert (project.test_percent, project.overlap) == (30, 1)
    services.update_project(project=project, by=by, overlap=3)
    assert Event.objects.filter(verb="changed").latest("id").after == {"overlap": 3}


def test_a_person_joins_once(by: User) -> None:
    project, user = ProjectFactory(), UserFactory()
    place = services.add_member(project=project, user=user, role="contractor", by=by)
    assert place.state == "active"
    with pytest.raises(Conflict, match="already"):
        services.add_member(project=project, user=user, role="admin", by=by)
    assert Membership.objects.get().role == "contractor"
    for wrong in ({"role": "boss"}, {"role": "admin", "state": "odd"}):
        with pytest.raises(BadInput):
            services.add_member(project=project, user=UserFactory(), by=by, **wrong)


@pytest.mark.parametrize("change", ["role", "pause"])
def test_a_project_keeps_an_admin(by: User, change: str) -> None:
    only = MembershipFactory(role=Role.ADMIN)
    MembershipFactory(project=only.project, role=Role.ADMIN, user=UserFactory(is_active=False))

    def take_away(place: Membership) -> None:
        if change == "role":
            services.change_role(membership=place, role="engineer", by=by)
        else:
            services.pause_member(membership=place, reason="away", by=by)

    with pytest.raises(Conflict, match="only admin"):
        take_away(only)
    only.refresh_from_db()
    assert (only.role, only.state) == ("admin", "active")
    MembershipFactory(project=only.project, role=Role.ADMIN)
    take_away(only)
    only.refresh_from_db()
    assert (only.role, only.state) != ("admin", "active")


def test_a_pause_wants_a_reason_and_ends_with_resume(by: User) -> None:
    place = MembershipFactory()
    with pytest.raises(BadInput, match="reason"):
        services.pause_member(membership=place, reason="  ", by=by)
    services.pause_member(membership=place, reason="Please read the guideline again.", by=by)
    place.refresh_from_db()
    assert (place.state, place.paused_reason) == ("paused", "Please read the guideline again.")
    with pytest.raises(WrongState):
        services.pause_member(membership=place, reason="again", by=by)
    services.resume_member(membership=place, by=by)
    place.refresh_from_db()
    assert (place.state, place.paused_reason) == ("active", "")


# ---- guidelines


def test_publishing_makes_numbered_versions_that_never_change(by: User) -> None:
    project = ProjectFactory()
    with pytest.raises(WrongState, match="no draft"):
        services.publish_guideline(project=project, by=by)
    services.save_guideline_draft(project=project, body="Be kind.", by=by)
    first = services.publish_guideline(project=project, by=by)
    with pytest.raises(Conflict, match="version 1"):
        services.publish_guideline(project=project, by=by)
    services.save_guideline_draft(project=project, body="Be kind and brief.", by=by)
    second = services.publish_guideline(project=project, by=by)
    assert (first.version, second.version) == (1, 2)
    assert selectors.current_guideline(project) == second
    with pytest.raises(DatabaseError), transaction.atomic():
        Guideline.objects.filter(pk=first.pk).update(body="Something else.")
    first.refresh_from_db()
    assert first.body == "Be kind."


@pytest.mark.parametrize("body", ["", "  \n", "x" * 200_001])
def test_empty_and_endless_drafts_are_refused(by: User, body: str) -> None:
    with pytest.raises(BadInput) as problem:
        services.save_guideline_draft(project=ProjectFactory(), body=body, by=by)
    assert problem.value.field == "body" and not Guideline.objects.exists()


def test_a_new_version_must_be_accepted_again(by: User) -> None:
    place = MembershipFactory()
    project, user = place.project, place.user
    assert not selectors.has_accepted(user, project)  # nothing to accept: no work either
    services.save_guideline_draft(project=project, body="One.", by=by)
    first = services.publish_guideline(project=project, by=by)
    assert not selectors.has_accepted(user, project)
    one = services.accept_guideline(guideline=first, user=user)
    assert services.accept_guideline(guideline=first, user=user) == one
    assert selectors.has_accepted(user, project)
    services.save_guideline_draft(project=project, body="Two.", by=by)
    assert selectors.has_accepted(user, project)  # a draft changes nothing
    services.publish_guideline(project=project, by=by)
    assert not selectors.has_accepted(user, project)
    with pytest.raises(Conflict, match="newer version"):
        services.accept_guideline(guideline=first, user=user)
    assert Acceptance.objects.count() == 1


def test_strangers_and_drafts_cannot_be_accepted(by: User) -> None:
    project = ProjectFactory()
    draft = services.save_guideline_draft(project=project, body="One.", by=by)
    with pytest.raises(LoopError):
        services.accept_guideline(guideline=draft, user=MembershipFactory(project=project).user)
    published = services.publish_guideline(project=project, by=by)
    with pytest.raises(NotAllowed):
        services.accept_guideline(guideline=published, user=UserFactory())
    assert not Acceptance.objects.exists()


def test_every_change_leaves_an_event_that_cannot_be_changed(by: User) -> None:
    services.create_project(name="P", by=by)
    event = Event.objects.get(verb="created")
    assert event.actor == by
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE core_event SET verb = 'forged'")
