"""One person's page, and what everybody did in a stretch of time, as a page and as a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.core.errors import BadInput
from labeling.core.filters import DayField, FilterForm
from labeling.core.models import Event
from labeling.people import erasure
from labeling.people import services as people
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.projects.exports import exported
from labeling.projects.models import Membership
from labeling.projects.pay import Pay
from labeling.projects.saved_views import filters_of
from labeling.quality.work_report import Work, work_of

COLUMNS = (
    "name", "e-mail", "labeler key", "role", "demonstrations", "comparisons", "submitted", "accepted", "returned",
    "waiting for review", "late", "active seconds", "active hours", "currency", "pay rate", "amount", "per active hour",
    "living wage", "under the living wage",
)  # fmt: skip


class PeriodForm(FilterForm):
    """Whole days, both included."""

    since = DayField(label=gettext_lazy("From"))
    until = DayField(label=gettext_lazy("To"))


def days_asked(request: ProjectRequest) -> PeriodForm:
    """The days asked for; this month (UTC) unless the address says otherwise, all of them where it leaves them empty."""
    asked = request.GET.keys() & PeriodForm.base_fields.keys()
    return PeriodForm(request.GET if asked else {"since": datetime.now(UTC).date().replace(day=1)})


def last_month() -> dict[str, date]:
    """What is usually paid for: its first and its last day (UTC)."""
    last = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    return {"since": last.replace(day=1), "until": last}


@member(Role.ADMIN)
@require_safe
def people_work(request: ProjectRequest, slug: str) -> HttpResponse:
    """What everybody did."""
    form = days_asked(request)
    rows = work_of(request.project, **form.wanted())
    context = {
        "form": form,
        "rows": rows,
        "hours": sum(row.hours for row in rows),
        "paid": any(row.pay for row in rows),
        "amount": sum((row.pay.amount for row in rows if row.pay), Decimal(0)),
        "last_month": urlencode(last_month()),
        "filters": filters_of(request.GET.urlencode()),
    }
    return render(request, "quality/people_work.html", context)


@member(Role.ADMIN)
@require_POST
def pay_report(request: ProjectRequest, slug: str) -> StreamingHttpResponse:
    """The same as a CSV file."""
    return exported(request, "pay report", lines(work_of(request.project, **days_asked(request).meant())))


def lines(rows: list[Work]) -> Iterator[tuple[object, ...]]:
    """The header, then one row a person."""
    yield COLUMNS
    for work in rows:
        place, kinds = work.membership, work.kinds
        yield (place.user.name, place.user.email, str(place.labeler_key), place.role, kinds["demonstration"], kinds["comparison"], work.submitted, work.accepted, work.returned, work.waiting, work.late, work.active_seconds, round(work.hours, 2), *pay_cells(work.pay))  # fmt: skip


def pay_cells(pay: Pay | None) -> tuple[object, ...]:
    """Currency, rate, amount, what an hour earned, the living wage, whether that is missed; all empty where no rate is set."""
    if pay is None:
        return ("",) * 6
    wage = pay.rates.living_wage
    under = "" if wage is None else "yes" if pay.is_under_living_wage else "no"
    return pay.currency, pay.rate, pay.amount, pay.hourly, wage, under


@member(Role.ADMIN)
@require_safe
def person(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """One person: their place here, what they did, what was done about them."""
    place = one(request, membership_id)
    about = Event.objects.filter(project_id=request.project.pk, object_type="projects.membership", object_id=place.pk)
    context = {
        "place": place,
        "work": work_of(request.project, membership=place)[0],
        "rates": place.pay_rates.all(),
        "events": about.select_related("actor")[:20],
        "may_close": request.user.is_staff and place.user_id != request.user.pk and place.user.erased_at is None,
    }
    return render(request, "quality/person.html", context)


@member(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def person_account(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """Close this person's account, or open it again: for platform admins, since it counts in every project."""
    place = one_account(request, membership_id)
    closing = place.user.is_active
    if request.method == "POST":
        act = people.deactivate if closing else people.reactivate
        act(user=place.user, by=request.user)
        messages.success(request, _("The account is closed.") if closing else _("The account is open again."))
        return redirect("person", slug, membership_id)
    projects = place.user.memberships.count()
    facts = [_("It counts in all %(n)d projects this person belongs to.") % {"n": projects}]
    if closing:
        facts.append(_("Their sessions and API tokens end at once. What they did stays."))
    else:
        facts.append(_("They can sign in again. Old API tokens stay revoked."))
    context = {
        "title": (_("Close the account of %(name)s?") if closing else _("Open the account of %(name)s again?"))
        % {"name": place.user},
        "facts": facts,
        "action": _("Close it") if closing else _("Open it"),
        "back": reverse("person", args=[slug, membership_id]),
        "danger": closing,
    }
    return render(request, "components/confirm.html", context)


class ErasureForm(forms.Form):
    """A check before what cannot be undone."""

    typed = forms.CharField(
        label=gettext_lazy("The person's e-mail address"),
        help_text=gettext_lazy("Write it to say that you mean this person."),
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@member(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def person_erase(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """Delete who this person is, in every project: for platform admins."""
    place = one_account(request, membership_id)
    form = ErasureForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            erasure.erase(user=place.user, by=request.user, typed=form.cleaned_data["typed"])
        except BadInput as problem:
            form.add_error("typed", problem.detail)
        else:
            messages.success(request, _("The person is erased."))
            return redirect("person", slug, membership_id)
    context = {
        "title": _("Erase who %(name)s is?") % {"name": place.user},
        "facts": [
            _(
                "Name, address, password, second factor, sessions, tokens, appeals and drafts are deleted, in every project."
            ),
            _("Their work, hours and pay stay under a random key; snapshots do not change."),
            _("This cannot be undone. Backups keep the data until they are replaced."),
        ],
        "action": _("Erase for good"),
        "back": reverse("person", args=[slug, membership_id]),
        "form": form,
        "danger": True,
    }
    return render(request, "components/confirm.html", context, status=400 if form.is_bound else 200)


def one_account(request: ProjectRequest, membership_id: int) -> Membership:
    """A member whose account is changed, for platform admins alone, since it counts in every project."""
    if not request.user.is_staff:
        raise PermissionDenied
    return one(request, membership_id)


def one(request: ProjectRequest, membership_id: int) -> Membership:
    """A member of this project; 404 for another project's."""
    rows = Membership.objects.select_related("user", "paused_by")
    return get_object_or_404(rows, project=request.project, pk=membership_id)
