"""A person's page, appeals, accounts, and the report that pay follows."""

from __future__ import annotations

import csv
import html
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from labeling.assignments.models import Slot
from labeling.comparisons.models import Ranking
from labeling.core.errors import BadInput, NotAllowed, WrongState
from labeling.people.models import Role, User
from labeling.projects import services
from labeling.projects.models import Membership, Project
from labeling.quality import review_services
from labeling.quality.models import Review
from labeling.quality.work_report import work_of
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, contractor_of
from tests.labeling.quality.submitted import comparisons, rank_next, sample, write_next

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return ProjectFactory(review_percent=100)


@pytest.fixture
def admin(project: Project) -> User:
    return MembershipFactory(project=project, role=Role.ADMIN, user=UserFactory(is_staff=True)).user


@pytest.fixture
def labeler(project: Project) -> User:
    return contractor_of(project, name="=Maya")


def place_of(user: User) -> Membership:
    return user.memberships.get()


def work(project: Project, labeler: User, admin: User) -> None:
    """Two rankings, one accepted, one edited by the admin; a demonstration that was returned."""
    comparisons(project, 2)
    first, second = rank_next(project, labeler), rank_next(project, labeler)
    written = write_next(project, labeler)
    sample(project)
    review_services.accept(review=Review.objects.get(ranking=first), by=admin)
    ids = list(second.items.values_list("completion", flat=True))
    review_services.edit_ranking(review=Review.objects.get(ranking=second), tiers=[ids], by=admin)
    review_services.return_work(review=Review.objects.get(demonstration=written), note="Why?", by=admin)


def test_the_report_counts_each_judgement_once_for_whoever_made_it(
    project: Project, labeler: User, admin: User
) -> None:
    work(project, labeler, admin)
    (told,) = work_of(project)
    assert told.membership.user == labeler
    assert (told.kinds, told.active_seconds) == ({"comparison": 2, "demonstration": 1}, 24)
    assert (told.submitted, told.accepted, told.returned, told.waiting, told.late) == (3, 2, 1, 0, 0)
    yesterday = timezone.now().date() - timedelta(days=1)
    assert work_of(project, until=yesterday) == []
    long_ago = timezone.now() - timedelta(days=1)
    Slot.objects.filter(kind="demonstration").update(submitted_at=long_ago)
    Review.objects.filter(kind="demonstration").update(submitted_at=long_ago)
    (told,) = work_of(project, since=yesterday, until=yesterday)
    assert (told.submitted, told.returned) == (1, 1)
    assert work_of(project, since=date(2001, 1, 1), until=date(2001, 2, 1)) == []


def test_late_work_is_paid_too(project: Project, labeler: User, admin: User) -> None:
    comparisons(project, 1)
    done = rank_next(project, labeler)
    Ranking.objects.bulk_create(
        [Ranking(project=project, comparison=done.comparison, labeler=labeler, submission=done.public_id, late=True, active_seconds=30)]
    )  # fmt: skip
    (told,) = work_of(project)
    assert (told.submitted, told.late, told.active_seconds) == (1, 1, 42)


def test_the_pay_report_is_a_csv_file(client: Client, project: Project, labeler: User, admin: User) -> None:
    work(project, labeler, admin)
    client.force_login(admin)
    assert "0.01" in client.get(reverse("people-work", args=[project.slug])).content.decode()
    answer = client.post(reverse("pay-report", args=[project.slug]))
    header, row = csv.reader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines())
    told = dict(zip(header, row, strict=True))
    assert (told["name"], told["submitted"], told["accepted"], told["active seconds"]) == ("'=Maya", "3", "2", "24")
    assert told["labeler key"] == str(place_of(labeler).labeler_key)


def test_hours_are_those_of_this_month_unless_other_days_are_asked_for(
    client: Client, project: Project, labeler: User, admin: User
) -> None:
    work(project, labeler, admin)
    first = datetime.now(UTC).date().replace(day=1)
    long_ago = datetime.combine(first - timedelta(days=1), time(12), tzinfo=UTC)
    Slot.objects.filter(labeler=labeler).update(submitted_at=long_ago)
    client.force_login(admin)
    url, report = reverse("people-work", args=[project.slug]), reverse("pay-report", args=[project.slug])
    page = client.get(url)
    last = f"since={long_ago.date().replace(day=1)}&amp;until={long_ago.date()}"
    assert (page.context["rows"], f'value="{first}"' in page.content.decode()) == ([], True)
    assert last in page.content.decode()
    assert [row.submitted for row in client.get(f"{url}?{html.unescape(last)}").context["rows"]] == [3]
    assert [row.submitted for row in client.get(f"{url}?since=&until=").context["rows"]] == [3]
    lengths = [len(b"".join(client.post(report + days).streaming_content).splitlines()) for days in ("", "?since=")]
    assert lengths == [1, 2]


def test_a_paused_person_reads_why_appeals_and_is_reinstated(
    client: Client, project: Project, labeler: User, admin: User
) -> None:
    place = place_of(labeler)
    services.pause_member(membership=place, reason="Too fast to have read it.", by=admin)
    client.force_login(labeler)
    queue = client.get(reverse("queue", args=[project.slug])).content.decode()
    assert "Too fast to have read it." in queue and reverse("appeal", args=[project.slug]) in queue
    assert client.post(reverse("appeal", args=[project.slug]), {"text": " "}).status_code == 400
    client.post(reverse("appeal", args=[project.slug]), {"text": "I know the topic."})
    place.refresh_from_db()
    assert (place.appeal, place.paused_by) == ("I know the topic.", admin)
    client.force_login(admin)
    assert "I know the topic." in client.get(reverse("person", args=[project.slug, place.pk])).content.decode()
    client.post(reverse("person-resume", args=[project.slug, place.pk]))
    place.refresh_from_db()
    assert (place.state, place.appeal, place.paused_reason) == ("active", "", "")


def test_only_the_paused_person_appeals_and_only_while_paused(project: Project, labeler: User, admin: User) -> None:
    place = place_of(labeler)
    with pytest.raises(WrongState):
        services.appeal(membership=place, text="Why?", by=labeler)
    services.pause_member(membership=place, reason="x", by=admin)
    with pytest.raises(NotAllowed):
        services.appeal(membership=place, text="Why?", by=admin)
    with pytest.raises(BadInput):
        services.appeal(membership=place, text="x" * 2001, by=labeler)
    place.refresh_from_db()
    assert place.appeal == ""


def test_an_account_is_closed_and_opened_by_platform_admins_after_saying_what_it_means(
    client: Client, project: Project, labeler: User, admin: User
) -> None:
    url = reverse("person-account", args=[project.slug, place_of(labeler).pk])
    client.force_login(MembershipFactory(project=project, role=Role.ADMIN).user)
    assert client.post(url).status_code == 403
    client.force_login(admin)
    assert "It counts in all 1 projects" in client.get(url).content.decode()
    client.post(url)
    labeler.refresh_from_db()
    assert not labeler.is_active
    client.post(url)
    labeler.refresh_from_db()
    assert labeler.is_active


def test_the_first_of_the_month_stands_in_the_form_in_every_language(
    client: Client, project: Project, admin: User
) -> None:
    client.force_login(admin)
    first = datetime.now(UTC).date().replace(day=1)
    for language in ("en", "zh-hans"):
        page = client.get(reverse("people-work", args=[project.slug]), headers={"accept-language": language})
        said = page.content.decode()
        assert f'lang="{language}"' in said and f'value="{first.isoformat()}"' in said
