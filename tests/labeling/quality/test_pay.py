"""What work comes to: in the pay report, and beside one's own hours; nothing where no rate is set."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.test import Client

from labeling.assignments.models import Slot
from labeling.people.models import Role, User
from labeling.projects import pay
from labeling.projects.models import Project
from labeling.quality import own_work
from labeling.quality.work_report import work_of
from tests.factories import MembershipFactory, ProjectFactory, contractor_of
from tests.labeling.conftest import signed_in
from tests.labeling.quality.submitted import write_next

pytestmark = pytest.mark.django_db
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)
DAYS = "?since=2026-03-01&until=2026-03-31"
EMPTY = [""] * 6


@pytest.fixture
def project() -> Project:
    return ProjectFactory(currency="EUR", living_wage=Decimal("16.00"))


@pytest.fixture
def admin(project: Project) -> User:
    return MembershipFactory(project=project, role=Role.ADMIN).user


def worked(project: Project, labeler: User, day: date, seconds: int) -> None:
    """A demonstration submitted at noon of that day, after so many active seconds."""
    slot = write_next(project, labeler).slot
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    Slot.objects.filter(pk=slot.pk).update(submitted_at=noon, active_seconds=seconds)


def rate(labeler: User, amount: str, since: date, by: User) -> None:
    pay.set_pay_rate(membership=labeler.memberships.get(), rate=Decimal(amount), since=since, by=by)


def content(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()))


def test_the_report_says_rate_amount_and_what_an_hour_earned(client: Client, project, admin) -> None:
    maya, noor, unpaid = (contractor_of(project, name=name) for name in ("Maya", "Noor", "Una"))
    for labeler, day, seconds in ((maya, 2, 3600), (maya, 20, 1800), (noor, 3, 3605), (unpaid, 3, 7200)):
        worked(project, labeler, date(2026, 3, day), seconds)
    rate(maya, "20.00", FIRST, admin)
    rate(maya, "24.00", date(2026, 3, 15), admin)  # 1 h x 20 + 0.5 h x 24 = 32; 32 / 1.5 h = 21.33
    rate(noor, "15.99", FIRST, admin)  # 3605 s x 15.99 / 3600 = 16.012...
    client.force_login(admin)
    page = client.get(f"/p/{project.slug}/people/work/{DAYS}").content.decode()
    assert "Together they come to 48.01 EUR." in page and page.count("Under the living wage") == 1
    rows = content(client.post(f"/p/{project.slug}/people/work.csv{DAYS}"))
    told = {row["name"]: list(row.values())[-6:] for row in rows}
    assert list(rows[0])[-6:] == [
        "currency",
        "pay rate",
        "amount",
        "per active hour",
        "living wage",
        "under the living wage",
    ]
    assert told == {
        "Maya": ["EUR", "24.00", "32.00", "21.33", "16.00", "no"],
        "Noor": ["EUR", "15.99", "16.01", "15.99", "16.00", "yes"],
        "Una": EMPTY,
    }
    (early,) = work_of(project, since=FIRST, until=date(2026, 3, 2))
    assert early.pay is not None and (early.pay.rate, early.pay.amount) == (Decimal("20.00"), Decimal("20.00"))


def test_without_any_rate_there_is_no_amount_on_any_page(client: Client, project, admin) -> None:
    labeler = contractor_of(project)
    worked(project, labeler, date(2026, 3, 2), 3600)
    client.force_login(admin)
    for page in ("people/", f"people/work/{DAYS}"):
        said = client.get(f"/p/{project.slug}/{page}").content.decode()
        assert "EUR" not in said and "Amount" not in said
    (row,) = content(client.post(f"/p/{project.slug}/people/work.csv{DAYS}"))
    assert list(row.values())[-6:] == EMPTY
    own = signed_in(labeler).get(f"/p/{project.slug}/label/own/hours/").content.decode()
    assert "EUR" not in own and "Amount" not in own


def test_a_contractor_reads_the_own_rate_and_amount_and_nobody_elses(project, admin, monkeypatch) -> None:
    maya, noor = contractor_of(project), contractor_of(project)
    monkeypatch.setattr(own_work, "db_now", lambda: datetime(2026, 3, 20, tzinfo=UTC))
    worked(project, maya, date(2026, 2, 27), 1800)
    worked(project, maya, date(2026, 3, 2), 5400)
    worked(project, noor, date(2026, 3, 2), 3600)
    rate(maya, "12.35", date(2026, 2, 1), admin)
    page = signed_in(maya).get(f"/p/{project.slug}/label/own/hours/").content.decode()
    # 0.5 h: 6.175 -> 6.18; 1.5 h: 18.525 -> 18.53
    assert [month.pay.amount for month in own_work.months(project=project, labeler=maya) if month.pay] == [
        Decimal("18.53"),
        Decimal("6.18"),
    ]
    assert "12.35 EUR" in page and "18.53 EUR" in page and "6.18 EUR" in page and "Under the living wage" not in page
    rows = content(signed_in(maya).get(f"/p/{project.slug}/label/own/hours.csv"))
    assert [(row["day"], row["currency"], row["pay_rate"], row["amount"]) for row in rows] == [
        ("2026-03-02", "EUR", "12.35", "18.53"),
        ("2026-02-27", "EUR", "12.35", "6.18"),
    ]
    assert "EUR" not in signed_in(noor).get(f"/p/{project.slug}/label/own/hours/").content.decode()
