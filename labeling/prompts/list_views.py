"""Pages about many prompts: filter, change many at once, export, decide about quarantined ones."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.core import audit
from labeling.core.errors import BadInput, NotFound
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.projects.saved_views import filters_of, saved_views
from labeling.prompts import bulk, export, quarantine, selectors
from labeling.prompts.findings import name_of
from labeling.prompts.forms import CategoryForm, FindingFilter, PromptFilter
from labeling.prompts.models import Prompt

page = require_http_methods(["GET", "HEAD", "POST"])
QUARANTINE_PAGE = 20
DECIDED = {
    "accept": ngettext_lazy("%(n)d let in", "%(n)d let in", "n"),
    "redact": ngettext_lazy("%(n)d redacted and let in", "%(n)d redacted and let in", "n"),
    "reject": ngettext_lazy("%(n)d withdrawn", "%(n)d withdrawn", "n"),
    "same": ngettext_lazy(
        "%(n)d withdrawn: redacted it repeats another prompt",
        "%(n)d withdrawn: redacted they repeat other prompts",
        "n",
    ),
}


@member(Role.ENGINEER)
@require_safe
def prompts(request: ProjectRequest, slug: str) -> HttpResponse:
    """The list, filtered and paged."""
    form = PromptFilter(request.GET or None, project=request.project)
    wanted = form.wanted()
    context = {
        "form": form,
        "filtered": bool(wanted),
        "filters": filters_of(request.GET.urlencode()),
        "saved": saved_views(request.project, request.user, "prompts"),
        "actions": bulk.ACTIONS,
        "page": paginate(request, selectors.prompts(request.project, **wanted)),
        "counts": selectors.counts(request.project),
    }
    return render(request, "prompts/prompts.html", context)


def chosen(request: ProjectRequest) -> QuerySet[Prompt]:
    """The prompts the address names by `id`, or with `scope=all` every one that its filters match."""
    rows = selectors.prompts(request.project, **PromptFilter(request.GET, project=request.project).meant())
    return rows if request.GET.get("scope") == "all" else rows.filter(pk__in=ids(request.GET))


def ids(query: QueryDict) -> list[int]:
    """What was ticked."""
    return [int(one) for one in query.getlist("id") if one.isascii() and one.isdigit() and len(one) < 19][:1000]


@member(Role.ADMIN)
@page
def prompts_bulk(request: ProjectRequest, slug: str) -> HttpResponse:
    """Say what an action would change among the chosen prompts; change it."""
    action, rows = request.GET.get("action", ""), chosen(request)
    form = CategoryForm(request.POST or None) if action == "categorise" else None
    back = f"{reverse('prompts', args=[slug])}?{filters_of(request.GET.urlencode())}"
    if request.method == "POST" and (form is None or form.is_valid()):
        category = form.cleaned_data["category"] if form else ""
        number = bulk.change(project=request.project, rows=rows, action=action, by=request.user, category=category)
        messages.success(request, ngettext("%(n)d prompt changed.", "%(n)d prompts changed.", number) % {"n": number})
        return redirect(back)
    counts = bulk.counts(rows, action)
    if not counts["changed"]:
        messages.warning(request, nothing_to_do(counts["chosen"]))
        return redirect(back)
    title = ngettext("%(action)s: %(n)d prompt?", "%(action)s: %(n)d prompts?", counts["changed"])
    context = {
        "title": title % {"action": bulk.ACTIONS[action], "n": counts["changed"]},
        "facts": facts(action, counts),
        "action": bulk.ACTIONS[action],
        "back": back,
        "form": form,
        "danger": action == "withdraw",
    }
    return render(request, "components/confirm.html", context, status=400 if request.method == "POST" else 200)


def nothing_to_do(chosen: int) -> str:
    """Why an action is not asked about."""
    return _("Those prompts are in that state already.") if chosen else _("Choose prompts first: none is ticked.")


def facts(action: str, counts: dict[str, int]) -> list[str]:
    """The sentences of the confirmation."""
    said = [
        ngettext("%(n)d prompt is chosen.", "%(n)d prompts are chosen.", counts["chosen"]) % {"n": counts["chosen"]},
        ngettext("%(n)d of them will change.", "%(n)d of them will change.", counts["changed"])
        % {"n": counts["changed"]},
    ]
    if action == "withdraw":
        said.append(_("%(n)d of those have open tasks, which stay: withdraw their batches to stop them.") % {"n": counts["with_tasks"]})  # fmt: skip
        said.append(_("They get no new tasks and enter no snapshot. You can let them in again."))
    if action == "restore" and counts["personal"]:
        said.append(_("%(n)d are in quarantine: labelers and the policy will see what hygiene found in them.") % {"n": counts["personal"]})  # fmt: skip
    return said


@member(Role.ENGINEER)
@require_POST
def prompts_export(request: ProjectRequest, slug: str, fmt: str) -> HttpResponseBase:
    """The prompts that the filters match, as a file that an import takes again; quarantined ones only where asked for."""
    if fmt not in export.FORMATS:
        raise NotFound(_("Prompts are exported as JSONL or CSV."))
    wanted = PromptFilter(request.GET, project=request.project).meant()
    rows = selectors.prompts(request.project, **wanted)
    if not wanted.get("state"):
        rows = rows.filter(state=Prompt.State.ACTIVE)
    audit.record("exported prompts", request.project, by=request.user, after={"format": fmt, "filters": wanted})
    answer = StreamingHttpResponse(export.lines(rows, fmt), content_type=f"{export.FORMATS[fmt]}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{slugify(request.project.name) or "project"}-prompts.{fmt}"'
    return answer


@member(Role.ADMIN)
@require_safe
def quarantined(request: ProjectRequest, slug: str) -> HttpResponse:
    """What hygiene has set aside, with its findings marked."""
    form = FindingFilter(request.GET or None)
    wanted = form.wanted()
    found = paginate(request, quarantine.quarantined(request.project, **wanted), size=QUARANTINE_PAGE)
    context = {
        "form": form,
        "filtered": bool(wanted),
        "page": found,
        "waiting": quarantine.quarantined(request.project, **wanted).count(),
        "rows": [quarantine.set_aside(prompt) for prompt in found],
    }
    return render(request, "prompts/quarantine.html", context)


@member(Role.ADMIN)
@page
def quarantine_decide(request: ProjectRequest, slug: str) -> HttpResponse:
    """Say what deciding would do to the chosen prompts; decide."""
    decision, kind = request.GET.get("decision", ""), request.GET.get("kind", "")
    if decision not in quarantine.DECISIONS:
        raise BadInput(_("Choose what to do with them."), field="decision")
    rows = quarantine.quarantined(request.project, kind=kind)
    if request.GET.get("scope") != "all":
        rows = rows.filter(pk__in=ids(request.GET))
    back = f"{reverse('prompts-quarantine', args=[slug])}?{filters_of(request.GET.urlencode())}"
    if request.method == "POST":
        counts = quarantine.decide(
            project=request.project, prompts=rows.values_list("pk", flat=True), decision=decision, by=request.user
        )
        said = [DECIDED[name] % {"n": number} for name, number in counts.items()] or [_("nothing was waiting any more")]
        messages.success(request, "; ".join(said) + ".")
        return redirect(back)
    found = quarantine.kinds_found(rows)
    if not found.prompts:
        messages.warning(request, _("Choose prompts first: none is ticked."))
        return redirect(back)
    context: dict[str, Any] = {"back": back, "danger": decision == "reject", **words(decision, found)}
    return render(request, "components/confirm.html", context)


def words(decision: str, found: quarantine.Found) -> dict[str, Any]:
    """The confirmation of a decision."""
    n = found.prompts
    said = {
        "accept": (
            ngettext("Let %(n)d prompt in as it is?", "Let %(n)d prompts in as they are?", n),
            _("Let in"),
            _("Labelers and the policy will see what hygiene found in them."),
        ),
        "redact": (
            ngettext("Redact %(n)d prompt and let it in?", "Redact %(n)d prompts and let them in?", n),
            _("Redact and let in"),
            _("Every finding becomes its kind in brackets, such as [e-mail]; the original text is not kept."),
        ),
        "reject": (
            ngettext("Withdraw %(n)d prompt?", "Withdraw %(n)d prompts?", n),
            _("Withdraw"),
            _("They get no tasks and enter no snapshot. You can restore them later."),
        ),
    }
    title, action, fact = said[decision]
    listed = _("Found: %(kinds)s.") % {"kinds": ", ".join(f"{name_of(kind)} ({m})" for kind, m in found.kinds.items())}
    return {"title": title % {"n": n}, "action": action, "facts": [listed, fact]}
