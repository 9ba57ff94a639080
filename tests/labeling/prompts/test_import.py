"""An import comes in whole or not at all."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from labeling.core.errors import BadInput
from labeling.core.models import Event
from labeling.people.models import Role
from labeling.projects.models import Project
from labeling.prompts import services
from labeling.prompts.models import Prompt, PromptImport
from labeling.prompts.reading import MAX_LINE, lines_of
from labeling.prompts.split import split_of
from tests.factories import MembershipFactory, ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def bring(project: Project, rows: list[Any], **how: Any) -> PromptImport:
    lines = [row if isinstance(row, (str, bytes)) else json.dumps(row) for row in rows]
    return services.import_prompts(project=project, lines=lines, fmt="jsonl", **{"by": None, "source": "test", **how})


def refused(project: Project, rows: list[Any], **how: Any) -> list[dict[str, Any]]:
    """The errors; nothing may have been kept."""
    before = (Prompt.objects.count(), PromptImport.objects.count(), Event.objects.count())
    with pytest.raises(BadInput) as problem:
        bring(project, rows, **how)
    assert (Prompt.objects.count(), PromptImport.objects.count(), Event.objects.count()) == before
    errors: list[dict[str, Any]] = problem.value.extra["errors"]
    return errors


def test_rows_become_prompts_with_everything_they_said(project: Project) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Name  a\nriver."},
    ]
    row = {"messages": turns, "owner": "c-1", "category": "geo", "kind": "few_shot", "id": "x1", "metadata": {"n": 1}}
    batch = bring(project, [row])
    prompt = Prompt.objects.get()
    assert prompt.messages == turns
    assert (prompt.owner_key, prompt.category, prompt.kind) == ("c-1", "geo", "few_shot")
    assert prompt.metadata == {"n": 1, "id": "x1"}
    assert prompt.summary == "Name a river."
    assert prompt.split == split_of(project.seed, "c-1", turns, project.valid_percent, project.test_percent)  # type: ignore[arg-type]
    assert prompt.imported == batch
    assert batch.report["rows"] == batch.report["accepted"] == 1


def test_one_bad_line_keeps_everything_out(project: Project) -> None:
    errors = refused(project, [{"prompt": "fine"}, {"prompt": ""}, {"prompt": "also fine"}, "{nonsense"])
    assert [(one["line"], one["field"]) for one in errors] == [(2, "prompt"), (4, "line")]


def test_errors_after_a_written_chunk_take_the_chunk_back(project: Project) -> None:
    rows: list[Any] = [{"prompt": f"question number {n}"} for n in range(1200)]
    assert [one["line"] for one in refused(project, [*rows, {"prompt": 7}])] == [1201]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"prompt": "a", "messages": []}, "prompt"),
        ({}, "prompt"),
        ({"prompt": "a", "ownr": "b"}, "ownr"),
        ({"prompt": "a", "kind": "odd"}, "kind"),
        ({"prompt": "a", "split": "dev"}, "split"),
        ({"prompt": "a", "owner": 7}, "owner"),
        ({"prompt": "a", "owner": "x" * 121}, "owner"),
        ({"prompt": "a", "metadata": []}, "metadata"),
        ({"prompt": "nul \u0000 inside"}, "prompt"),
        ('{"prompt": "half \\ud83d of it"}', "prompt"),
        ('{"prompt": "a", "metadata": {"n": NaN}}', "line"),
        ('["prompt"]', "line"),
        ("[" * 100_000, "line"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "messages[1]"),
        ({"messages": [{"role": "user", "content": "a", "name": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0]"),
        ({"messages": "hello"}, "messages"),
        (b'{"prompt": "caf\xe9"}', "line"),
        ('{"prompt": "' + "a" * MAX_LINE + '"}', "line"),
    ],
)
def test_a_bad_line_is_named_with_its_field(project: Project, row: Any, field: str) -> None:
    errors = refused(project, [{"prompt": "good"}, row])
    assert [(one["line"], one["field"]) for one in errors] == [(2, field)]
    assert len(errors[0]["detail"]) > 15


def test_metadata_nested_too_deep_is_refused(project: Project) -> None:
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"in": deep}
    assert refused(project, [{"prompt": "a", "metadata": deep}])[0]["field"] == "metadata"


def test_an_empty_file_is_refused(project: Project) -> None:
    with pytest.raises(BadInput, match="no prompt"):
        bring(project, ["", "\n"])
    assert PromptImport.objects.count() == 0


def test_more_errors_than_are_listed_are_counted(project: Project) -> None:
    with pytest.raises(BadInput) as problem:
        bring(project, ["oops"] * 300)
    assert len(problem.value.extra["errors"]) == 200
    assert problem.value.extra["error_count"] == 300


def test_the_report_counts_every_row(project: Project) -> None:
    project.prompts_per_owner = 2
    project.save()
    long_start = "Summarise this paragraph for me: " + "word " * 40
    rows = [
        {"prompt": "What is rain?"},
        {"prompt": "what is  RAIN?"},  # exact
        {"prompt": long_start + "one"},
        {"prompt": long_start + "two"},  # prefix
        {"prompt": "Mail me at maya@example.com"},  # quarantined
        {"prompt": "a" * 5000},  # too long
        {"prompt": "first", "owner": "o"},
        {"prompt": "second", "owner": "o"},
        {"prompt": "third", "owner": "o"},  # over the cap
    ]
    report = bring(project, rows).report
    counted = {
        "accepted": 4,
        "duplicates_exact": 1,
        "duplicates_prefix": 1,
        "over_cap": 1,
        "too_long": 1,
        "quarantined": 1,
    }
    assert {name: report[name] for name in counted} == counted
    assert report["rows"] == sum(counted.values()) == 9
    assert report["found"] == {"e-mail": 1}
    assert sum(report["splits"].values()) == Prompt.objects.count() == 5
    assert Prompt.objects.get(state="quarantined").summary == "Mail me at maya@example.com"


def test_duplicates_and_caps_hold_across_imports(project: Project) -> None:
    project.prompts_per_owner = 2
    project.save()
    bring(project, [{"prompt": "one", "owner": "o"}, {"prompt": "two", "owner": "o"}])
    report = bring(project, [{"prompt": "ONE"}, {"prompt": "three", "owner": "o"}]).report
    assert (report["duplicates_exact"], report["over_cap"], report["accepted"]) == (1, 1, 0)


def test_another_project_does_not_count(project: Project) -> None:
    bring(ProjectFactory(), [{"prompt": "one"}])
    assert bring(project, [{"prompt": "one"}]).report["accepted"] == 1


def test_an_owner_keeps_one_split(project: Project) -> None:
    bring(project, [{"prompt": "one", "owner": "o", "split": "test"}])
    bring(project, [{"prompt": "two", "owner": "o"}])
    assert set(Prompt.objects.values_list("split", flat=True)) == {"test"}
    errors = refused(project, [{"prompt": "three", "owner": "o", "split": "train"}])
    assert errors[0]["field"] == "split" and "test" in errors[0]["detail"]


def test_one_file_cannot_put_an_owner_into_two_splits(project: Project) -> None:
    rows = [{"prompt": "one", "owner": "o", "split": "test"}, {"prompt": "two", "owner": "o", "split": "train"}]
    assert [one["line"] for one in refused(project, rows)] == [2]


def test_only_an_admin_sets_the_split_by_hand(project: Project) -> None:
    engineer = MembershipFactory(project=project, role=Role.ENGINEER).user
    assert refused(project, [{"prompt": "a", "split": "test"}], by=engineer)[0]["field"] == "split"
    admin = MembershipFactory(project=project, role=Role.ADMIN).user
    assert bring(project, [{"prompt": "a", "split": "test"}], by=admin).report["splits"]["test"] == 1


def test_csv_with_quotes_line_breaks_and_json_cells(project: Project) -> None:
    text = '\ufeffprompt,owner,metadata\r\n"Why, ""exactly"",\nis it so?",c-1,"{""a"": [1]}"\r\n\r\nName a river.,,\r\n'
    lines = lines_of(io.BytesIO(text.encode()))
    report = services.import_prompts(project=project, lines=lines, fmt="csv", by=None, source="a.csv").report
    assert report["accepted"] == 2
    first, second = Prompt.objects.order_by("pk")
    assert first.messages[0]["content"] == 'Why, "exactly",\nis it so?'
    assert (first.owner_key, first.metadata) == ("c-1", {"a": [1]})
    assert (second.owner_key, second.metadata) == ("", {})


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("prompt,ownr\na,b\n", 1, "header"),
        ("owner\na\n", 1, "header"),
        ("prompt,owner\na\n", 2, "line"),
        ("prompt,metadata\na,{x\n", 2, "metadata"),
        ('prompt\n"never closed\n', 2, "line"),
        ("prompt,kind\nok,plain\nbad,odd\n", 3, "kind"),
    ],
)
def test_a_bad_csv_names_line_and_field(project: Project, text: str, line: int, field: str) -> None:
    with pytest.raises(BadInput) as problem:
        services.import_prompts(
            project=project, lines=text.splitlines(keepends=True), fmt="csv", by=None, source="a.csv"
        )
    assert [(one["line"], one["field"]) for one in problem.value.extra["errors"]] == [(line, field)]
    assert not Prompt.objects.exists()


def test_an_oversized_line_of_an_upload_does_not_fill_the_memory() -> None:
    file = io.BytesIO(b"a" * (3 * MAX_LINE) + b"\n" + b'{"prompt": "next"}\n')
    lines = list(lines_of(file))
    assert [len(line) for line in lines] == [MAX_LINE + 1, 19]


def test_an_unknown_format_is_refused(project: Project) -> None:
    with pytest.raises(BadInput, match="jsonl or csv"):
        services.import_prompts(project=project, lines=[], fmt="xlsx", by=None, source="a")


def test_the_audit_log_holds_counts_and_no_text(project: Project) -> None:
    batch = bring(project, [{"prompt": "a very private question"}])
    event = Event.objects.get(verb="imported prompts")
    assert event.after["accepted"] == 1 and event.after["sha256"] == batch.sha256
    assert "private" not in json.dumps(event.after)
