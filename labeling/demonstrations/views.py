"""The writing screen."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling.assignments import screen
from labeling.assignments.models import Slot
from labeling.core.errors import BadInput
from labeling.core.markdown import to_html
from labeling.demonstrations import clarity, receiving, services
from labeling.demonstrations.checks import checks_of, without_checks
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.projects.flags import known_prompt_flags


def show(request: ProjectRequest, slot: Slot) -> HttpResponse:
    """The screen with the saved draft."""
    return page(request, slot, draft=screen.draft_of(slot))


def page(
    request: ProjectRequest,
    slot: Slot,
    *,
    draft: dict[str, Any],
    errors: dict[str, str] | None = None,
    preview: bool = False,
) -> HttpResponse:
    """The screen with this text, these ticks and what is wrong with them."""
    context = {
        **screen.work_context(request, slot, submission=request.POST.get("submission", "")),
        **desk(slot, draft=draft, errors=errors, preview=preview),
        "facts": facts(slot),
        "clarity": clarity.choices(slot, draft),
    }
    return render(request, "demonstrations/write.html", context, status=400 if errors else 200)


def desk(
    slot: Slot, *, draft: dict[str, Any], errors: dict[str, str] | None = None, preview: bool = False
) -> dict[str, Any]:
    """What the sheet and the checks beside it show."""
    body = slot.guideline.body if slot.guideline else ""
    ticked = draft.get("check") or []
    return {
        "text": draft.get("text", ""),
        "checks": [(str(at), text, str(at) in ticked) for at, text in enumerate(checks_of(body))],
        "guide": without_checks(body),
        "errors": errors or {},
        "preview": preview,
        "max_text": services.MAX_TEXT,
    }


def facts(slot: Slot) -> list[tuple[str, str]]:
    """What is known of the prompt."""
    prompt = slot.task.prompt
    return [(_("Kind"), prompt.get_kind_display()), *([(_("About"), prompt.category)] if prompt.category else [])]


def draft_of(post: QueryDict) -> dict[str, Any]:
    """The posted form as drafts keep it."""
    return {
        "text": post.get("text", "").replace("\r\n", "\n"),
        "check": post.getlist("check"),
        "prompt_flag": known_prompt_flags(post.getlist("prompt_flag")),
    }


def said(slot: Slot, draft: dict[str, Any]) -> dict[str, Any]:
    """The draft as the services are told it."""
    return {"text": draft["text"], "prompt_flags": draft["prompt_flag"]}


def receive(request: ProjectRequest, slot: Slot) -> HttpResponse | None:
    """Save, preview or submit what was posted; None once it is submitted."""
    sheet = receiving.Sheet(
        page=page,
        problems=problems,
        said=said,
        submit=services.submit_demonstration,
        revise=services.revise_demonstration,
        blamed="text",
    )
    return receiving.receive(request, slot, sheet=sheet, draft=draft_of(request.POST))


def problems(slot: Slot, draft: dict[str, Any]) -> dict[str, str]:
    """What keeps this from being submitted, by field."""
    found = {}
    try:
        services.check_text(draft["text"])
    except BadInput as problem:
        found["text"] = problem.detail
    number = len(checks_of(slot.guideline.body if slot.guideline else ""))
    left = number - len({at for at in draft["check"] if at.isdigit() and int(at) < number})
    if left:
        found["check"] = _("%(left)s of %(all)s checks left: read them and tick each one that holds.") % {
            "left": left,
            "all": number,
        }
    return found


@require_POST
@member(Role.CONTRACTOR)
def preview(request: ProjectRequest, slug: str, slot: UUID) -> HttpResponse:
    """The posted Markdown as people would see it, as a fragment for the page's script."""
    screen.held(request, slot)
    text = request.POST.get("text", "")
    check_shown(len(text))
    return HttpResponse(to_html(text))


def check_shown(characters: int) -> None:
    """BadInput for more text than a preview is made of."""
    if characters > services.MAX_TEXT:
        raise BadInput(
            _("At most %(most)s characters can be shown.") % {"most": f"{services.MAX_TEXT:,}"}, field="text"
        )
