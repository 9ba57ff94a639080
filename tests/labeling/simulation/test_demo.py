"""The demo's parts: the display, the report's lines, the lineage; the whole of it is in tests/loop."""

from __future__ import annotations

import io
import uuid

import pytest
from django.core.management import CommandError, call_command

from labeling.core.files import artifact_path
from labeling.datasets import services as datasets
from labeling.datasets.models import Snapshot
from labeling.projects.models import Project
from labeling.runs.models import Run, RunData, RunInput
from labeling.simulation import demo, report
from labeling.simulation.lineage import is_sound, problems
from labeling.simulation.profiles import DEMO, PROFILES, TINY
from labeling.simulation.progress import Display, clock
from labeling.simulation.seeding import seed_rows
from tests.factories import CheckpointFactory, ProjectFactory, PromptFactory, RunFactory, UserFactory
from training.contracts import write_manifest


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_moving_line_a_stage():
    stream = Terminal()
    display = Display(stream, stages=8)
    display.stage("PPO")
    display.show(0.5, eta=65.0, note="reward 1.2")
    display.stage("PPO")
    display.finish()
    said = stream.getvalue()
    assert said.count("\n") == 1
    assert "[1/8] PPO" in said
    assert "50%, 1:05 left, reward 1.2" in said
    assert "█" * 12 + "░" * 12 in said


def test_a_file_gets_plain_lines():
    stream = io.StringIO()
    display = Display(stream, stages=2)
    display.stage("Ranking")
    display.show(0.1)
    display.told -= 60
    display.show(0.2, note="3 of 9")
    display.stage("PPO")
    display.fail()
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert lines[0] == "[1/2] Ranking …"
    assert lines[1].strip() == "20%, 3 of 9"
    assert lines[2].startswith("[1/2] Ranking")
    assert lines[2].endswith("done in 0:00, 3 of 9")
    assert lines[3:] == ["[2/2] PPO …", "[2/2] PPO did not end well"]
    assert "\r" not in stream.getvalue()


def test_clock():
    assert [clock(seconds) for seconds in (0, 59.6, 125)] == ["0:00", "1:00", "2:05"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DEMO_SEED", "x", "DEMO_SEED must be a whole number"),
        ("DEMO_SEED", "-1", "DEMO_SEED must be a whole number"),
        ("DEMO_ROUNDS", "0", "DEMO_ROUNDS must be a whole number from 1"),
        ("DEMO_PROFILE", "huge", "DEMO_PROFILE must be one of demo, tiny"),
    ],
)
@pytest.mark.django_db
def test_a_wrong_variable_is_named_before_anything_is_made(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match=said):
        call_command("demo")
    assert not Project.objects.exists()


def test_the_display_counts_every_stage():
    assert [demo.stages_of(count) for count in (1, 2)] == [8, 12]


@pytest.mark.parametrize("profile", PROFILES.values())
def test_every_profile_fits_the_seeds(profile):
    rows = seed_rows("prompts")
    train, test = ([row for row in rows if row["split"] == split] for split in ("train", "test"))
    assert profile.ranking_prompts <= len(train)
    assert profile.evaluation_prompts <= len(test)
    measured = demo.held_back(profile)
    assert len(measured) == profile.valid_prompts
    assert measured <= {row["id"] for row in train[: profile.ranking_prompts]}
    assert len(profile.labelers) >= 5


def test_the_demo_is_as_large_as_it_is_said_to_be():
    assert len(seed_rows("prompts")) >= 120
    assert DEMO.demonstrations >= 60
    assert DEMO.evaluation_prompts >= 48


def test_the_last_round_asks_for_no_further_training_comparisons():
    assert demo.configs_of(TINY, 5, last=True)["plan"]["next_prompts"] == 0
    further = demo.configs_of(TINY, 5, last=False)["plan"]
    assert (further["next_prompts"], further["seed"]) == (TINY.ranking_prompts, 5)


@pytest.mark.parametrize(
    ("interval", "better"), [([0.51, 0.7], True), ([0.5, 0.7], False), ([0.4, 0.6], False), (None, False)]
)
def test_better_means_that_the_whole_interval_lies_above_a_half(interval, better):
    assert report.is_better({"rounds": [{"win_rate_ci95": interval}]}) is better


@pytest.mark.django_db
def test_what_a_broken_off_demo_left_gives_way():
    old = ProjectFactory(name="Demo, seed 4", autopilot=True)
    waiting = RunFactory(project=old)
    done = RunFactory(project=old, state=Run.State.SUCCEEDED)
    other = RunFactory(project=ProjectFactory(name="Real work", autopilot=True))
    demo.lay_to_rest(by=UserFactory())
    for row in (old, waiting, done, other, other.project):
        row.refresh_from_db()
    assert (old.autopilot, waiting.state, done.state) == (False, "cancelled", "succeeded")
    assert (other.project.autopilot, other.state) == (True, "queued")


# ---------------------------------------------------------------- lineage


@pytest.fixture
def policy(db):
    """A policy that a run made from the base and a snapshot of prompts, with real files."""
    project = ProjectFactory()
    for _ in range(3):
        PromptFactory(project=project)
    snapshot = datasets.freeze(project=project, kind="prompts", name="prompts", write_now=True)
    base = CheckpointFactory(project=project, kind="base", name="base")
    made = CheckpointFactory(project=project, name="ppo-1", parent=base, path=f"runs/{uuid.uuid4()}/output")
    folder = artifact_path(made.path)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    made.manifest_sha256 = write_manifest(folder)
    made.save()
    run = RunFactory(project=project, name="ppo-1", state=Run.State.SUCCEEDED, output=made)
    RunInput.objects.create(run=run, role="policy", checkpoint=base)
    RunData.objects.create(run=run, snapshot=snapshot)
    return made


def test_a_whole_lineage_is_sound(policy):
    assert problems(policy) == []
    assert is_sound(policy)
    assert not is_sound(None)


def test_a_changed_file_breaks_the_lineage(policy):
    (artifact_path(policy.path) / "config.json").write_text('{"other": 1}')
    assert "differs from the manifest" in problems(policy)[0]


def test_a_replaced_manifest_breaks_the_lineage(policy):
    folder = artifact_path(policy.path)
    (folder / "config.json").write_text('{"other": 1}')
    write_manifest(folder)
    assert "differs from the one that was registered" in problems(policy)[0]


def test_a_changed_snapshot_breaks_the_lineage(policy):
    snapshot = Snapshot.objects.get()
    shard = artifact_path(snapshot.path) / snapshot.files[0]["path"]
    shard.write_text(shard.read_text().replace("Explain", "Ignore"))
    assert problems(policy) == ["prompts does not rebuild to the same bytes."]


def test_learning_from_held_out_prompts_breaks_the_lineage(policy):
    policy.project.prompts.update(split="test")
    assert any("held-out prompts" in problem for problem in problems(policy))


def test_a_policy_without_a_run_breaks_the_lineage(policy):
    stray = CheckpointFactory(project=policy.project, name="stray")
    assert problems(stray) == ["stray has no run."]


def test_a_change_shows_both_ends_and_no_negative_zero():
    assert report.change({"kl_before": -0.0001, "kl_after": 3.14159}, "kl_before", "kl_after") == "0.000 → 3.142"
    assert report.change({"kl_before": None, "kl_after": 1.0}, "kl_before", "kl_after") == ""
