"""What others ask about prompts."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast

from labeling.projects.models import Project
from labeling.prompts.models import Prompt, PromptImport


def prompts(
    project: Project,
    *,
    split: str = "",
    state: str = "",
    kind: str = "",
    category: str = "",
    owner: str = "",
    text: str = "",
    imported: int | None = None,
) -> QuerySet[Prompt]:
    """The prompts of a project that match; `text` is looked for in every turn, whatever its case."""
    wanted = {"split": split, "state": state, "kind": kind, "category": category, "owner_key": owner}
    rows = Prompt.objects.filter(project=project, **{name: value for name, value in wanted.items() if value})
    if imported:
        rows = rows.filter(imported=imported)
    return saying(rows, text) if text else rows


def saying(rows: QuerySet[Prompt], text: str) -> QuerySet[Prompt]:
    """The rows with this text in any turn; the index `prompt_text` knows where it may stand."""
    return rows.annotate(written=Cast("messages", TextField())).filter(written__icontains=in_json(text))


def in_json(text: str) -> str:
    """The text as PostgreSQL writes it inside JSON."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def categories(project: Project) -> list[str]:
    """The categories in use, by name; the first 200."""
    rows = Prompt.objects.filter(project=project).exclude(category="")
    return list(rows.order_by("category").values_list("category", flat=True).distinct()[:200])


def counts(project: Project) -> dict[str, Any]:
    """How many prompts: active ones by split, and those set aside."""
    active = Q(state=Prompt.State.ACTIVE)
    return Prompt.objects.filter(project=project).aggregate(
        train=Count("pk", filter=active & Q(split="train")),
        valid=Count("pk", filter=active & Q(split="valid")),
        test=Count("pk", filter=active & Q(split="test")),
        quarantined=Count("pk", filter=Q(state=Prompt.State.QUARANTINED)),
        withdrawn=Count("pk", filter=Q(state=Prompt.State.WITHDRAWN)),
    )


def imports(project: Project) -> QuerySet[PromptImport]:
    """The imports of a project, newest first."""
    return PromptImport.objects.filter(project=project).select_related("created_by")
