"""What a member works in and what an hour of theirs pays: set by admins, checked, kept in the audit log."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import translation

from labeling.core.errors import BadInput, Conflict
from labeling.core.models import Event
from labeling.projects import pay, selectors, services
from labeling.projects.languages import name_of
from labeling.projects.models import Invitation, Membership, PayRate, Project
from labeling.projects.pay import Rates
from tests.factories import PASSWORD, MembershipFactory, ProjectFactory, UserFactory
from tests.labeling.conftest import at

pytestmark = pytest.mark.django_db
MONDAY = date(2026, 3, 2)
MANY = "GB US IE AU NZ CA ZA IN NG KE GH UG TZ ZM ZW MT SG PH HK JM BZ"  # 21 regions


def rates(*steps: tuple[date, str | None], wage: str | None = None, currency: str = "EUR") -> Rates:
    held = tuple((since, None if rate is None else Decimal(rate)) for since, rate in steps)
    return Rates(currency, None if wage is None else Decimal(wage), held)


def days(*seconds: int) -> dict[date, int]:
    return {MONDAY + timedelta(days=n): number for n, number in enumerate(seconds)}


def test_an_amount_is_hours_times_rate_with_half_a_cent_rounded_up() -> None:
    found = rates((MONDAY, "15.50")).paid(days(3600, 5400))  # 2.5 h x 15.50
    assert found is not None
    assert (found.amount, found.hourly, found.rate) == (Decimal("38.75"), Decimal("15.50"), Decimal("15.50"))
    by_seconds = {17: "0.00", 18: "0.01", 53: "0.01", 54: "0.02"}  # at 1.00 an hour, 18 s are half a cent
    told = {n: rates((MONDAY, "1.00")).paid(days(n)) for n in by_seconds}
    assert {n: str(one.amount) for n, one in told.items() if one} == by_seconds


def test_days_are_summed_before_the_one_rounding() -> None:
    found = rates((MONDAY, "1.00")).paid(days(18, 18))
    assert found is not None and found.amount == Decimal("0.01")  # and not 0.01 + 0.01


def test_the_currency_decides_how_small_an_amount_is() -> None:
    found = [rates((MONDAY, "1500.55"), currency=code).paid(days(1800)) for code in ("JPY", "EUR", "KWD")]
    assert [str(one.amount) for one in found if one] == ["750", "750.28", "750.275"]


def test_a_new_rate_leaves_earlier_days_as_they_were() -> None:
    tuesday = MONDAY + timedelta(days=1)
    found = rates((MONDAY, "10.00"), (tuesday, "20.00"), wage="16.00").paid(days(3600, 3600))
    assert found is not None
    assert (found.amount, found.hourly, found.rate) == (Decimal("30.00"), Decimal("15.00"), Decimal("20.00"))
    assert found.is_under_living_wage  # an hour earned 15.00 in effect
    assert not rates((MONDAY, "16.00"), wage="16.00").paid(days(7)).is_under_living_wage  # type: ignore[union-attr]
    assert rates((MONDAY, "15.99"), wage="16.00").paid(days(0)).is_under_living_wage  # type: ignore[union-attr]
    assert not rates((MONDAY, "0.01")).paid(days(7)).is_under_living_wage  # type: ignore[union-attr]


def test_there_is_no_amount_where_no_rate_holds() -> None:
    later = MONDAY + timedelta(days=5)
    assert rates((later, "10.00")).paid(days(3600)) is None
    assert rates((MONDAY, "10.00"), (later, None)).on(later) is None
    found = rates((MONDAY, "10.00"), (later, None)).paid(days(3600), until=later)
    assert found is not None and (found.rate, found.amount) == (None, Decimal("10.00"))


@pytest.fixture
def project() -> Project:
    return ProjectFactory(currency="EUR")


@pytest.mark.parametrize("rate", ["-0.01", "1000000.01", "1.005", "NaN"])
def test_wrong_rates_are_refused(project: Project, rate: str) -> None:
    place = MembershipFactory(project=project)
    with pytest.raises(BadInput) as problem:
        pay.set_pay_rate(membership=place, rate=Decimal(rate), by=place.user)
    assert problem.value.field == "pay_rate" and not PayRate.objects.exists()


def test_a_rate_needs_a_currency_which_then_stays(project: Project) -> None:
    bare = MembershipFactory()
    with pytest.raises(Conflict, match="currency"):
        pay.set_pay_rate(membership=bare, rate=Decimal(10), by=bare.user)
    services.update_project(project=project, by=bare.user, currency="USD")
    pay.set_pay_rate(membership=MembershipFactory(project=project), rate=Decimal(10), by=bare.user)
    for settings in ({"currency": "EUR"}, {"currency": ""}):
        with pytest.raises(Conflict, match="cannot change"):
            services.update_project(project=project, by=bare.user, **settings)
    services.update_project(project=project, by=bare.user, living_wage=Decimal("17.10"))
    assert Event.objects.filter(verb="changed").latest("id").after == {"living_wage": "17.10"}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"currency": "EURO"}, "currency"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "DEM"}, "currency"),  # of the past
        ({"currency": "", "living_wage": Decimal(12)}, "currency"),
        ({"living_wage": Decimal(-1)}, "living_wage"),
    ],
)
def test_wrong_currencies_and_wages_are_refused(project: Project, settings, field) -> None:
    with pytest.raises(BadInput) as problem:
        services.update_project(project=project, by=UserFactory(), **settings)
    project.refresh_from_db()
    assert (problem.value.field, project.currency, project.living_wage) == (field, "EUR", None)


def test_setting_a_rate_twice_for_a_day_replaces_it_and_both_are_in_the_log(project: Project) -> None:
    place = MembershipFactory(project=project)
    for rate in ("10.00", "12.00"):
        pay.set_pay_rate(membership=place, rate=Decimal(rate), since=MONDAY, by=place.user)
    assert PayRate.objects.get().rate == Decimal("12.00")
    last = Event.objects.filter(verb="set pay rate").latest("id")
    assert last.before == {"pay_rate": "10.00"}
    assert last.after == {"pay_rate": "12.00", "currency": "EUR", "since": "2026-03-02"}
    with pytest.raises(BadInput) as problem:
        pay.set_pay_rate(membership=place, rate=None, since=pay.today() + timedelta(days=367), by=place.user)
    assert problem.value.field == "since"


def test_languages_are_written_as_bcp_47_says_and_wrong_ones_are_named() -> None:
    place = MembershipFactory()
    services.set_languages(membership=place, languages=["EN", "zh_hans", "pt-br", "en"], by=place.user)
    place.refresh_from_db()
    assert place.languages == ["en", "zh-Hans", "pt-BR"]
    assert Event.objects.get(verb="changed languages").after == {"languages": ["en", "zh-Hans", "pt-BR"]}
    for wrong in ("xx", "english", "en-", "e", "mul", "en-000", "zh-Abcd"):
        with pytest.raises(BadInput, match=wrong):
            services.set_languages(membership=place, languages=["de", wrong], by=place.user)
    with pytest.raises(BadInput, match="more than 20"):
        services.set_languages(membership=place, languages=[f"en-{region}" for region in MANY.split()], by=place.user)
    place.refresh_from_db()
    assert place.languages == ["en", "zh-Hans", "pt-BR"]


def test_languages_are_named_in_the_readers_language() -> None:
    codes = ("sw", "zh-Hans", "pt-BR", "fr-SN", "es-419")
    assert [name_of(code) for code in codes] == [
        "Swahili",
        "Simplified Chinese",
        "Brazilian Portuguese",
        "French (Senegal)",
        "Latin American Spanish",
    ]
    with translation.override("zh-hans"):
        assert [name_of(code) for code in ("sw", "fr-SN")] == ["斯瓦希里语", "法语 (塞内加尔)"]


def test_people_are_found_by_language_with_and_without_a_region(admin, as_admin) -> None:
    british, any_english, french = (
        MembershipFactory(project=admin.project, languages=codes) for codes in (["en-GB", "fr"], ["en"], ["fr"])
    )
    found = selectors.members(admin.project, language="en")
    assert {place.pk for place in found} == {british.pk, any_english.pk}
    assert [place.pk for place in selectors.members(admin.project, language="en-GB")] == [british.pk]
    page = as_admin.get(at("people", admin) + "?language=fr")
    assert {place.pk for place in page.context["page"].rows} == {british.pk, french.pk}
    assert '<option value="fr" selected>French</option>' in page.content.decode()
    with translation.override("zh-hans"):
        page = as_admin.get(at("people", admin), headers={"accept-language": "zh-hans"}).content.decode()
    assert "法语" in page


def test_an_invitation_brings_languages_and_a_rate(admin, as_admin) -> None:
    Project.objects.filter(pk=admin.project_id).update(currency="EUR")
    said = {"email": "maya@example.org", "role": "contractor", "languages": "en，zh-hans", "pay_rate": "18.50"}
    wrong = as_admin.post(at("person-invite", admin), {**said, "languages": "en, klingon"})
    assert wrong.status_code == 400 and "There is no language klingon" in wrong.content.decode()
    assert as_admin.post(at("person-invite", admin), {**said, "pay_rate": "-1"}).status_code == 400
    assert not Invitation.objects.exists()
    secret = as_admin.post(at("person-invite", admin), said).context["link"].rstrip("/").rsplit("/", 1)[1]
    user = services.accept_invitation(secret=secret, name="Maya", password=PASSWORD)
    place = Membership.objects.get(user=user)
    row = place.pay_rates.get()
    assert (place.languages, row.rate, row.since) == (["en", "zh-Hans"], Decimal("18.50"), pay.today())


def test_an_admin_sets_both_later_and_the_csv_has_them(admin, as_admin) -> None:
    Project.objects.filter(pk=admin.project_id).update(currency="EUR")
    place = MembershipFactory(project=admin.project)
    as_admin.post(at("person-languages", admin, place.pk), {"languages": "de, en"})
    answer = as_admin.post(at("person-pay", admin, place.pk), {"pay_rate": "-3", "since": "2026-03-02"})
    assert answer.status_code == 400 and not PayRate.objects.exists()
    as_admin.post(at("person-pay", admin, place.pk), {"pay_rate": "17.25", "since": "2026-03-02"})
    assert "17.25 EUR" in as_admin.get(at("person", admin, place.pk)).content.decode()
    page = as_admin.get(at("people", admin)).content.decode()
    assert "17.25 EUR" in page and "German, English" in page
    content = b"".join(as_admin.post(at("people-export", admin)).streaming_content).decode("utf-8-sig")
    rows = {row["e-mail"]: row for row in csv.DictReader(content.splitlines())}
    mine, theirs = rows[place.user.email], rows[admin.user.email]
    assert [mine[name] for name in ("languages", "pay rate", "currency")] == ["de en", "17.25", "EUR"]
    assert [theirs[name] for name in ("languages", "pay rate", "currency")] == ["", "", ""]
