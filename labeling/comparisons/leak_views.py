"""What the leak filter has held back: list, release, keep out."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from labeling.comparisons import held_back
from labeling.comparisons.models import HeldBack
from labeling.core.errors import BadInput
from labeling.core.filters import FilterForm
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.projects.saved_views import filters_of, saved_views

PAGE = 20
AROUND = 160  # characters shown on each side of the words


class LeakFilter(FilterForm):
    """Filters of the list; they live in the address."""

    text = forms.CharField(
        required=False, max_length=100, label=gettext_lazy("Words"), widget=forms.TextInput(attrs={"type": "search"})
    )
    state = forms.ChoiceField(
        required=False,
        label=gettext_lazy("State"),
        choices=[("", gettext_lazy("Every state")), *HeldBack.State.choices],
    )


@member(Role.ENGINEER)
@require_safe
def leaks(request: ProjectRequest, slug: str) -> HttpResponse:
    """Completions that were held back, with the words that gave them away marked."""
    form = LeakFilter(request.GET or None)
    wanted = form.wanted()
    page = paginate(request, held_back.listed(request.project, **wanted), size=PAGE)
    context = {
        "form": form,
        "filtered": bool(wanted),
        "filters": filters_of(request.GET.urlencode()),
        "saved": saved_views(request.project, request.user, "leaks"),
        "page": page,
        "rows": [(row, marked(row.completion.text, row.words)) for row in page],
        "may_decide": request.membership.role == Role.ADMIN,
    }
    return render(request, "comparisons/leaks.html", context)


def marked(text: str, words: str) -> SafeString:
    """The surroundings of the words, escaped, with the words in a `<mark>`."""
    at = text.find(words) if words else -1
    if at < 0:
        return format_html("{}", text[: 2 * AROUND])
    end = at + len(words)
    before, after = text[max(0, at - AROUND) : at], text[end : end + AROUND]
    dots = ("…" if at > AROUND else "", "…" if len(text) > end + AROUND else "")
    return format_html("{}{}<mark>{}</mark>{}{}", dots[0], before, words, after, dots[1])


def chosen(request: ProjectRequest) -> QuerySet[HeldBack]:
    """What the address names by `id`, or with `scope=all` everything its filters match."""
    rows = held_back.listed(request.project, **LeakFilter(request.GET).meant())
    if request.GET.get("scope") == "all":
        return rows
    return rows.filter(pk__in=[int(one) for one in request.GET.getlist("id") if one.isascii() and one.isdigit()][:1000])


@member(Role.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def leaks_decide(request: ProjectRequest, slug: str) -> HttpResponse:
    """Say how many a decision would change; decide."""
    decision, rows = request.GET.get("decision", ""), chosen(request)
    if decision not in held_back.DECISIONS:
        raise BadInput(_("Choose what to do with them."), field="decision")
    back = f"{reverse('leaks', args=[slug])}?{filters_of(request.GET.urlencode())}"
    if request.method == "POST":
        number = held_back.decide(project=request.project, rows=rows, decision=decision, by=request.user)
        messages.success(request, ngettext("%(n)d completion changed.", "%(n)d completions changed.", number) % {"n": number})  # fmt: skip
        return redirect(back)
    number = rows.exclude(state=held_back.DECISIONS[decision]).count()
    if not number:
        messages.warning(request, _("Nothing would change: tick completions for which you decide otherwise."))
        return redirect(back)
    releasing = decision == "release"
    counted = ngettext("%(n)d completion will change.", "%(n)d completions will change.", number) % {"n": number}
    effect = (
        _("Labelers will see these texts and may guess the model.")
        if releasing
        else _("They are never compared; runs and snapshots are not touched.")
    )
    context = {
        "title": _("Release these completions?") if releasing else _("Keep these completions out?"),
        "facts": [counted, effect, _("You can decide otherwise later.")],
        "action": _("Release them") if releasing else _("Keep them out"),
        "back": back,
        "danger": releasing,
    }
    return render(request, "components/confirm.html", context)
