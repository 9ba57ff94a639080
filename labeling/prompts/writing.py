"""Prompts that labelers write themselves (InstructGPT, section 3.2), and the briefs that ask for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.core import transitions
from labeling.core.errors import BadInput
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.prompts import hygiene
from labeling.prompts.findings import name_of
from labeling.prompts.kept_words import ANY
from labeling.prompts.models import Prompt
from labeling.prompts.reading import BadRow, messages_of
from labeling.prompts.split import Message

MAX_BRIEF = 5000


def brief(*, project: Project, kind: str, text: str, category: str, split: str) -> Prompt:
    """The brief that says this; asking again gives the same row. What is written for it gets its kind, category and split."""
    if kind not in Prompt.Kind.values:
        raise BadInput(_("Choose one of %(values)s.") % {"values": ", ".join(Prompt.Kind.values)}, field="prompt_kind")
    text = text.strip()
    if len(text) > MAX_BRIEF or "\x00" in text:
        raise BadInput(
            _("A brief has at most %(most)s characters of plain text.") % {"most": f"{MAX_BRIEF:,}"},
            field="brief",
        )
    if kind == Prompt.Kind.USER_BASED and not text:
        raise BadInput(_("Describe the use case that the prompts shall come from."), field="brief")
    mark = hashlib.sha256("\n".join(["brief", kind, category, split, text]).encode()).hexdigest()
    said = {
        "messages": [{"role": "user", "content": text}] if text else [],
        "summary": re.sub(r"\s+", " ", text)[:200] or ANY[kind],
        "kind": kind,
        "category": category,
        "split": split,
        "state": Prompt.State.BRIEF,
    }
    made, _fresh = Prompt.objects.get_or_create(project=project, content_hash=mark, defaults=said)
    return made


def write_prompt(*, brief: Prompt, messages: Sequence[Message], parts: dict[str, Any], active: bool = True) -> Prompt:
    """A new prompt in answer to a brief; `parts` is the form it was written in. `active` False keeps it out of use.

    Raises BadInput (field `prompt`) for what an import would refuse, leave out or quarantine: people can mend it at once.
    """
    try:
        checked = messages_of({"messages": list(messages)})
    except BadRow as problem:
        raise BadInput(problem.detail, field="prompt") from problem
    if "\x00" in str(parts):
        raise BadInput(_("The prompt holds a NUL character: remove it."), field="prompt")
    if hygiene.is_too_long(checked):
        raise BadInput(_("The prompt is too long for a model to read: shorten it."), field="prompt")
    if found := hygiene.personal_data(checked):
        raise BadInput(
            _("The prompt holds what looks like personal data (%(found)s): make it up or leave it out.")
            % {"found": ", ".join(map(name_of, sorted(found)))},
            field="prompt",
        )
    content, prefix = hygiene.content_hash(checked), hygiene.prefix_hash(checked)
    others = Prompt.objects.filter(project=brief.project_id)
    if others.filter(content_hash=content).exists() or (prefix and others.filter(prefix_hash=prefix).exists()):
        raise BadInput(_("There is a prompt like this already: write another one."), field="prompt")
    try:
        with transaction.atomic():
            return Prompt.objects.create(
                project_id=brief.project_id,
                messages=checked,
                summary=re.sub(r"\s+", " ", checked[-1]["content"]).strip()[:200],
                kind=brief.kind,
                category=brief.category,
                split=brief.split,
                state=Prompt.State.ACTIVE if active else Prompt.State.WITHDRAWN,
                content_hash=content,
                prefix_hash=prefix,
                metadata={"brief": str(brief.public_id), "parts": parts},
            )
    except IntegrityError as problem:  # somebody wrote the same in this very moment
        raise BadInput(_("There is a prompt like this already: write another one."), field="prompt") from problem


def retire(prompt: Prompt, *, by: User) -> None:
    """Take a written prompt that another one has replaced out of use, unless somebody has begun to use it."""
    is_used = prompt.tasks.exists() or prompt.completions.exists()
    if prompt.state == Prompt.State.ACTIVE and not is_used:
        transitions.move(prompt, to=Prompt.State.WITHDRAWN, by=by)
