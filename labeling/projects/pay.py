"""What an hour of active time pays: rates with the day they begin, in the project's one currency. All of it is Decimal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from labeling.core import audit
from labeling.core.errors import BadInput, Conflict
from labeling.people.models import User
from labeling.projects.currencies import smallest
from labeling.projects.models import Membership, PayRate, Project

HOUR = 3600
AHEAD = timedelta(days=366)


def rounded(value: Decimal, currency: str) -> Decimal:
    """The amount in whole cents (or the currency's smallest unit), half a cent up."""
    return value.quantize(smallest(currency), rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Rates:
    """The rates of one person: (first day, amount per hour or None for none), by day, and what they are compared with."""

    currency: str
    living_wage: Decimal | None
    steps: tuple[tuple[date, Decimal | None], ...]

    def on(self, day: date) -> Decimal | None:
        """The rate of a day (UTC); None where none holds."""
        return next((rate for since, rate in reversed(self.steps) if since <= day), None)

    def paid(self, seconds: Mapping[date, int], *, until: date | None = None) -> Pay | None:
        """What active seconds earn, by day or by the first day of a stretch without a change; None where no rate holds, neither on one of the days nor on `until`."""
        last = until or max(seconds, default=today())
        rate = self.on(last)
        worth, is_rated = Decimal(0), rate is not None
        for day, number in seconds.items():
            if (held := self.on(day)) is not None:
                worth, is_rated = worth + number * held, True
        return Pay(self, rate, sum(seconds.values()), worth) if is_rated else None


@dataclass(frozen=True)
class Pay:
    """What a stretch of active time earns. `rate` is the one at its end; `worth` is the sum of seconds times rate."""

    rates: Rates
    rate: Decimal | None
    seconds: int
    worth: Decimal

    @property
    def currency(self) -> str:
        """An ISO 4217 code."""
        return self.rates.currency

    @property
    def amount(self) -> Decimal:
        """Active hours times rate, day by day; rounded once, at the end."""
        return rounded(self.worth / HOUR, self.currency)

    @property
    def hourly(self) -> Decimal | None:
        """What an active hour earned in effect: it differs from the rate where that changed, or began later."""
        return rounded(self.worth / self.seconds, self.currency) if self.seconds else None

    @property
    def is_under_living_wage(self) -> bool:
        """Whether the rate, or what an hour earned in effect, is under the project's living wage."""
        wage = self.rates.living_wage
        if wage is None:
            return False
        under = self.rate is not None and self.rate < wage
        return under or (self.seconds > 0 and self.worth < wage * self.seconds)


def today() -> date:
    """The day (UTC) on which a rate set now begins."""
    return datetime.now(UTC).date()


def rates_of(project: Project, membership: Membership | None = None) -> dict[int, Rates]:
    """The rates of everybody here who has one, or of one of them, by membership."""
    rows = PayRate.objects.filter(membership__project=project).order_by("since")
    if membership is not None:
        rows = rows.filter(membership=membership)
    steps = defaultdict(list)
    for place, since, rate in rows.values_list("membership", "since", "rate"):
        steps[place].append((since, rate))
    return {place: Rates(project.currency, project.living_wage, tuple(found)) for place, found in steps.items()}


def check_rate(project: Project, rate: Decimal | None) -> None:
    """BadInput for a rate that no column can hold, Conflict while the project has no currency."""
    if rate is None:
        return
    try:
        PayRate._meta.get_field("rate").clean(rate, None)
    except ValidationError as problem:
        raise BadInput(_("That is no pay rate: %(why)s") % {"why": problem.messages[0]}, field="pay_rate") from problem
    if not project.currency:
        raise Conflict(_("Choose the project's currency in its settings first."), field="pay_rate")


def check_currency(project: Project, *, before: str) -> None:
    """Refuse another currency once rates are set in the old one, and a living wage in none."""
    if before != project.currency and PayRate.objects.filter(membership__project=project.pk).exists():
        raise Conflict(_("The currency cannot change any more: pay rates are set in it."), field="currency")
    if project.living_wage is not None and not project.currency:
        raise BadInput(_("Choose the currency that the living wage is in."), field="currency")


@transaction.atomic
def set_pay_rate(*, membership: Membership, rate: Decimal | None, by: User, since: date | None = None) -> PayRate:
    """Pay this much for an active hour from the day `since` on (today, UTC), or no more where `rate` is None.

    Earlier days keep their rate; setting one for the same day again replaces it. Raises BadInput for a wrong rate or day.
    """
    since = since or today()
    if since > today() + AHEAD:
        raise BadInput(_("A rate begins a year from now at the latest."), field="since")
    project = Project.objects.select_for_update(no_key=True).get(pk=membership.project_id)  # its currency stays
    check_rate(project, rate)
    found = PayRate.objects.select_for_update().filter(membership=membership, since=since).first()
    before = {"pay_rate": as_text(found.rate)} if found else {}
    row, _new = PayRate.objects.update_or_create(
        membership=membership, since=since, defaults={"rate": rate, "set_by": by}
    )
    after = {"pay_rate": as_text(rate), "currency": project.currency, "since": since.isoformat()}
    audit.record("set pay rate", membership, by=by, before=before, after=after)
    return row


def as_text(rate: Decimal | None) -> str:
    """For the audit log."""
    return "none" if rate is None else f"{rate:.2f}"
