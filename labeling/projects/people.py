"""Pages about the people of a project, and the page behind an invitation's link."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.core.errors import BadInput, Conflict
from labeling.core.pagination import chunks_of, paginate
from labeling.people.models import Role, User
from labeling.projects import invitations, pay, selectors, services
from labeling.projects.access import ProjectRequest, member
from labeling.projects.exports import exported
from labeling.projects.forms import AcceptInvitationForm, InviteForm, MembersFilter, PauseForm, RoleForm
from labeling.projects.languages import spoken
from labeling.projects.models import Invitation, Membership, Project
from labeling.projects.saved_views import filters_of, saved_views
from labeling.projects.standing import Score, standings

page = require_http_methods(["GET", "HEAD", "POST"])
COLUMNS = ("name", "e-mail", "labeler key", "role", "state", "paused because", "since", "simulated", "account", "languages", "pay rate", "currency", "screening agreement", "screening flags", "screening grade", "active hours this month")  # fmt: skip


@member(Role.ADMIN)
@require_safe
def people(request: ProjectRequest, slug: str) -> HttpResponse:
    """Members, filtered and paged, and the open invitations."""
    form = MembersFilter(request.GET or None, languages=spoken(request.project))
    wanted = form.wanted()
    rows = paginate(request, selectors.members(request.project, **wanted))
    context = {
        "form": form,
        "filtered": bool(wanted),
        "filters": filters_of(request.GET.urlencode()),
        "saved": saved_views(request.project, request.user, "people"),
        "page": rows,
        "standings": standings(request.project, rows.rows),
        "rates": rates_today(request.project),
        "invitations": paginate(
            request, invitations.usable(request.project).select_related("invited_by"), size=20, name="invitations"
        ),
    }
    return render(request, "projects/people.html", context)


@member(Role.ADMIN)
@require_POST
def people_export(request: ProjectRequest, slug: str) -> StreamingHttpResponse:
    """The members that the filters match, as a CSV file, in the order in which they joined."""
    form = MembersFilter(request.GET, languages=spoken(request.project))
    rows = selectors.members(request.project, **form.meant())
    return exported(request, "people", lines(request.project, rows, rates_today(request.project)))


def rates_today(project: Project) -> dict[int, Decimal]:
    """What an hour pays today, by membership; nobody without a rate."""
    found = ((place, rates.on(pay.today())) for place, rates in pay.rates_of(project).items())
    return {place: rate for place, rate in found if rate is not None}


def lines(project: Project, places: QuerySet[Membership], rates: dict[int, Decimal]) -> Iterator[tuple[object, ...]]:
    """The header, then one row a person; the currency only beside a rate. Shares are from 0 to 1, grades from 1 to 7."""
    yield COLUMNS
    pairs = ((place, found[place.pk]) for chunk in chunks_of(places) for found in [standings(project, chunk)] for place in chunk)  # fmt: skip
    for place, standing in pairs:
        user, rate = place.user, rates.get(place.pk)
        yield (user.name, user.email, str(place.labeler_key), place.role, place.state, place.paused_reason, place.created_at.isoformat(), "yes" if user.is_simulated else "no", "open" if user.is_active else "closed", " ".join(place.languages), rate, project.currency if rate is not None else "", *score_cells(standing.score), round(standing.hours, 2))  # fmt: skip


def score_cells(score: Score | None) -> list[object]:
    """Agreement, right flags and mean grade with three digits; empty where there is none."""
    figures = [score.agreement, score.flagging, score.grade] if score else [None] * 3
    return ["" if figure is None else round(figure, 3) for figure in figures]


@member(Role.ADMIN)
@page
def person_invite(request: ProjectRequest, slug: str) -> HttpResponse:
    """Invite somebody; the link is on the answer to this POST and nowhere else."""
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            invitation, secret = services.invite(project=request.project, by=request.user, **form.cleaned_data)
        except (BadInput, Conflict) as problem:
            form.add_error(problem.field or None, problem.detail)
        else:
            link = request.build_absolute_uri(reverse("invitation", args=[secret]))
            return render(request, "projects/invited.html", {"invitation": invitation, "link": link})
    return render(request, "projects/invite.html", {"form": form}, status=400 if form.is_bound else 200)


@member(Role.ADMIN)
@require_POST
def invitation_revoke(request: ProjectRequest, slug: str, invitation_id: int) -> HttpResponse:
    """Withdraw an invitation."""
    invitation = get_object_or_404(Invitation, project=request.project, pk=invitation_id)
    services.revoke_invitation(invitation=invitation, by=request.user)
    messages.success(request, _("The invitation of %(email)s no longer works.") % {"email": invitation.email})
    return redirect("people", slug)


@member(Role.ADMIN)
@page
def person_role(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """Give a member another role."""
    place = member_of(request, membership_id)
    form = RoleForm(request.POST or None, initial={"role": place.role})
    if request.method == "POST" and form.is_valid():
        place = services.change_role(membership=place, role=form.cleaned_data["role"], by=request.user)
        messages.success(
            request, _("%(user)s has the role %(role)s.") % {"user": place.user, "role": place.get_role_display()}
        )
        return redirect("people", slug)
    facts = [
        _("Now: %(role)s.") % {"role": place.get_role_display()},
        _("It holds from the next page they open. What they did stays theirs."),
    ]
    title = _("Change the role of %(user)s") % {"user": place.user}
    return confirm(request, title, facts, _("Change it"), form=form)


@member(Role.ADMIN)
@page
def person_pause(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """Hand somebody no more work."""
    place = member_of(request, membership_id)
    form = PauseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        services.pause_member(membership=place, reason=form.cleaned_data["reason"], by=request.user)
        messages.success(request, _("%(user)s is paused.") % {"user": place.user})
        return redirect("people", slug)
    facts = (
        [_("They get no new work."), _("What they have begun can still be handed in; what they did stays.")]
        if place.role == Role.CONTRACTOR
        else [_("They and their API tokens can open nothing of this project."), _("What they did stays.")]
    )
    return confirm(request, _("Pause %(user)s?") % {"user": place.user}, facts, _("Pause"), form=form)


@member(Role.ADMIN)
@require_POST
def person_resume(request: ProjectRequest, slug: str, membership_id: int) -> HttpResponse:
    """Let somebody work again."""
    place = services.resume_member(membership=member_of(request, membership_id), by=request.user)
    messages.success(request, _("%(user)s can work.") % {"user": place.user})
    return redirect("people", slug)


def member_of(request: ProjectRequest, membership_id: int) -> Membership:
    """A member of this project; 404 for another project's."""
    return get_object_or_404(Membership.objects.select_related("user"), project=request.project, pk=membership_id)


def confirm(request: ProjectRequest, title: str, facts: list[str], action: str, **more: Any) -> HttpResponse:
    """The page before a change to a person."""
    back = reverse("people", args=[request.project.slug])
    status = 400 if request.method == "POST" else 200
    context = {"title": title, "facts": facts, "action": action, "back": back, **more}
    return render(request, "components/confirm.html", context, status=status)


@never_cache
@page
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Where the link leads: set a name and a password, or join with the account one has."""
    found = invitations.find(secret)
    known = User.objects.filter(email__iexact=found.email).first()
    form = AcceptInvitationForm(request.POST or None) if known is None else None
    if request.method == "POST" and (form is None or form.is_valid()):
        try:
            user = request.user if request.user.is_authenticated else None
            said = form.cleaned_data if form else {}
            services.accept_invitation(secret=secret, user=user, **said)
        except BadInput as problem:
            if form is None:
                raise
            form.add_error(problem.field or None, problem.detail)
        else:
            if known is None:
                messages.success(request, _("Your account is ready. Sign in with it."))
                return redirect("account_login")
            messages.success(request, _("You are in %(project)s.") % {"project": found.project})
            return redirect("projects")
    context = {
        "invitation": found,
        "form": form,
        "known": known,
        "is_theirs": known is not None and known.pk == request.user.pk,
    }
    status = 400 if form is not None and form.is_bound else 200
    return render(request, "projects/invitation.html", context, status=status)
