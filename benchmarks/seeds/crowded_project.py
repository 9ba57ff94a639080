"""A project with very many rows, written by `INSERT … SELECT` alone.

Columns that an expression does not name get the model's own default, so that a new column does not break the seeding.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone

from labeling.assignments.models import HIDDEN_PRIORITY, RND_RANGE, Skip, Slot, Task, TaskBatch
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import (
    Comparison,
    ComparisonItem,
    Completion,
    DisplayOrder,
    RankedItem,
    Ranking,
    Rating,
)
from labeling.core.models import Event
from labeling.demonstrations.models import Demonstration
from labeling.people.models import Role, User
from labeling.projects import services as projects
from labeling.projects.models import Acceptance, Project
from labeling.prompts.models import Prompt
from labeling.quality.models import Review
from labeling.rounds.models import Round
from labeling.runs.models import Run, RunMetric

K = 4
OVERLAP = 2
BATCHES = 100
OWNERS = 5000
WORDS = "rain,train,bread,tax,garden,piano,comet,river,contract,recipe,poem,virus,bridge,verb,island,loan"


def default_of(field: models.Field[Any, Any]) -> tuple[str, list[Any]]:
    """SQL and parameters for a column that nobody named."""
    if getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False):
        return "now()", []
    if field.has_default():
        if field.default is uuid.uuid4:
            return "gen_random_uuid()", []
        value = field.get_default()
        return ("%s::jsonb", [json.dumps(value)]) if isinstance(field, models.JSONField) else ("%s", [value])
    return ("NULL", []) if field.null else ("''", [])


def insert(model: type[models.Model], columns: dict[str, str], source: str) -> int:
    """Insert a row of `model` for each row of `source` (SQL after FROM); `columns` are SQL expressions. Returns how many."""
    names, expressions, values = [], [], []
    for field in model._meta.concrete_fields:
        if field.primary_key and field.column not in columns and not field.has_default():
            continue
        named = columns.get(field.column)
        sql, needed = default_of(field) if named is None else (named.replace("%", "%%"), [])
        names.append(f'"{field.column}"')
        expressions.append(sql)
        values += needed
    escaped = source.replace("%", "%%")
    statement = (
        f'INSERT INTO "{model._meta.db_table}" ({", ".join(names)}) SELECT {", ".join(expressions)} FROM {escaped}'
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


@transaction.atomic
def crowd(*, prompts: int, tasks: int, labelers: int, runs: int) -> Project:
    """Make the project: its people, prompts, tasks (half of them comparisons, two thirds of each done), rankings, events, runs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.42); SET LOCAL statement_timeout = 0")
    admin = User.objects.create_user("admin@example.org", name="Ada Admin")
    project = projects.create_project(name="Crowded", by=admin, slug="crowded", seed=7, overlap=OVERLAP)
    project = projects.update_project(project=project, by=admin, control_percent=5, review_percent=10)
    add_people(project, admin, labelers)
    add_prompts(project, prompts)
    add_tasks(project, tasks)
    add_work(project)
    add_events(project, admin)
    add_runs(project, runs)
    Round.objects.create(project=project, number=3, state=Round.State.COMPARISONS)
    return project


def add_people(project: Project, admin: User, labelers: int) -> None:
    """Contractors who have accepted the guideline, and a reviewer."""
    projects.save_guideline_draft(project=project, body="# Good\n\n- [ ] Helpful\n- [ ] True\n", by=admin)
    guideline = projects.publish_guideline(project=project, by=admin)
    for number in range(labelers):
        person = User.objects.create_user(f"labeler{number}@example.org", name=f"Labeler {number}")
        projects.add_member(project=project, user=person, role=Role.CONTRACTOR, by=admin)
        Acceptance.objects.create(guideline=guideline, user=person)
    reviewer = User.objects.create_user("reviewer@example.org", name="Rae Reviewer")
    projects.add_member(project=project, user=reviewer, role=Role.REVIEWER, by=admin)


def add_prompts(project: Project, number: int) -> None:
    """Short questions of many owners in forty categories."""
    words = f"('{{{WORDS}}}'::text[])"
    text = f"'Question ' || n || ': what should I know about ' || {words}[1 + n % 16] || ' and ' || {words}[1 + n / 16 % 16] || '?'"
    columns = {
        "project_id": str(project.pk),
        "messages": f"jsonb_build_array(jsonb_build_object('role', 'user', 'content', {text}))",
        "summary": text,
        "category": "'category-' || n % 40",
        "owner_key": f"'customer-' || n % {OWNERS}",
        "split": f"CASE WHEN n % {OWNERS} % 20 < 4 THEN 'test' WHEN n % {OWNERS} % 20 = 4 THEN 'valid' ELSE 'train' END",
        "state": "CASE WHEN n % 200 = 0 THEN 'quarantined' WHEN n % 100 = 1 THEN 'withdrawn' ELSE 'active' END",
        "content_hash": "md5(n::text) || md5('x' || n)",
    }
    insert(Prompt, columns, f"generate_series(1, {number}) AS n")


def add_tasks(project: Project, number: int) -> None:
    """Half demonstrations, half comparisons, in batches; each with its slots, two thirds of them submitted."""
    batch = {
        "project_id": str(project.pk),
        "kind": "CASE WHEN n % 2 = 0 THEN 'demonstration' ELSE 'comparison' END",
        "title": "'Batch ' || n",
        "round_number": "1 + n / 10",
    }
    insert(TaskBatch, batch, f"generate_series(1, {BATCHES}) AS n")
    first = TaskBatch.objects.order_by("pk").values_list("pk", flat=True)[0]
    start = Prompt.objects.order_by("pk").values_list("pk", flat=True)[0]
    prompts = Prompt.objects.count()
    task = {
        "project_id": str(project.pk),
        "batch_id": f"{first} + n % {BATCHES}",
        "kind": f"CASE WHEN ({first} + n % {BATCHES} - {first}) % 2 = 1 THEN 'demonstration' ELSE 'comparison' END",
        "prompt_id": f"{start} + n % {prompts}",
        "overlap": f"CASE WHEN n % 2 = 1 THEN 1 ELSE {OVERLAP} END",
        "state": "CASE WHEN n / 100 % 3 < 2 THEN 'done' ELSE 'open' END",
        "round_number": f"1 + n % {BATCHES} / 10",
    }
    insert(Task, task, f"generate_series(0, {number} - 1) AS n")
    people = User.objects.filter(email__startswith="labeler").order_by("pk")
    base, crowd_size = people.values_list("pk", flat=True)[0], people.count()
    done = "t.state = 'done'"
    slot = {
        "task_id": "t.id",
        "batch_id": "t.batch_id",
        "ordinal": "o",
        "project_id": "t.project_id",
        "kind": "t.kind",
        "rnd": f"floor(random() * {RND_RANGE - 1})::int",
        "state": f"CASE WHEN {done} THEN 'submitted' ELSE 'open' END",
        "labeler_id": f"CASE WHEN {done} THEN {base} + (t.id + o) % {crowd_size} END",
        "guideline_id": f"CASE WHEN {done} THEN (SELECT max(id) FROM projects_guideline) END",
        "submitted_at": f"CASE WHEN {done} THEN now() - make_interval(mins => (t.id % 40000)::int) END",
        "active_seconds": f"CASE WHEN {done} THEN 20 + t.id % 200 ELSE 0 END",
    }
    insert(Slot, slot, f"{Task._meta.db_table} AS t, generate_series(1, t.overlap) AS o")


def add_work(project: Project) -> None:
    """Completions, comparisons, and what was submitted."""
    policies = [
        Checkpoint.objects.create(project=project, kind="policy", name=f"policy-{n}", path=f"p/{n}") for n in (1, 2)
    ]
    text = (
        "'Answer ' || k || ' to task ' || t.id || '. ' || repeat('It depends on what you need. ', 6 + (t.id % 5)::int)"
    )
    completion = {
        "project_id": "t.project_id",
        "prompt_id": "t.prompt_id",
        "checkpoint_id": f"{policies[0].pk} + k % 2",
        "source_id": "t.id || '-' || k",
        "source_run": f"'{uuid.UUID(int=1)}'::uuid",
        "text": text,
        "finish_reason": "'stop'",
        "token_count": "40",
        "logprob": "-30.5",
        "temperature": "1",
        "top_p": "1",
        "max_new_tokens": "128",
    }
    tasks = f"{Task._meta.db_table} AS t"
    insert(Completion, completion, f"{tasks}, generate_series(1, {K}) AS k WHERE t.kind = 'comparison'")
    insert(Comparison, {"task_id": "t.id"}, f"{tasks} WHERE t.kind = 'comparison'")
    joined = (
        f"{Comparison._meta.db_table} AS c JOIN {Completion._meta.db_table} AS x"
        " ON split_part(x.source_id, '-', 1)::bigint = c.task_id"
    )
    place = "split_part(x.source_id, '-', 2)::int"
    insert(ComparisonItem, {"comparison_id": "c.id", "completion_id": "x.id", "position": place}, joined)
    slots = f"{Slot._meta.db_table} AS s"
    order = {"slot_id": "s.id", "completion_id": "i.completion_id", "place": "i.position"}
    items = f"{ComparisonItem._meta.db_table} AS i"
    insert(DisplayOrder, order, f"{slots} JOIN {Comparison._meta.db_table} AS c ON c.task_id = s.task_id JOIN {items} ON i.comparison_id = c.id")  # fmt: skip
    same = {
        "project_id": "s.project_id",
        "slot_id": "s.id",
        "labeler_id": "s.labeler_id",
        "guideline_id": "s.guideline_id",
        "submission": "gen_random_uuid()",
        "active_seconds": "s.active_seconds",
        "created_at": "s.submitted_at",
    }
    done = "s.state = 'submitted'"
    insert(Ranking, {**same, "comparison_id": "c.id"}, f"{slots} JOIN {Comparison._meta.db_table} AS c ON c.task_id = s.task_id WHERE {done}")  # fmt: skip
    said = f"{Ranking._meta.db_table} AS r JOIN {items} ON i.comparison_id = r.comparison_id"
    rank = f"1 + (i.position + r.id) % {K}"
    insert(RankedItem, {"ranking_id": "r.id", "completion_id": "i.completion_id", "rank": rank}, said)
    insert(Rating, {"ranking_id": "r.id", "completion_id": "i.completion_id", "quality": "1 + r.id % 7"}, said)
    wrote = {**same, "task_id": "t.id", "prompt_id": "t.prompt_id", "text": "'Because of the air. ' || t.id"}
    insert(Demonstration, wrote, f"{slots} JOIN {tasks} ON t.id = s.task_id WHERE {done} AND t.kind = 'demonstration'")
    review = {
        "project_id": "r.project_id",
        "kind": "'comparison'",
        "ranking_id": "r.id",
        "labeler_id": "r.labeler_id",
        "author_id": "r.labeler_id",
        "submitted_at": "r.created_at",
        "reason": "'random'",
    }
    insert(Review, review, f"{Ranking._meta.db_table} AS r WHERE r.id % 10 = 0")
    people = User.objects.filter(email__startswith="labeler").order_by("pk").values_list("pk", flat=True)
    skip = {"task_id": "t.id", "labeler_id": str(people[0]), "reason": "'unclear'"}
    insert(Skip, skip, f"{tasks} WHERE t.id % 50 = 0")
    hidden = f"{slots} WHERE s.state = 'open' AND s.kind = 'comparison' AND mod(s.id, 400) = 0"
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Slot._meta.db_table} SET priority = %s WHERE id IN (SELECT s.id FROM {hidden})", [HIDDEN_PRIORITY]
        )


def add_events(project: Project, admin: User) -> None:
    """An audit log of three events a slot."""
    event = {
        "actor_id": f"coalesce(s.labeler_id, {admin.pk})",
        "verb": "(ARRAY['leased','moved','submitted'])[e]",
        "object_type": "'assignments.slot'",
        "object_id": "s.id::text",
        "project_id": "s.project_id",
        "hash": "repeat('0', 64)",
    }
    insert(Event, event, f"{Slot._meta.db_table} AS s, generate_series(1, 3) AS e")


def add_runs(project: Project, number: int) -> None:
    """Finished runs, one of them with two thousand lines of metrics."""
    run = {
        "project_id": str(project.pk),
        "kind": "(ARRAY['sft','sample','reward','ppo'])[1 + n % 4]",
        "name": "'run-' || n",
        "state": "'succeeded'",
        "progress": "1",
        "started_at": "now() - make_interval(hours => n)",
        "finished_at": "now() - make_interval(hours => n - 1)",
        "created_at": "now() - make_interval(hours => n)",
        "latest": "'{\"loss\": 0.5}'::jsonb",
    }
    insert(Run, run, f"generate_series(1, {number}) AS n")
    newest = Run.objects.filter(project=project).first()
    metric = {
        "run_id": f"'{newest.pk if newest else ''}'::uuid",
        "row": "n",
        "step": "n",
        "time": str(timezone.now().timestamp()),
        "values": "jsonb_build_object('loss', 1.0 / n, 'reward', n / 100.0, 'kl', n / 500.0)",
    }
    insert(RunMetric, metric, "generate_series(1, 2000) AS n")


def analyze() -> None:
    """Let the planner know what is there, as autovacuum would within a minute, and write to disk what is still in memory."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
