"""What hygiene has set aside: a person lets it in, has the findings taken out, or withdraws it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from labeling.core import audit, transitions
from labeling.core.errors import BadInput, Conflict
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts import hygiene
from labeling.prompts.findings import NAMES, REPORTED, name_of
from labeling.prompts.importing import summary_of
from labeling.prompts.models import Prompt

DECISIONS = ("accept", "redact", "reject")


class SetAside(NamedTuple):
    """One prompt in quarantine as it is listed."""

    prompt: Prompt
    found: list[str]
    turns: list[Turn]


class Turn(NamedTuple):
    """One turn with its findings marked."""

    role: str
    text: SafeString


def set_aside(prompt: Prompt) -> SetAside:
    """The prompt with the names of what was found in it and its marked text."""
    return SetAside(prompt, [name_of(kind) for kind in prompt.personal_data], marked(prompt))


def marked(prompt: Prompt) -> list[Turn]:
    """The conversation as HTML, every finding in a `<mark>` that names its kind."""
    return [Turn(turn["role"], marked_text(turn["content"])) for turn in prompt.messages]


def marked_text(text: str) -> SafeString:
    """Escaped text; findings in `<mark title="kind">`."""
    pieces: list[tuple[str, str, str, str]] = []
    at = 0
    for one in hygiene.findings(text):
        kind = name_of(one.kind)
        pieces.append((text[at : one.start], kind, text[one.start : one.end], kind))
        at = one.end
    shown = format_html_join("", '{}<mark title="{}">{}<span class="vh"> ({})</span></mark>', pieces)
    return shown + format_html_join("", "{}", [(text[at:],)])


def quarantined(project: Project, *, kind: str = "", imported: int | None = None) -> QuerySet[Prompt]:
    """What waits for a decision; `kind` of personal data, `imported` by one import."""
    rows = Prompt.objects.filter(project=project, state=Prompt.State.QUARANTINED)
    if kind:
        rows = rows.filter(personal_data__contains=[kind])
    return rows.filter(imported=imported) if imported else rows


@transaction.atomic
def report(prompt: Prompt, *, by: User) -> None:
    """Set a prompt aside because somebody sees personal data in it; one that is not in use stays as it is."""
    locked = Prompt.objects.select_for_update().get(pk=prompt.pk)
    if locked.state == Prompt.State.ACTIVE:
        kinds = [*locked.personal_data, REPORTED]
        transitions.move(locked, to=Prompt.State.QUARANTINED, by=by, personal_data=kinds)
        audit.record("reported personal data in", locked, by=by)


class Found(NamedTuple):
    """How many prompts, and in how many of them each kind of personal data or secret was found."""

    prompts: int
    kinds: dict[str, int]


def kinds_found(rows: QuerySet[Prompt]) -> Found:
    """What a decision about these rows is about."""
    each = {kind: Count("pk", filter=Q(personal_data__contains=[kind])) for kind in NAMES}
    counts = rows.aggregate(prompts=Count("pk"), **{f"of_{place}": one for place, one in enumerate(each.values())})
    found = {kind: counts[f"of_{place}"] for place, kind in enumerate(each)}
    return Found(counts["prompts"], {kind: number for kind, number in found.items() if number})


@transaction.atomic
def decide(*, project: Project, prompts: Iterable[int], decision: str, by: User) -> Counter[str]:
    """Accept, redact or reject these quarantined prompts; others among them are passed over.

    Counts `accept`, `redact`, `reject`, and `same`: redacted ones that then say what another prompt says, and are withdrawn.
    """
    if decision not in DECISIONS:
        raise BadInput(_("Decide one of %(DECISIONS)s.") % {"DECISIONS": ", ".join(DECISIONS)}, field="decision")
    rows = Prompt.objects.select_for_update().filter(
        project=project, state=Prompt.State.QUARANTINED, pk__in=list(prompts)
    )
    counts: Counter[str] = Counter()
    for prompt in rows.order_by("pk"):
        if decision == "redact":
            counts[redact(prompt, by)] += 1
            continue
        kinds = [kind for kind in prompt.personal_data if kind != REPORTED]
        to = Prompt.State.ACTIVE if decision == "accept" else Prompt.State.WITHDRAWN
        transitions.move(prompt, to=to, by=by, personal_data=kinds)
        counts[decision] += 1
    return counts


def redact(prompt: Prompt, by: User) -> str:
    """Take the findings out and let the prompt in; "same" when it then repeats another and is withdrawn instead."""
    if prompt.tasks.exists():
        raise Conflict(
            _("Prompt %(public_id)s has tasks already: its text cannot change. Withdraw it.")
            % {"public_id": prompt.public_id}
        )
    messages: list[Any] = hygiene.redacted(prompt.messages)
    content = hygiene.content_hash(messages)
    if Prompt.objects.filter(project=prompt.project_id, content_hash=content).exclude(pk=prompt.pk).exists():
        transitions.move(prompt, to=Prompt.State.WITHDRAWN, by=by)
        return "same"
    changes = {
        "messages": messages,
        "summary": summary_of(messages),
        "content_hash": content,
        "prefix_hash": hygiene.prefix_hash(messages),
        "personal_data": hygiene.personal_data(messages),
    }
    transitions.move(prompt, to=Prompt.State.ACTIVE, by=by, **changes)
    audit.record("redacted", prompt, by=by)
    return "redact"
