"""What the screens that write demonstrations do with a posted form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse

from labeling.assignments import screen
from labeling.assignments.forms import hidden_fields
from labeling.assignments.models import Slot
from labeling.core.errors import BadInput
from labeling.projects.access import ProjectRequest

Draft = dict[str, Any]
LOOKS: Mapping[str, dict[str, Any]] = {"preview": {"preview": True}, "write": {}}


@dataclass(frozen=True)
class Sheet:
    """One screen: how it is drawn, what keeps its draft from being submitted, and the services that take it."""

    page: Callable[..., HttpResponse]
    problems: Callable[[Slot, Draft], dict[str, str]]
    said: Callable[[Slot, Draft], dict[str, Any]]  # the draft as its services are told it
    submit: Callable[..., object]
    revise: Callable[..., object]
    blamed: str  # the field beside which a refusal stands that names none
    looks: Mapping[str, dict[str, Any]] = field(default_factory=lambda: LOOKS)  # buttons that only draw the page anew


def receive(request: ProjectRequest, slot: Slot, *, sheet: Sheet, draft: Draft) -> HttpResponse | None:
    """Save, draw anew or submit what was posted; None once it is submitted."""
    token, submission, seconds = hidden_fields(request.POST)
    act = request.POST.get("act", "")
    if act == "save":
        return screen.save_by_hand(request, slot, token=token, draft=draft, seconds=seconds)
    if act in sheet.looks:
        return sheet.page(request, slot, draft=draft, **sheet.looks[act])
    if errors := sheet.problems(slot, draft):
        return sheet.page(request, slot, draft=draft, errors=errors)
    said = {**sheet.said(slot, draft), "submission": submission, "active_seconds": seconds}
    try:
        screen.send(request, slot, token=token, submit=sheet.submit, revise=sheet.revise, **said)
    except BadInput as problem:
        return sheet.page(request, slot, draft=draft, errors={problem.field or sheet.blamed: problem.detail})
    return None
