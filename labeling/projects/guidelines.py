"""Pages of the guideline: read, write, publish, accept."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.core.errors import BadInput
from labeling.people.models import Role
from labeling.projects import guideline_diff, selectors, services
from labeling.projects.access import ProjectRequest, member
from labeling.projects.forms import GuidelineForm
from labeling.projects.models import Guideline

page = require_http_methods(["GET", "HEAD", "POST"])


@member()
@require_safe
def guideline(request: ProjectRequest, slug: str, version: int | None = None) -> HttpResponse:
    """The current version, or an earlier one, with the history."""
    history = list(selectors.published_guidelines(request.project))
    shown = next((one for one in history if version in {None, one.version}), None)
    if version is not None and shown is None:
        raise Http404
    draft = selectors.guideline_draft(request.project) if request.membership.role == Role.ADMIN else None
    context = {
        "shown": shown,
        "history": history,
        "current": history[0] if history else None,
        "accepted": selectors.has_accepted(request.user, request.project),
        "accepted_before": selectors.last_accepted(request.user, request.project),
        "earlier": next((one for one in history if shown and one.version < shown.version), None),
        "draft_differs": draft is not None and (not history or draft.whole != history[0].whole),
    }
    return render(request, "projects/guideline.html", context)


@member()
@require_safe
def guideline_changes(request: ProjectRequest, slug: str, version: int, since: int) -> HttpResponse:
    """What changed from version `since` to `version`; 0 is the draft, which admins alone may see."""
    if 0 in {version, since} and request.membership.role != Role.ADMIN:
        raise Http404
    before, after = (selectors.guideline_version(request.project, number) for number in (since, version))
    if before is None or after is None or before.pk == after.pk:
        raise Http404
    context = {"before": before, "after": after, "lines": guideline_diff.compare(before.whole, after.whole)}
    return render(request, "projects/guideline_changes.html", context)


@member(Role.ADMIN)
@page
def guideline_edit(request: ProjectRequest, slug: str) -> HttpResponse:
    """Write the draft; `preview` shows it without saving, `publish` saves and goes on to the confirmation."""
    draft = selectors.guideline_draft(request.project) or selectors.current_guideline(request.project)
    initial = {"body": draft.body, "evaluation": draft.evaluation} if draft else {}
    form = GuidelineForm(request.POST or None, initial=initial)
    preview = None
    if request.method == "POST" and form.is_valid():
        said = {name: text.replace("\r\n", "\n") for name, text in form.cleaned_data.items()}
        if "preview" in request.POST:
            preview = Guideline(**said).whole
        else:
            try:
                services.save_guideline_draft(project=request.project, by=request.user, **said)
            except BadInput as problem:
                form.add_error(problem.field or None, problem.detail)
            else:
                if "publish" in request.POST:
                    return redirect("guideline-publish", slug)
                messages.success(request, _("The draft is saved. Nobody else sees it before you publish."))
                return redirect("guideline-edit", slug)
    status = 400 if form.is_bound and not form.is_valid() else 200
    return render(request, "projects/guideline_edit.html", {"form": form, "preview": preview}, status=status)


@member(Role.ADMIN)
@page
def guideline_publish(request: ProjectRequest, slug: str) -> HttpResponse:
    """Say who must accept again, then publish."""
    if request.method == "POST":
        published = services.publish_guideline(project=request.project, by=request.user)
        messages.success(request, _("Version %(version)s is published.") % {"version": published.version})
        return redirect("guideline", slug)
    _draft, version = services.next_guideline(project=request.project)
    people = selectors.members(request.project).exclude(role=Role.ENGINEER).filter(user__is_active=True).count()
    facts = [
        _("It becomes version %(version)s and can never be changed; mistakes need another version.")
        % {"version": version},
        ngettext(
            "%(n)d person must accept it before they get more work.",
            "%(n)d people must accept it before they get more work.",
            people,
        )
        % {"n": people},
        _("Work in progress keeps the version it was begun under."),
    ]
    context = {
        "title": _("Publish this guideline?"),
        "facts": facts,
        "action": _("Publish"),
        "back": reverse("guideline-edit", args=[slug]),
    }
    return render(request, "components/confirm.html", context)


@member()
@require_POST
def guideline_accept(request: ProjectRequest, slug: str, version: int) -> HttpResponse:
    """Record that this person has read the version."""
    found = selectors.published_guidelines(request.project).filter(version=version).first()
    if found is None:
        raise Http404
    services.accept_guideline(guideline=found, user=request.user)
    messages.success(request, _("Thank you. You can begin."))
    return redirect(selectors.start_page(request.membership))
