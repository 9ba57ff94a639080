"""What others ask about prompts."""

from __future__ import annotations

from django.db import connection
from django.db.models import Count, QuerySet, TextField
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


CATEGORIES = """
WITH RECURSIVE found(category) AS (
    (SELECT category FROM prompts_prompt WHERE project_id = %(project)s AND category > '' ORDER BY category LIMIT 1)
    UNION ALL
    SELECT (SELECT category FROM prompts_prompt
            WHERE project_id = %(project)s AND category > found.category ORDER BY category LIMIT 1)
    FROM found WHERE found.category IS NOT NULL
)
SELECT category FROM found WHERE category IS NOT NULL LIMIT %(most)s
"""


def categories(project: Project, *, most: int = 200) -> list[str]:
    """The categories in use, by name; one step in the index for each, however many prompts it has."""
    with connection.cursor() as cursor:
        cursor.execute(CATEGORIES, {"project": project.pk, "most": most})
        return [row[0] for row in cursor.fetchall()]


def counts(project: Project) -> dict[str, int]:
    """How many prompts: active ones by split, and those set aside. Reads an index alone."""
    rows = Prompt.objects.filter(project=project).order_by().values_list("state", "split").annotate(n=Count("*"))
    found = dict.fromkeys([*Prompt.Split.values, Prompt.State.QUARANTINED.value, Prompt.State.WITHDRAWN.value], 0)
    for state, split, number in rows:
        found[split if state == Prompt.State.ACTIVE else state] += number
    return found


def imports(project: Project) -> QuerySet[PromptImport]:
    """The imports of a project, newest first."""
    return PromptImport.objects.filter(project=project).select_related("created_by")
