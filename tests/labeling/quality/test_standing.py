"""Beside each member: what the screening was decided on, and the active hours of this month; one query for all of them, and hours counted once a minute."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from labeling.assignments.models import Slot
from labeling.comparisons.models import Ranking
from labeling.core import audit
from labeling.projects.models import Membership, Project
from labeling.projects.standing import Score, standings
from labeling.quality.screening_models import Qualification
from labeling.quality.work_report import work_of
from tests.factories import MembershipFactory, contractor_of
from tests.labeling.conftest import at
from tests.labeling.quality.submitted import comparisons, rank_next, write_next
from tests.labeling.test_exports import cells

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
MONTH = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def qualified(place: Membership, **figures: Any) -> None:
    Qualification.objects.create(membership=place, passed=True, decided_at=NOW, **figures)


def worked(project: Project, place: Membership, when: datetime, seconds: int) -> None:
    slot = write_next(project, place.user).slot
    Slot.objects.filter(pk=slot.pk).update(submitted_at=when, active_seconds=seconds)


def late(project: Project, place: Membership, seconds: int, supersedes: Ranking | None = None) -> Ranking:
    ranking = Ranking.objects.filter(late=False).latest("pk")
    return Ranking.objects.create(
        project=project, comparison=ranking.comparison, labeler=place.user, submission=uuid.uuid4(), late=True,
        active_seconds=seconds, supersedes=supersedes,
    )  # fmt: skip


@pytest.fixture
def maya(admin: Membership) -> Membership:
    return contractor_of(admin.project, name="Maya").memberships.get()


def test_hours_are_those_of_this_month_with_late_work_and_as_the_report_has_them(admin, maya) -> None:
    project = admin.project
    for when, seconds in ((MONTH, 1800), (MONTH - timedelta(seconds=1), 999), (NOW, 600)):
        worked(project, maya, when, seconds)
    comparisons(project, 1)
    rank_next(project, maya.user)  # 12 s
    first = late(project, maya, 30)
    late(project, maya, 30, supersedes=first)  # a revision is no second judgement
    elsewhere = MembershipFactory(user=maya.user)
    assert standings(project, [maya, admin])[maya.pk].seconds == 1800 + 600 + 12 + 30
    assert standings(project, [admin])[admin.pk].seconds == 0
    assert standings(elsewhere.project, [elsewhere])[elsewhere.pk].seconds == 0
    (row,) = work_of(project, since=MONTH.date())
    assert row.active_seconds == 2442


def test_a_score_is_what_the_decision_rested_on(admin, maya) -> None:
    qualified(maya, agreement=5 / 6, flagging=0.9, grade=6.5)
    bare, open_ = MembershipFactory(project=admin.project), MembershipFactory(project=admin.project)
    qualified(bare)  # decided by a person, with nothing asked
    Qualification.objects.create(membership=open_)
    found = standings(admin.project, [maya, bare, open_])
    assert [found[place.pk].score for place in (maya, bare, open_)] == [Score(5 / 6, 0.9, 6.5), None, None]


def test_the_page_shows_both_or_a_dash(as_admin: Client, admin, maya) -> None:
    qualified(maya, agreement=5 / 6, flagging=0.9, grade=6.5)
    worked(admin.project, maya, NOW, 5400)
    page = " ".join(as_admin.get(at("people", admin)).content.decode().split())
    rows = {name: row for name in ("Maya", "Ada") for row in re.findall(r"<tr>.*?</tr>", page) if f">{name}</a>" in row}
    assert '83 %<br> <span class="small muted">flags 90 % · grade 6.5</span>' in rows["Maya"]
    assert 'data-label="Active hours this month">1.5</td>' in rows["Maya"]
    assert 'data-label="Screening"> <span class="faint">–</span>' in rows["Ada"]
    assert 'data-label="Active hours this month"><span class="faint">–</span></td>' in rows["Ada"]


def test_the_file_has_both(as_admin: Client, admin, maya) -> None:
    qualified(maya, agreement=5 / 6, grade=6.0)
    worked(admin.project, maya, NOW, 5400)
    names = ("screening agreement", "screening flags", "screening grade", "active hours this month")
    rows = {row["name"]: [row[name] for name in names] for row in cells(as_admin.post(at("people-export", admin)))}
    assert rows == {"Maya": ["0.833", "", "6.0", "1.5"], "Ada": ["", "", "", "0.0"]}


def test_a_page_asks_for_the_scores_of_its_people_and_counts_hours_once_a_minute(as_admin: Client, admin, maya) -> None:
    asked, standing = [], []
    as_admin.get(at("people", admin))
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            page = as_admin.get(at("people", admin))
        asked.append(len(queries))
        standing.append([one["sql"] for one in queries if "active_seconds" in one["sql"] or "flagging" in one["sql"]])
        assert set(page.context["standings"]) == {place.pk for place in page.context["page"].rows}
        for _more in range(60):
            MembershipFactory(project=admin.project)
    assert asked[0] == asked[1] and [len(one) for one in standing] == [1, 1]
    assert len(page.context["standings"]) == 50
    with CaptureQueriesContext(connection) as queries:
        assert standings(admin.project, []) == {}
    assert len(queries) == 0


def test_decisions_of_earlier_days_get_their_figures_from_the_log(admin, maya) -> None:
    other = MembershipFactory(project=admin.project)
    for place in (maya, other):
        qualified(place)
    after = {"pieces": "3/3", "agreement": 0.833, "pairs": 6, "grades": "6, 7"}
    audit.record("failed screening", maya, by=None, after={"agreement": 0.1})
    audit.record("passed screening", maya, by=None, after=after)
    audit.record("passed screening", other, by=None, after={"pieces": "0/0"})
    with connection.cursor() as cursor:
        cursor.execute(import_module("labeling.quality.migrations.0007_screening_scores").FILL)
    figures = Qualification.objects.order_by("membership").values_list("agreement", "flagging", "grade")
    assert list(figures) == [(0.833, None, 6.5), (None, None, None)]
