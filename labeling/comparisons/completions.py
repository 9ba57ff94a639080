"""Taking in what policies sampled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.checkpoints.models import Checkpoint
from labeling.comparisons import held_back
from labeling.comparisons.models import Completion
from labeling.core.errors import BadInput
from labeling.projects.models import Project
from labeling.prompts.models import Prompt

CHUNK = 500


class Record(Protocol):
    """One line of a sample run's completions (training/contracts.py, CompletionRecord)."""

    id: str
    prompt_id: str
    policy: str
    text: str
    token_count: int
    finish_reason: str
    logprob: float
    sampling: dict[str, Any]


@transaction.atomic
def store_completions(
    *, project: Project, run_id: UUID, checkpoints: Mapping[str, Checkpoint], records: Iterable[Record]
) -> int:
    """Keep the completions of a sample run, all or none; storing a run again adds nothing. Returns how many are new.

    `checkpoints` maps the policy names of the records to their checkpoints. Raises BadInput naming the record that fits none.
    """
    before = Completion.objects.filter(source_run=run_id).count()
    stream = iter(records)
    while chunk := list(islice(stream, CHUNK)):
        prompts = prompts_of(project, chunk)
        Completion.objects.bulk_create(
            [completion_from(project, run_id, checkpoints, prompts, record) for record in chunk], ignore_conflicts=True
        )
        stored = Completion.objects.filter(source_run=run_id, source_id__in=[record.id for record in chunk])
        held_back.look_through(project, stored.select_related("prompt"))
    return Completion.objects.filter(source_run=run_id).count() - before


def prompts_of(project: Project, records: Iterable[Record]) -> dict[str, Prompt]:
    """The prompts of the records by public id; ids that are none are left out."""
    wanted = set()
    for record in records:
        try:
            wanted.add(UUID(record.prompt_id))
        except ValueError:
            continue
    return {str(row.public_id): row for row in Prompt.objects.filter(project=project, public_id__in=wanted)}


def completion_from(
    project: Project,
    run_id: UUID,
    checkpoints: Mapping[str, Checkpoint],
    prompts: Mapping[str, Prompt],
    record: Record,
) -> Completion:
    """An unsaved completion; BadInput naming the record and the field that fits nothing here."""
    if record.policy not in checkpoints:
        known = ", ".join(checkpoints)
        raise BadInput(
            _("Completion %(id)s: policy '%(policy)s' is none of %(known)s.")
            % {"id": record.id, "policy": record.policy, "known": known},
            field="policy",
        )
    if record.prompt_id not in prompts:
        raise BadInput(
            _("Completion %(id)s: the project has no prompt %(prompt_id)s.")
            % {"id": record.id, "prompt_id": record.prompt_id},
            field="prompt_id",
        )
    return Completion(
        project=project,
        prompt=prompts[record.prompt_id],
        checkpoint=checkpoints[record.policy],
        source_run=run_id,
        source_id=record.id,
        text=record.text.replace("\x00", "\ufffd"),  # PostgreSQL text holds no NUL
        finish_reason=record.finish_reason,
        token_count=record.token_count,
        logprob=record.logprob,
        temperature=float(record.sampling.get("temperature", 1.0)),
        top_p=float(record.sampling.get("top_p", 1.0)),
        max_new_tokens=int(record.sampling.get("max_new_tokens", 0)),
    )
