"""Demo accounts and the project they find."""

from __future__ import annotations

import json
import stat

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from labeling.comparisons.models import Comparison
from labeling.people.models import User
from labeling.projects.models import Membership, Project
from labeling.prompts.models import Prompt
from labeling.simulation import accounts
from labeling.simulation.seeding import answers, seed_rows
from labeling.simulation.starter import stored_completions


@pytest.fixture
def var(tmp_path, monkeypatch):
    """A data directory and a base model of the test's own."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    monkeypatch.setattr(settings, "VAR_DIR", tmp_path / "var")
    monkeypatch.setattr(settings, "BASE_MODEL", str(model))
    return tmp_path / "var"


@pytest.mark.django_db
def test_one_account_per_role_with_a_password_that_opens_it(var):
    found = accounts.ensure_demo_accounts()
    assert [role for role, _, _ in found] == ["contractor", "reviewer", "admin", "engineer"]
    for _, email, password in found:
        assert User.objects.get(email=email).check_password(password)
    assert len({password for _, _, password in found}) == 4
    assert [user.email for user in User.objects.filter(is_staff=True)] == ["admin@loop.example"]
    assert not User.objects.filter(is_superuser=True).exists()


@pytest.mark.django_db
def test_the_passwords_are_kept_for_the_owner_alone(var):
    first = accounts.ensure_demo_accounts()
    kept = var / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert set(json.loads(kept.read_text())) == {email for _, email, _ in first}
    assert accounts.ensure_demo_accounts() == first
    assert User.objects.count() == 4
    assert Project.objects.count() == 1


@pytest.mark.django_db
def test_a_password_its_owner_changed_is_not_shown(var):
    accounts.ensure_demo_accounts()
    person = User.objects.get(email="engineer@loop.example")
    person.set_password("something of their own")
    person.save()
    shown = {role: password for role, _, password in accounts.ensure_demo_accounts()}
    assert shown["engineer"] == accounts.CHANGED
    assert shown["admin"] != accounts.CHANGED


@pytest.mark.django_db
def test_the_first_project_has_something_to_write_and_to_rank(var):
    accounts.ensure_demo_accounts()
    project = Project.objects.get()
    assert project.prompts.count() == len(seed_rows("prompts"))
    assert set(Membership.objects.filter(project=project).values_list("role", flat=True)) == {
        "contractor",
        "reviewer",
        "admin",
        "engineer",
    }
    train = project.prompts.filter(split=Prompt.Split.TRAIN)
    assert project.tasks.filter(kind="demonstration").count() == train.count()
    compared = Comparison.objects.filter(task__project=project)
    assert compared.count() >= 6
    assert {item.completions.count() for item in compared} <= {2, 3, 4}
    assert set(compared.values_list("completions__checkpoint__kind", flat=True)) == {"base"}


@pytest.mark.django_db
def test_stored_completions_belong_to_seed_prompts(var):
    texts = {row["id"] for row in seed_rows("prompts") if row["split"] == "train"}
    assert {row["prompt_id"] for row in seed_rows("completions")} <= texts
    accounts.ensure_demo_accounts()
    groups = stored_completions(Project.objects.get())
    assert sum(map(len, groups)) >= 24


def test_at_least_sixty_demonstrations_for_different_prompts():
    assert len(answers()) == len(seed_rows("demonstrations")) >= 60


@pytest.mark.django_db
def test_the_command_prints_them_and_refuses_a_real_server(var, capsys, monkeypatch):
    call_command("demo_accounts")
    assert capsys.readouterr().out.count("@loop.example") == 4
    monkeypatch.setattr(settings, "EMBEDDED", False)
    with pytest.raises(CommandError, match="server of yours"):
        call_command("demo_accounts")
