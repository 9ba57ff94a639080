"""Keeping the filters of a list under a name: one person's own, in one project."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling.core.errors import BadInput, NotFound
from labeling.people.models import Role, User
from labeling.projects.access import ProjectRequest, member
from labeling.projects.models import Project, SavedView

MOST = 30
NOT_A_FILTER = {"before", "after", "id", "scope", "action", "decision", "csrfmiddlewaretoken"}


def saved_views(project: Project, user: User, page: str) -> QuerySet[SavedView]:
    """This person's views of a list, by name."""
    return SavedView.objects.filter(project=project, user=user, page=page)


def filters_of(query: str) -> str:
    """The query string without empty fields and without the place in the list."""
    pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=False)
    return urlencode([(name, value) for name, value in pairs if name not in NOT_A_FILTER])


@transaction.atomic
def save_view(*, project: Project, user: User, page: str, name: str, query: str) -> SavedView:
    """Keep filters under a name, over an earlier view of that name; BadInput when there is nothing to keep."""
    name, query = checked_name(name), filters_of(query)
    if page not in SavedView.List.values:
        raise BadInput(_("There is no such list."), field="page")
    if not query or len(query) > 1000:
        raise BadInput(_("Filter the list first, then save the view."), field="query")
    mine = saved_views(project, user, page)
    if mine.exclude(name=name).count() >= MOST:
        raise BadInput(_("You have %(most)d views of this list: delete one first.") % {"most": MOST}, field="name")
    view, _fresh = SavedView.objects.update_or_create(
        project=project, user=user, page=page, name=name, defaults={"query": query}
    )
    return view


def checked_name(name: str) -> str:
    """The name with single spaces; BadInput when it is empty or too long."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 60:
        raise BadInput(_("Give the view a name of at most 60 characters."), field="name")
    return name


@transaction.atomic
def rename_view(*, project: Project, user: User, view: int, name: str) -> SavedView:
    """Give one of one's own views another name; BadInput when another view of the list has it."""
    found = SavedView.objects.select_for_update().filter(project=project, user=user, pk=view).first()
    if found is None:
        raise NotFound(_("There is no such view among yours."))
    name = checked_name(name)
    if saved_views(project, user, found.page).filter(name=name).exclude(pk=view).exists():
        raise BadInput(_("Another view of this list is called “%(name)s”.") % {"name": name}, field="name")
    found.name = name
    found.save(update_fields=["name"])
    return found


@member(Role.REVIEWER, Role.ENGINEER)
@require_POST
def view_save(request: ProjectRequest, slug: str) -> HttpResponse:
    """Keep the filters of the list one comes from."""
    said = {name: request.POST.get(name, "") for name in ("page", "name", "query")}
    earlier = saved_views(request.project, request.user, said["page"]).filter(name=" ".join(said["name"].split()))
    is_there = earlier.exists()
    view = save_view(project=request.project, user=request.user, **said)
    told = _("The view “%(name)s” has these filters now.") if is_there else _("The view “%(name)s” is saved.")
    messages.success(request, told % {"name": view.name})
    return redirect(address_of(view, slug))


@member(Role.REVIEWER, Role.ENGINEER)
@require_POST
def view_rename(request: ProjectRequest, slug: str, view: int) -> HttpResponse:
    """Call one of one's own views something else."""
    name = request.POST.get("name", "")
    renamed = rename_view(project=request.project, user=request.user, view=view, name=name)
    messages.success(request, _("The view is called “%(name)s” now.") % {"name": renamed.name})
    return redirect(address_of(renamed, slug))


def address_of(view: SavedView, slug: str) -> str:
    """The list with the filters of the view."""
    return f"{reverse(view.page, args=[slug])}?{view.query}"


@member(Role.REVIEWER, Role.ENGINEER)
@require_POST
def view_delete(request: ProjectRequest, slug: str, view: int) -> HttpResponse:
    """Forget one of one's own views."""
    found = SavedView.objects.filter(project=request.project, user=request.user, pk=view).first()
    page = request.POST.get("page", "")
    if found is not None:
        page = found.page
        found.delete()
        messages.success(request, _("The view “%(name)s” is gone.") % {"name": found.name})
    return redirect(page if page in SavedView.List.values else "prompts", slug)
