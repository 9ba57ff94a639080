"""Who may open what (AUTHZ-2): every address of a project stands in this table, and everybody is tried on each of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter, UUIDConverter

from labeling.people.models import Role
from labeling.projects.models import Project
from tests.factories import MembershipFactory, UserFactory
from tests.labeling.conftest import signed_in

pytestmark = pytest.mark.django_db

# Roles besides admins, who open everything of their project, and the names of what these roles open.
TABLE = {
    "contractor reviewer engineer": "appeal guideline guideline-version guideline-changes guideline-accept",
    "contractor reviewer": "queue own-work own-hours own-hours-csv own-work-csv own-piece",
    "contractor": """api-claim api-draft next sensitive-work work work-skip work-recall demonstration-preview own-preview
        screening-question""",
    "reviewer engineer": """api-prompts api-batches-read api-checkpoints-read api-runs-read overview rounds round view-save
        view-delete view-rename quality disputes""",
    "reviewer": """screening screening-grade screening-person reviews reviews-export reviews-accept review review-accept
        review-return review-edit""",
    "engineer": """api-batches api-checkpoints api-runs api-snapshots api-snapshot api-snapshot-file round-new round-settings round-advance
        round-override round-retry round-collect round-sample round-autopilot round-close prompts prompts-export
        prompt-import-report prompt batches batches-export batch-new batch batch-pause batch-priority batch-resume
        batch-withdraw leaks checkpoints checkpoint-base checkpoint checkpoint-promote checkpoint-retire
        checkpoint-restore snapshots snapshot-new snapshot snapshot-file snapshot-verify snapshot-retry runs run-new run
        run-stop""",
    "": """api-prompts-import project-settings project-pause audit audit-export people people-export person-invite
        invitation-revoke person-role person-languages person-pay person-pause person-resume guideline-edit guideline-publish prompts-bulk
        prompts-quarantine quarantine-decide prompts-import prompt-withdraw prompt-restore leaks-decide screening-items
        screening-add screening-remove screening-decide people-work pay-report person person-account person-erase controls
        controls-agreed control-new control-more control-stop""",
}
# Who may read is the row with "-read", who may write the one without.
READ_BY_MORE = {"api-batches", "api-checkpoints", "api-runs"}
FOR_PLATFORM_ADMINS = {"person-account", "person-erase"}
NOT_OF_ONE_PROJECT = {
    *("home", "projects", "project-new", "invitation", "healthz", "readyz", "api-schema"),
    *("account", "language", "session-end", "token-new", "token-revoke"),
    *("api-run", "api-run-cancel", "api-run-metrics", "api-run-log", "api-checkpoint", "api-checkpoint-promote"),
}
ROWS = {name: set(roles.split()) for roles, names in TABLE.items() for name in names.split()}


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """(address, pattern) of every page that is ours: those of Django's admin and allauth have tests of their own."""
    for part in resolver.url_patterns:
        here = before + str(part.pattern)
        if isinstance(part, URLResolver):
            yield from () if part.namespace else routes(part, here)
        elif part.name and not part.name.startswith(("account_", "mfa_", "usersessions_")):
            yield here, part


OF_A_PROJECT = {part.name: part for here, part in routes(get_resolver()) if "<slug:slug>" in here}


def test_every_address_has_its_row_and_every_row_its_address() -> None:
    assert set(OF_A_PROJECT) == {name for name in ROWS if not name.endswith("-read")}
    others = {part.name for here, part in routes(get_resolver()) if "<slug:slug>" not in here}
    assert others == NOT_OF_ONE_PROJECT


def address(project: Project, name: str) -> str:
    """The page of the project with this name, of an object that does not exist."""
    made: dict[type, Any] = {UUIDConverter: uuid.uuid4(), IntConverter: 987_654_321}
    converters = OF_A_PROJECT[name].pattern.converters
    parts = {part: made.get(type(found), "jsonl") for part, found in converters.items()}
    return reverse(name, kwargs={**parts, "slug": project.slug})


def let_in(answer: HttpResponse) -> bool | None:
    """Whether somebody was let in; None where the page does not know the method. 404 is about the object that is not there."""
    return None if answer.status_code == 405 else answer.status_code not in {401, 403}


def test_everybody_opens_what_their_role_may_open_by_get_and_by_post() -> None:
    project = MembershipFactory(role=Role.ADMIN).project
    people = {role: signed_in(MembershipFactory(project=project, role=role).user) for role in Role.values}
    wrong = []
    for name in OF_A_PROJECT:
        at = address(project, name)
        for role, browser in people.items():
            for method, row in (("get", f"{name}-read" if name in READ_BY_MORE else name), ("post", name)):
                expected = role in ROWS[row] or (role == Role.ADMIN and name not in FOR_PLATFORM_ADMINS)
                if let_in(getattr(browser, method)(at)) is (not expected):
                    wrong.append(f"{method} {name} as {role}: {'shut out' if expected else 'let in'}")
    assert wrong == []


def test_strangers_find_nothing_and_who_is_not_signed_in_is_asked_to() -> None:
    project = MembershipFactory(role=Role.ADMIN).project
    engineer = MembershipFactory(role=Role.ADMIN).user  # of another project
    known = {
        "stranger": signed_in(engineer),
        "platform admin": signed_in(UserFactory(is_staff=True)),
        "nobody": Client(),
    }
    wrong = []
    for name in OF_A_PROJECT:
        for who, browser in known.items():
            for method in ("get", "post"):
                status = getattr(browser, method)(address(project, name)).status_code
                closed = {302, 401, 403} if who == "nobody" else {403, 404} if name.startswith("api-") else {404}
                if status not in closed | {405}:
                    wrong.append(f"{method} {name} as {who}: {status}")
    assert wrong == []
