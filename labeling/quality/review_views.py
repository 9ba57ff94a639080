"""The review queue: list, one piece of work, accept, return, edit, accept many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.core.errors import BadInput
from labeling.core.pagination import chunks_of, paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.projects.exports import exported
from labeling.projects.saved_views import filters_of, saved_views
from labeling.quality import review_selectors as selectors
from labeling.quality import review_services as services
from labeling.quality.models import Review
from labeling.quality.review_forms import NoteForm, OrderForm, ReviewFilter, TextForm

page = require_http_methods(["GET", "HEAD", "POST"])
COLUMNS = ("id", "prompt", "kind", "labeler", "submitted", "asked because", "state", "reviewer", "decided", "note")


@member(Role.REVIEWER)
@require_safe
def reviews(request: ProjectRequest, slug: str) -> HttpResponse:
    """The queue, filtered and paged."""
    form = ReviewFilter(request.GET or None)
    wanted = form.wanted()
    context = {
        "form": form,
        "filtered": wanted != {"state": Review.State.WAITING},
        "filters": filters_of(request.GET.urlencode()),
        "saved": saved_views(request.project, request.user, "reviews"),
        "page": paginate(request, selectors.listed(selectors.queue(request.project, **wanted))),
        "counts": selectors.counts(request.project),
        "waiting": wanted["state"] == Review.State.WAITING,
    }
    return render(request, "quality/reviews.html", context)


@member(Role.REVIEWER)
@require_POST
def reviews_export(request: ProjectRequest, slug: str) -> StreamingHttpResponse:
    """The reviews that the filters match, as a CSV file, oldest first."""
    rows = selectors.queue(request.project, **ReviewFilter(request.GET).meant())
    return exported(request, "reviews", lines(rows.select_related("reviewer")))


def lines(rows: QuerySet[Review]) -> Iterator[tuple[object, ...]]:
    """The header, then one row a review."""
    yield COLUMNS
    for row in chain.from_iterable(chunks_of(rows)):
        decided = row.decided_at.isoformat() if row.decided_at else ""
        yield (str(row.public_id), row.prompt.summary, row.kind, str(row.labeler), row.work.created_at.isoformat(), row.reason, row.state, str(row.reviewer or ""), decided, row.note)  # fmt: skip


@member(Role.REVIEWER)
@require_safe
def review(request: ProjectRequest, slug: str, review: UUID) -> HttpResponse:
    """One piece of work as its author saw it, and the decision."""
    found = selectors.one(request.project, review)
    return screen(request, found, NoteForm(initial={"note": found.note}))


def screen(request: ProjectRequest, found: Review, form: NoteForm) -> HttpResponse:
    """The review page with this state of the note."""
    work = found.work
    context = {
        "review": found,
        "work": work,
        "prompt": found.prompt,
        "prompt_flags": selectors.prompt_flag_words(work),
        "responses": selectors.responses(found),
        "form": form,
        "is_own": found.labeler_id == request.user.pk,
        "frozen": work.snapshots.exists(),
    }
    return render(request, "quality/review.html", context, status=400 if form.is_bound else 200)


@member(Role.REVIEWER)
@require_POST
def review_accept(request: ProjectRequest, slug: str, review: UUID) -> HttpResponse:
    """Accept and go on."""
    found = selectors.one(request.project, review)
    services.accept(review=found, by=request.user)
    return go_on(request, found, _("Accepted."))


@member(Role.REVIEWER)
@require_POST
def review_return(request: ProjectRequest, slug: str, review: UUID) -> HttpResponse:
    """Return with a note and go on."""
    found = selectors.one(request.project, review)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return screen(request, found, form)
    services.return_work(review=found, note=form.cleaned_data["note"], by=request.user)
    return go_on(request, found, _("Returned to %(author)s.") % {"author": found.labeler})


@member(Role.REVIEWER)
@page
def review_edit(request: ProjectRequest, slug: str, review: UUID) -> HttpResponse:
    """Put a better revision in its place."""
    found = selectors.one(request.project, review)
    responses = selectors.responses(found)
    data = request.POST or None
    form: Any = (
        OrderForm(
            data,
            responses=responses,
            asks_strength=request.project.asks_strength,
            initial={"strength": found.ranking.strength},
        )
        if found.ranking
        else TextForm(data, initial=text_of(found))
    )
    if request.method == "POST" and form.is_valid():
        try:
            if found.ranking:
                strength = form.cleaned_data.get("strength")
                services.edit_ranking(review=found, tiers=form.tiers(), strength=strength, by=request.user)
            else:
                text = form.cleaned_data["text"].replace("\r\n", "\n")
                services.edit_demonstration(review=found, text=text, by=request.user)
        except BadInput as problem:
            form.add_error(None, problem.detail)
        else:
            return go_on(request, found, _("Your revision stands in its place, accepted."))
    context = {"review": found, "prompt": found.prompt, "form": form, "responses": responses}
    return render(request, "quality/review_edit.html", context, status=400 if form.is_bound else 200)


def text_of(review: Review) -> dict[str, str]:
    """What the editor starts with."""
    return {"text": review.demonstration.text if review.demonstration else ""}


@member(Role.REVIEWER)
@page
def reviews_accept(request: ProjectRequest, slug: str) -> HttpResponse:
    """Say how many would be accepted; accept them. `id` names some, `scope=all` means all that match the filters."""
    rows = chosen(request)
    if request.method == "POST":
        number = services.accept_all(
            project=request.project, reviews=rows.values_list("pk", flat=True), by=request.user
        )
        messages.success(request, ngettext("%(n)d accepted.", "%(n)d accepted.", number) % {"n": number})
        return redirect("reviews", slug)
    number, own = rows.count(), rows.filter(labeler=request.user).count()
    back = f"{reverse('reviews', args=[slug])}?{filters_of(request.GET.urlencode())}"
    if number == own:
        messages.warning(request, _("Choose work of others that waits: none is ticked."))
        return redirect(back)
    facts = [
        ngettext("%(n)d piece of work will be accepted.", "%(n)d pieces of work will be accepted.", number - own)
        % {"n": number - own}
    ]
    if own:
        facts.append(ngettext("%(n)d is your own: somebody else reviews that.", "%(n)d are your own: somebody else reviews those.", own) % {"n": own})  # fmt: skip
    facts.append(_("Snapshots may hold it from then on. You can still return each of them later."))
    context = {
        "title": _("Accept without opening them?"),
        "facts": facts,
        "action": _("Accept %(n)d") % {"n": number - own},
        "back": back,
    }
    return render(request, "components/confirm.html", context)


def chosen(request: ProjectRequest) -> Any:
    """The waiting reviews that the address names, or all that its filters match."""
    rows = selectors.queue(request.project, **{**ReviewFilter(request.GET).meant(), "state": Review.State.WAITING})
    if request.GET.get("scope") == "all":
        return rows
    return rows.filter(pk__in=[int(one) for one in request.GET.getlist("id") if one.isascii() and one.isdigit()][:1000])


def go_on(request: ProjectRequest, found: Review, said: str) -> HttpResponse:
    """Say what happened and open the next one that waits."""
    messages.success(request, said)
    following = selectors.next_waiting(request.project, found, request.user)
    if following is None:
        return redirect("reviews", request.project.slug)
    return redirect("review", request.project.slug, following.public_id)
