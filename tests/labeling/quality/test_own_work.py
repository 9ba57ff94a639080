"""One's own record: only one's own, with what became of it; hours by day; CSV."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from labeling.assignments import start
from labeling.assignments.models import Slot
from labeling.people.models import Role
from labeling.projects.models import Project
from labeling.quality import own_work
from labeling.quality.models import Review, WeeklyAgreement
from labeling.quality.review_services import accept, edit_demonstration, return_work
from tests.factories import MembershipFactory, ProjectFactory, contractor_of
from tests.labeling.conftest import signed_in
from tests.labeling.quality.submitted import comparisons, rank_next, sample, write_next

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return ProjectFactory(review_percent=0)


@pytest.fixture
def labeler(project):
    return contractor_of(project)


def reviewed(project: Project) -> list[Review]:
    """Ask for a review of everything there is."""
    Project.objects.filter(pk=project.pk).update(requires_review=True)
    sample(project)
    return list(Review.objects.filter(project=project).order_by("pk"))


def test_the_list_shows_ones_own_work_with_what_became_of_it(project, labeler) -> None:
    reviewer = MembershipFactory(project=project, role=Role.REVIEWER).user
    returned, accepted, fresh = (write_next(project, labeler, text) for text in ("One.", "Two.", "Three."))
    theirs = write_next(project, contractor_of(project))
    rows = {review.demonstration_id: review for review in reviewed(project)}
    return_work(review=rows[returned.pk], note="Longer, please.", by=reviewer)
    accept(review=rows[accepted.pk], by=reviewer)
    states = {slot.pk: slot.review for slot in own_work.own_work(project=project, labeler=labeler)}
    assert states == {returned.slot_id: "returned", accepted.slot_id: "accepted", fresh.slot_id: "waiting"}
    assert theirs.slot_id not in states
    assert [slot.pk for slot in own_work.own_work(project=project, labeler=labeler, review="returned")] == [
        returned.slot_id
    ]
    page = signed_in(labeler).get(f"/p/{project.slug}/label/own/?review=accepted").content.decode()
    assert str(accepted.slot.public_id) in page and str(fresh.slot.public_id) not in page


def test_accepted_work_follows_the_projects_rule(project, labeler) -> None:
    reviewer = MembershipFactory(project=project, role=Role.REVIEWER).user
    returned, accepted, fresh = (write_next(project, labeler, text) for text in ("One.", "Two.", "Three."))
    rows = {review.demonstration_id: review for review in reviewed(project)}
    return_work(review=rows[returned.pk], note="Longer, please.", by=reviewer)
    accept(review=rows[accepted.pk], by=reviewer)
    project.refresh_from_db()
    mine = {"project": project, "labeler": labeler}
    assert [slot.pk for slot in own_work.accepted_work(**mine)] == [accepted.slot_id]
    project.requires_review = False
    assert {slot.pk for slot in own_work.accepted_work(**mine)} == {accepted.slot_id, fresh.slot_id}


def test_a_piece_opens_for_its_author_alone(project, labeler) -> None:
    comparisons(project, 1)
    ranking = rank_next(project, labeler, [2, 1, 1], reason="Clearer.")
    where = f"/p/{project.slug}/label/own/{ranking.slot.public_id}/"
    page = signed_in(labeler).get(where).content.decode()
    assert "Clearer." in page and page.count('class="panel reading"') == 1 + 3 + 1
    assert f"/work/{ranking.slot.public_id}/" in page
    assert signed_in(contractor_of(project)).get(where).status_code == 404
    assert signed_in(contractor_of(ProjectFactory())).get(where).status_code == 404


def test_a_reviewers_correction_is_shown_as_theirs(project, labeler) -> None:
    reviewer = MembershipFactory(project=project, role=Role.REVIEWER).user
    mine = write_next(project, labeler, "Rough.")
    edit_demonstration(review=reviewed(project)[0], text="Polished.", by=reviewer)
    page = signed_in(labeler).get(f"/p/{project.slug}/label/own/{mine.slot.public_id}/").content.decode()
    assert "A reviewer corrected it" in page
    theirs, own = page.index("The reviewer's text"), page.index("Your answer")
    assert theirs < page.index("Polished.") < own < page.index("Rough.")


def at(slot: Slot, moment: datetime, seconds: int) -> None:
    Slot.objects.filter(pk=slot.pk).update(submitted_at=moment, active_seconds=seconds)


def test_hours_are_summed_by_day_and_week(project, labeler, monkeypatch) -> None:
    sunday, monday = datetime(2026, 3, 1, 23, 59, tzinfo=UTC), datetime(2026, 3, 2, 0, 1, tzinfo=UTC)
    for moment, seconds in ((sunday, 60), (monday, 600), (monday + timedelta(hours=5), 3000)):
        at(write_next(project, labeler).slot, moment, seconds)
    write_next(project, contractor_of(project))
    monkeypatch.setattr(own_work, "db_now", lambda: monday + timedelta(days=3))
    found = own_work.weeks(project=project, labeler=labeler)
    assert [(week.monday.isoformat(), week.seconds, week.pieces) for week in found] == [
        ("2026-03-02", 3600, 2),
        ("2026-02-23", 60, 1),
    ]
    assert [week.monday.isoformat() for week in own_work.weeks(project=project, labeler=labeler, number=1)] == [
        "2026-03-02"
    ]
    assert "1 h 00 min" in signed_in(labeler).get(f"/p/{project.slug}/label/own/hours/").content.decode()


def test_hours_of_this_week_begin_on_monday(project, labeler, monkeypatch) -> None:
    wednesday = datetime(2026, 3, 4, 12, tzinfo=UTC)
    monkeypatch.setattr("labeling.assignments.selectors.db_now", lambda: wednesday)
    for days, seconds in ((0, 100), (2, 20), (3, 3)):
        at(write_next(project, labeler).slot, wednesday - timedelta(days=days, hours=1), seconds)
    assert start.seconds_this_week(project=project, labeler=labeler) == 120


def test_csv_holds_accepted_work_and_hours(project, labeler) -> None:
    comparisons(project, 1)
    ranking = rank_next(project, labeler)
    client = signed_in(labeler)
    answer = client.get(f"/p/{project.slug}/label/own/accepted.csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert rows[0] == list(own_work.COLUMNS)
    assert rows[1][1:] == ["comparison", str(ranking.slot.task.public_id), str(ranking.guideline.version), "12", "none"]
    assert len(rows) == 2 and answer["Content-Disposition"].endswith('-accepted-work.csv"')
    hours = client.get(f"/p/{project.slug}/label/own/hours.csv")
    rows = list(csv.reader(io.StringIO(b"".join(hours.streaming_content).decode("utf-8-sig"))))
    assert rows == [list(own_work.HOUR_COLUMNS), [f"{ranking.created_at:%Y-%m-%d}", "12", "0.00", "1", "", "", ""]]


def test_the_start_page_says_hours_help_and_when_more_comes(project, labeler) -> None:
    Project.objects.filter(pk=project.pk).update(contact="help@example.org", next_work="Mondays at 9:00")
    write_next(project, labeler)
    page = signed_in(labeler).get(f"/p/{project.slug}/label/").content.decode()
    assert 'href="mailto:help@example.org"' in page and "More work comes: Mondays at 9:00" in page
    assert "Every task is done." in page and "Only you see it." in page
    held = write_next(project, contractor_of(project)).slot
    other = contractor_of(project)
    Slot.objects.filter(pk=held.pk).update(
        state="leased",
        labeler=other,
        lease_token=uuid.uuid4(),
        lease_expires_at=datetime(2026, 3, 4, 12, 30, tzinfo=UTC),
    )
    page = signed_in(labeler).get(f"/p/{project.slug}/label/").content.decode()
    assert "One task is with somebody else; if they do not finish it, it is free by 12:30 UTC." in page


def test_the_trend_is_the_persons_own(project, labeler) -> None:
    week = datetime(2026, 3, 2).date()
    WeeklyAgreement.objects.create(
        project=project, labeler=labeler, week=week, agreement=0.72, low=0.7, high=0.75, pairs=40
    )
    assert "72 %" in signed_in(labeler).get(f"/p/{project.slug}/label/").content.decode()
    assert "72 %" not in signed_in(contractor_of(project)).get(f"/p/{project.slug}/label/").content.decode()
