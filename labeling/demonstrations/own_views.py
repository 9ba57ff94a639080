"""The screen on which people write a prompt of their own and its answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from labeling.assignments import screen
from labeling.assignments.models import Slot
from labeling.core.errors import NotFound
from labeling.demonstrations import own, parts, receiving, views
from labeling.demonstrations.models import OWN_KIND
from labeling.people.models import Role
from labeling.projects.access import ProjectRequest, member
from labeling.prompts.models import Prompt

ADVICE = {
    Prompt.Kind.PLAIN: gettext_lazy("Write a prompt of any kind. Make each one different from your last ones."),
    Prompt.Kind.FEW_SHOT: gettext_lazy(
        "Write an instruction, some examples of input and output, and one more input. Your answer is its output."
    ),
    Prompt.Kind.USER_BASED: gettext_lazy("Write a prompt that somebody with this use case would send."),
}


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
    more: int = 0,
) -> HttpResponse:
    """The screen with this text and what is wrong with it; `more` opens further rows."""
    brief = slot.task.prompt
    wrong = errors or {}
    least = int(brief.kind == Prompt.Kind.FEW_SHOT)
    opened = sum(row.is_open for row in parts.rows(brief.kind, draft, shown=least, errors=wrong)) + more
    context = {
        **views.desk(slot, draft=draft, errors=errors, preview=preview),
        **screen.work_context(request, slot, submission=request.POST.get("submission", "")),
        "messages_of_prompt": brief.messages,
        "facts": views.facts(slot),
        "few_shot": brief.kind == Prompt.Kind.FEW_SHOT,
        "advice": ADVICE[Prompt.Kind(brief.kind)],
        "prompt": draft.get("prompt", ""),
        "instruction": draft.get("instruction", ""),
        "rows": parts.rows(brief.kind, draft, shown=opened, errors=wrong),
        "preview_html": conversation(brief.kind, draft) if preview else "",
    }
    return render(request, "demonstrations/own.html", context, status=400 if errors else 200)


def conversation(kind: str, draft: dict[str, Any]) -> str:
    """The whole conversation as its readers would see it; what is not written yet is left out."""
    said = {name: value for name, value in draft.items() if isinstance(value, str) and value.strip()}
    turns = parts.messages(kind, {"prompt": "…", "instruction": "…", **halves(kind, said)})
    return render_to_string("demonstrations/conversation.html", {"turns": turns, "answer": said.get("text", "")})


def halves(kind: str, said: dict[str, str]) -> dict[str, str]:
    """The fields with an ellipsis where the other half of a row is still missing."""
    first, second = parts.names(kind)
    begun = [at for at in range(parts.MAX_ROWS) if {f"{first}-{at}", f"{second}-{at}"} & set(said)]
    return {**{f"{name}-{at}": "…" for at in begun for name in (first, second)}, **said}


def draft_of(post: QueryDict, kind: str) -> dict[str, Any]:
    """The posted form as drafts keep it."""
    return {
        **parts.read(post, kind),
        "text": post.get("text", "").replace("\r\n", "\n"),
        "check": post.getlist("check"),
    }


def problems(slot: Slot, draft: dict[str, Any]) -> dict[str, str]:
    """What keeps prompt and answer from being submitted, by field."""
    return {**parts.problems(slot.task.prompt.kind, fields_of(draft)), **views.problems(slot, draft)}


def fields_of(draft: dict[str, Any]) -> dict[str, Any]:
    """The prompt's part of the form."""
    return {name: value for name, value in draft.items() if name not in {"text", "check"}}


def said(slot: Slot, draft: dict[str, Any]) -> dict[str, Any]:
    """The draft as the services are told it."""
    fields = fields_of(draft)
    return {"messages": parts.messages(slot.task.prompt.kind, fields), "parts": fields, "text": draft["text"]}


def receive(request: ProjectRequest, slot: Slot) -> HttpResponse | None:
    """Save, preview, open a row or submit what was posted; None once it is submitted."""
    sheet = receiving.Sheet(
        page=page,
        problems=problems,
        said=said,
        submit=own.submit_own,
        revise=own.revise_own,
        blamed="prompt",
        looks={**receiving.LOOKS, "more": {"more": 1}},
    )
    return receiving.receive(request, slot, sheet=sheet, draft=draft_of(request.POST, slot.task.prompt.kind))


@require_POST
@member(Role.CONTRACTOR)
def preview(request: ProjectRequest, slug: str, slot: UUID) -> HttpResponse:
    """The posted conversation as its readers would see it, as a fragment for the page's script."""
    found = screen.held(request, slot)
    if found.kind != OWN_KIND:
        raise NotFound(_("There is no such task among yours."))
    draft = draft_of(request.POST, found.task.prompt.kind)
    views.check_shown(sum(map(len, draft.values())))
    return HttpResponse(conversation(found.task.prompt.kind, draft))
