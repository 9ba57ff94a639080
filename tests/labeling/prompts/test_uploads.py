"""Large imports run in a worker: all or none, seen from outside while they run, started again when they were lost."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from labeling.core.files import artifact_path
from labeling.people.models import Role
from labeling.projects.models import Membership
from labeling.prompts import importing, uploads
from labeling.prompts.models import Prompt, PromptImport
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
def admin(transactional_db: None, redis_flushed: None) -> Membership:
    return MembershipFactory(role=Role.ADMIN)


def queued(place: Membership, rows: list[dict[str, Any]]) -> PromptImport:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = SimpleUploadedFile("many.jsonl", text)
    return uploads.queue_import(project=place.project, file=file, fmt="jsonl", by=place.user, source="many.jsonl")


def test_a_large_file_is_queued_and_its_page_tells_how_far_it_is(client: Client, admin: Membership) -> None:
    client.force_login(admin.user)
    padding = "x" * 1000
    text = "".join(f'{{"prompt": "{n}", "metadata": {{"p": "{padding}"}}}}\n' for n in range(1100)).encode()
    file = SimpleUploadedFile("many.jsonl", text)
    answer = client.post(reverse("prompts-import", args=[admin.project.slug]), {"file": file, "text": "", "fmt": ""})
    batch = PromptImport.objects.get()
    assert answer["Location"] == reverse("prompt-import-report", args=[admin.project.slug, batch.pk])
    assert (batch.state, Prompt.objects.count()) == ("queued", 0)
    PromptImport.objects.update(lines_read=500)
    assert "500 lines read so far." in client.get(answer["Location"]).content.decode()
    path = artifact_path(batch.upload)
    assert path.read_bytes() == text
    assert uploads.run_import(batch.pk) == "done"
    assert not path.exists()
    batch.refresh_from_db()
    assert (batch.report["rows"], batch.report["accepted"], Prompt.objects.count()) == (1100, 1100, 1100)
    assert "1,100 of 1,100 prompts came in" in client.get(answer["Location"]).content.decode()
    assert uploads.run_import(batch.pk) == "done"  # a second wake-up does no harm
    assert Prompt.objects.count() == 1100


def test_progress_is_seen_while_nothing_has_come_in_yet(admin: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "TELL_EVERY", 2)
    batch = queued(admin, [{"prompt": f"Question {n}"} for n in range(5)])
    seen = []

    def look(self: importing.Importer, chunk: list[Any]) -> None:
        with psycopg.connect(**connection.get_connection_params()) as outside:
            told = outside.execute("SELECT lines_read, state FROM prompts_promptimport").fetchone()
            seen.append((*told, outside.execute("SELECT count(*) FROM prompts_prompt").fetchone()[0]))

    monkeypatch.setattr(importing.Importer, "write", look)
    uploads.run_import(batch.pk)
    assert seen == [(4, "queued", 0)]


def test_an_import_may_take_longer_than_a_request(admin: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    def limits() -> list[str]:
        with connection.cursor() as cursor:
            return [cursor.execute(f"SHOW {name}").fetchone()[0] for name in LIMITS]

    seen = []
    fill = uploads.fill
    monkeypatch.setattr(uploads, "fill", lambda *said, **more: (seen.append(limits()), fill(*said, **more)))
    before = limits()
    assert uploads.run_import(queued(admin, [{"prompt": "Why?"}]).pk) == "done"
    assert (seen, limits()) == ([["0", "0"]], before) and "0" not in before


def test_one_bad_line_keeps_all_out_and_is_named(client: Client, admin: Membership) -> None:
    batch = queued(admin, [*({"prompt": f"Question {n}"} for n in range(600)), {"promt": "typo"}])
    assert uploads.run_import(batch.pk) == "failed"
    batch.refresh_from_db()
    assert Prompt.objects.count() == 0
    assert (batch.report["error_count"], batch.report["errors"][0]["line"]) == (1, 601)
    assert not artifact_path(batch.upload).exists()
    client.force_login(admin.user)
    page = client.get(reverse("prompt-import-report", args=[admin.project.slug, batch.pk])).content.decode()
    assert "Nothing was imported" in page and "601" in page


def test_who_may_only_read_an_import_finds_no_way_to_start_one(client: Client, admin: Membership) -> None:
    batch = queued(admin, [{"prompt": "Why?"}])
    uploads.run_import(batch.pk)
    report, start = (
        reverse("prompt-import-report", args=[admin.project.slug, batch.pk]),
        reverse("prompts-import", args=[admin.project.slug]),
    )
    for member, offered in ((admin, True), (MembershipFactory(project=admin.project, role=Role.ENGINEER), False)):
        client.force_login(member.user)
        page = client.get(report)
        assert (page.status_code, f'href="{start}"' in page.content.decode()) == (200, offered)


def test_a_second_worker_leaves_a_running_import_alone(admin: Membership) -> None:
    batch = queued(admin, [{"prompt": "Why?"}])
    with psycopg.connect(**connection.get_connection_params()) as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"prompt-import-{batch.pk}"])
        assert uploads.run_import(batch.pk) == "queued"
    assert Prompt.objects.count() == 0
    assert uploads.run_import(batch.pk) == "done"


def test_a_worker_that_dies_leaves_an_import_that_the_sweep_finds(
    admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = queued(admin, [{"prompt": "Why?"}])

    def die(self: importing.Importer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(importing.Importer, "report", die)
        uploads.run_import(batch.pk)
    batch.refresh_from_db()
    assert (batch.state, Prompt.objects.count()) == ("queued", 0)
    assert uploads.waiting() == []  # ten seconds are the wake-up's
    monkeypatch.setattr(uploads, "LOST_AFTER", uploads.LOST_AFTER * 0)
    with transaction.atomic():
        assert uploads.waiting() == [batch.pk]
    assert uploads.run_import(batch.pk) == "done"


def test_a_file_that_is_gone_fails_with_what_to_do(admin: Membership) -> None:
    batch = queued(admin, [{"prompt": "Why?"}])
    artifact_path(batch.upload).unlink()
    assert uploads.run_import(batch.pk) == "failed"
    batch.refresh_from_db()
    assert "upload it again" in batch.report["detail"]
