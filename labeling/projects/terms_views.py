"""Pages on which an admin sets what a member works in and what an hour of theirs pays."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from labeling.core.errors import BadInput, Conflict
from labeling.people.models import Role
from labeling.projects import languages, pay
from labeling.projects.access import ProjectRequest, member
from labeling.projects.models import Membership
from labeling.projects.terms_forms import LanguagesForm, PayForm

page = require_http_methods(["GET", "HEAD", "POST"])


@member(Role.ADMIN)
@page
def person_languages(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """Write down what a member works in."""
    place = one(request, membership_id)
    form = LanguagesForm(request.POST or None, initial={"languages": ", ".join(place.languages)})
    if request.method == "POST" and form.is_valid():
        languages.set_languages(membership=place, languages=form.cleaned_data["languages"], by=request.user)
        messages.success(request, _("Saved."))
        return redirect("person", slug, membership_id)
    return ask(request, place, _("Languages of %(user)s") % {"user": place.user}, [], form)


@member(Role.ADMIN)
@page
def person_pay(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """Set what an hour of a member's active time pays, from a day on."""
    place = one(request, membership_id)
    known = pay.rates_of(request.project, place).get(place.pk)
    # A first rate usually holds for all that was done; a later one from now on.
    initial = {
        "pay_rate": known.on(pay.today()) if known else None,
        "since": pay.today() if known else place.created_at.date(),
    }
    form = PayForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        rate, since = form.cleaned_data["pay_rate"], form.cleaned_data["since"]
        try:
            pay.set_pay_rate(membership=place, rate=rate, since=since, by=request.user)
        except (BadInput, Conflict) as problem:
            form.add_error(problem.field or None, problem.detail)
        else:
            messages.success(request, _("Saved."))
            return redirect("person", slug, membership_id)
    facts = [_("The person reads it, with what it comes to, beside their hours.")]
    if currency := request.project.currency:
        facts.append(_("The currency is %(currency)s.") % {"currency": currency})
    return ask(request, place, _("Pay rate of %(user)s") % {"user": place.user}, facts, form)


def one(request: ProjectRequest, membership_id: int) -> Membership:
    """A member of this project; 404 for another project's."""
    return get_object_or_404(Membership.objects.select_related("user"), project=request.project, pk=membership_id)


def ask(request: ProjectRequest, place: Membership, title: str, facts: list[str], form: forms.Form) -> HttpResponse:
    """The page with the form."""
    back = reverse("person", args=[request.project.slug, place.pk])
    context = {"title": title, "facts": facts, "action": _("Save"), "back": back, "form": form}
    return render(request, "components/confirm.html", context, status=400 if form.is_bound else 200)
