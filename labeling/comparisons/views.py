"""The comparison screen. Everything on it goes by letter: which completion a letter means is known to the server alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from labeling.assignments import screen
from labeling.assignments.forms import hidden_fields
from labeling.assignments.models import Slot
from labeling.comparisons import forms, selectors, services
from labeling.comparisons.models import Comparison, Completion, Strength
from labeling.core.errors import BadInput
from labeling.core.markdown import plain_start
from labeling.projects.access import ProjectRequest
from labeling.projects.flags import Flag, PromptFlag, known_prompt_flags

GIST = 60
MAX_BETTER = 100_000
BOX = re.compile(r"^(\s*[-*]) \[[ xX]?\] ", re.MULTILINE)  # a writer ticks these off; here they are a list


def show(request: ProjectRequest, slot: Slot) -> HttpResponse:
    """The screen with the saved draft."""
    return page(request, slot, draft=screen.draft_of(slot))


def page(
    request: ProjectRequest, slot: Slot, *, draft: dict[str, Any], errors: dict[str, str] | None = None
) -> HttpResponse:
    """The screen with this state and what is wrong with it."""
    shown = selectors.shown(slot)
    wrong = errors or {}
    said_of_prompt = draft.get("prompt_flag") or []
    context = {
        **screen.work_context(request, slot, submission=request.POST.get("submission", "")),
        "k": len(shown),
        "responses": [
            response(letter, completion, draft, wrong, flags=slot.project.flags) for letter, completion in shown.items()
        ],
        "errors": wrong,
        "rule": rule_of(slot),
        "guide": BOX.sub(r"\1 ", slot.guideline.body) if slot.guideline else "",
        "reason": draft.get("reason", ""),
        "better": draft.get("better", ""),
        "max_better": MAX_BETTER,
        "prompt_flags": asked(PromptFlag.choices, slot.project.prompt_flags, said_of_prompt),
        "strengths": strengths(draft) if asks_strength(slot, shown) else [],
    }
    return render(request, "comparisons/rank.html", context, status=400 if errors else 200)


def rule_of(slot: Slot) -> str:
    """What the guideline says of final evaluations, where this comparison is one (Ouyang et al. 2022, section 3.4)."""
    evaluates = slot.task.comparison.purpose == Comparison.Purpose.EVALUATION
    return slot.guideline.evaluation if slot.guideline and evaluates else ""


def asked(choices: Sequence[tuple[str, Any]], wanted: Sequence[str], on: Sequence[str]) -> list[tuple[str, Any, bool]]:
    """The flags to tick: those the project asks, and those ticked before it stopped asking."""
    return [(value, label, value in on) for value, label in choices if value in wanted or value in on]


def response(
    letter: str, completion: Completion, draft: dict[str, Any], errors: dict[str, str], *, flags: Sequence[str]
) -> dict[str, Any]:
    """One response as the page shows it: its text and what was said of it, nothing about where it comes from."""
    on = draft.get(f"flag-{letter}") or []
    return {
        "letter": letter,
        "text": completion.text,
        "gist": plain_start(completion.text, GIST),
        "rank": draft.get(f"rank-{letter}", ""),
        "quality": draft.get(f"q-{letter}", ""),
        "flags": asked(Flag.choices, flags, on),
        "flag_count": sum(value in on for value in Flag.values),
        "rank_error": errors.get(f"rank-{letter}", ""),
        "quality_error": errors.get(f"q-{letter}", ""),
    }


def strengths(draft: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """The choices of strength, strongest first."""
    said = draft.get("strength", "")
    return [(str(value), str(label), str(value) == said) for value, label in reversed(Strength.choices)]


def asks_strength(slot: Slot, shown: dict[str, Completion]) -> bool:
    """Whether this comparison asks how much better the better one is."""
    return slot.project.asks_strength and len(shown) == 2


def receive(request: ProjectRequest, slot: Slot) -> HttpResponse | None:
    """Save or submit what was posted; None once it is submitted."""
    token, submission, seconds = hidden_fields(request.POST)
    shown = selectors.shown(slot)
    answer = forms.read_answer(request.POST, letters=list(shown), asks_strength=asks_strength(slot, shown))
    if request.POST.get("act") == "save":
        return screen.save_by_hand(request, slot, token=token, draft=answer.draft, seconds=seconds)
    if answer.errors:
        return page(request, slot, draft=answer.draft, errors=answer.errors)
    said: dict[str, Any] = {
        "submission": submission,
        "tiers": [[shown[letter].pk for letter in tier] for tier in answer.tiers()],
        "ratings": {shown[letter].pk: rating for letter, rating in answer.ratings.items()},
        "reason": request.POST.get("reason", "").replace("\r\n", "\n"),
        "better": request.POST.get("better", "").replace("\r\n", "\n"),
        "strength": answer.strength,
        "prompt_flags": known_prompt_flags(request.POST.getlist("prompt_flag")),
        "active_seconds": seconds,
    }
    try:
        screen.send(request, slot, token=token, submit=services.submit_ranking, revise=services.revise_ranking, **said)
    except BadInput as problem:
        return page(request, slot, draft=answer.draft, errors={problem.field or "reason": problem.detail})
    return None
