"""The flow chart, one arrow at a time; runs end as the tests say, everything else is real."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from labeling.assignments.models import Task
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Comparison
from labeling.core.errors import BadInput, Conflict, WrongState
from labeling.datasets.models import SnapshotMember
from labeling.rounds import services, stages
from labeling.rounds.gates import gates_of
from labeling.rounds.models import Round
from labeling.runs.models import Run

State = Round.State


def test_a_round_waits_for_its_demonstrations(loop):
    loop.open()
    assert not loop.step()
    loop.label(limit=1)
    assert not loop.step()
    [gate] = gates_of(loop.round)
    assert (gate.value, gate.target, gate.passed) == ("1", "2", False)
    loop.label(limit=1)
    assert loop.step()
    assert loop.round.state == State.SFT
    assert loop.round.demonstrations_snapshot.rows == 2


def test_advancing_again_starts_one_run_only(loop):
    loop.open()
    loop.label()
    loop.step()
    assert loop.step()
    assert not loop.step()
    assert not loop.step()
    run = Run.objects.get(project=loop.project)
    assert (run.kind, run.name, run.round_number) == ("sft", "sft-1", 1)
    assert [item.checkpoint for item in run.inputs.all()] == [loop.base]


def test_the_run_waits_for_the_files_of_its_snapshot(loop):
    loop.open()
    loop.label()
    services.advance_round(round_id=loop.round.pk)  # freezes; nobody writes the files
    assert not services.advance_round(round_id=loop.round.pk)
    assert not Run.objects.exists()


def test_the_supervised_policy_is_promoted_and_sampled(loop):
    loop.open()
    loop.label()
    loop.step()
    loop.succeed()
    loop.step()
    assert loop.round.state == State.SAMPLE
    assert loop.round.policy.name == "sft-1"
    assert loop.round.policy.state == Checkpoint.State.PROMOTED
    run = loop.run()
    assert run.config["n"] == 4
    prompts = SnapshotMember.objects.filter(snapshot__used_by__run=run)
    assert set(prompts.values_list("prompt__split", flat=True)) == {"train"}
    assert prompts.count() == 3, "comparisons_target / overlap prompts"


def test_completions_become_comparisons_of_k(loop):
    loop.open()
    loop.until(State.COMPARISONS)
    tasks = Task.objects.filter(project=loop.project, kind="comparison")
    assert [task.comparison.completions.count() for task in tasks] == [4, 4, 4]
    assert set(tasks.values_list("round_number", flat=True)) == {1}


def test_rankings_open_the_gate_to_the_reward_model(loop):
    loop.open()
    loop.until(State.COMPARISONS)
    loop.label(limit=2)
    assert not loop.step()
    loop.label(limit=1)
    assert loop.step()
    assert loop.round.rankings_snapshot.rows == 3
    run = loop.run()
    assert {item.snapshot.kind for item in run.data.all()} == {"rankings", "demonstrations"}
    assert [item.checkpoint.name for item in run.inputs.all()] == ["sft-1"]


def test_a_poor_reward_model_blocks_until_a_person_decides(loop):
    loop.open()
    loop.until(State.REWARD)
    loop.project.min_reward_accuracy = 0.6
    loop.project.save()
    loop.succeed(accuracy=0.55)
    assert loop.step()
    assert "55.0%" in loop.round.blocked
    assert "60%" in loop.round.blocked
    assert loop.round.state == State.REWARD
    assert not loop.step(), "it stays blocked"
    assert loop.step(override=True, by=loop.admin)
    assert (loop.round.state, loop.round.blocked) == (State.PPO, "")
    assert loop.round.reward.state == Checkpoint.State.PROMOTED


def test_an_override_never_passes_an_unfinished_run(loop):
    loop.open()
    loop.label()
    loop.step()
    loop.run()
    assert not loop.step(override=True, by=loop.admin)
    assert loop.round.state == State.SFT


def test_ppo_learns_on_training_prompts_with_policy_and_reward(loop):
    loop.open()
    loop.until(State.PPO)
    run = loop.run()
    assert {item.role: item.checkpoint.name for item in run.inputs.all()} == {"policy": "sft-1", "reward": "reward-1"}
    splits = SnapshotMember.objects.filter(snapshot__used_by__run=run).values_list("prompt__split", flat=True)
    assert list(splits) == ["train"] * 4


def test_too_much_kl_blocks(loop):
    loop.open()
    loop.until(State.PPO)
    loop.project.max_kl = 5
    loop.project.save()
    loop.succeed(kl_after=7.5)
    loop.step()
    assert "7.50 nats an answer" in loop.round.blocked


def test_the_round_closes_into_comparisons_of_the_next_one(loop):
    loop.open()
    loop.until(State.NEXT)
    run = loop.run()
    assert [item.checkpoint.name for item in run.inputs.order_by("id")] == ["ppo-1", "sft-1"]
    assert run.config["n"] == 2
    loop.succeed()
    assert loop.step()
    first = Round.objects.get(project=loop.project, number=1)
    assert first.state == State.CLOSED
    assert first.closed_at is not None
    second = loop.round
    assert (second.number, second.state, second.policy.name) == (2, State.COMPARISONS, "ppo-1")
    made = Comparison.objects.filter(task__round_number=2)
    held_out = made.filter(purpose="evaluation")
    assert set(held_out.values_list("task__prompt__split", flat=True)) == {"test"}
    assert held_out.count() == 2
    for comparison in made:
        names = sorted(comparison.completions.values_list("checkpoint__name", flat=True))
        assert names == ["ppo-1", "ppo-1", "sft-1", "sft-1"]


def test_a_failed_run_blocks_and_a_retry_starts_a_new_one(loop):
    loop.open()
    loop.label()
    loop.step()
    failed = loop.fail("RuntimeError: out of memory")
    assert loop.step()
    assert "out of memory" in loop.round.blocked
    assert not loop.step()
    services.retry_stage(round_id=loop.round.pk, by=loop.admin)
    assert loop.round.blocked == ""
    loop.step()
    assert stages.run_of(loop.round).pk != failed.pk
    assert Run.objects.filter(kind="sft").count() == 2


def test_collecting_more_rankings_freezes_a_new_snapshot(loop):
    loop.open()
    loop.until(State.REWARD)
    first = loop.round.rankings_snapshot
    loop.fail()
    services.collect_more(round_id=loop.round.pk, by=loop.admin)
    assert loop.round.state == State.COMPARISONS
    loop.until(State.REWARD)
    assert loop.round.rankings_snapshot.pk != first.pk


def test_evaluation_rankings_are_never_trained_on(loop):
    loop.open()
    loop.until(State.NEXT)
    loop.until(State.COMPARISONS)
    loop.until(State.REWARD)
    assert loop.round.number == 2
    members = SnapshotMember.objects.filter(snapshot=loop.round.rankings_snapshot)
    assert set(members.values_list("ranking__comparison__purpose", flat=True)) == {"training"}
    assert members.count() == 6, "three rankings of each round"


def test_a_preferred_policy_is_promoted_when_all_judgements_are_in(loop, monkeypatch):
    from labeling.quality.intervals import Estimate
    from labeling.rounds.leaderboard import Standing

    found = Standing("ppo-1", "sft-1", 2, Estimate(0.7, 0.6, 0.8, 2, 2), None)
    monkeypatch.setattr(services, "standing", lambda loop_round: found)
    loop.open()
    loop.until(State.NEXT)
    loop.until(State.COMPARISONS)
    loop.project.comparisons_target = 1000
    loop.project.save()
    assert not loop.step(), "nothing is judged yet"
    loop.label()
    assert loop.step()
    assert Checkpoint.objects.get(project=loop.project, kind="policy", state="promoted").name == "ppo-1"


def test_only_one_round_is_open(loop):
    loop.open()
    with pytest.raises(Conflict, match="Round 1 is still open"):
        services.open_round(project=loop.project, by=loop.admin)
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.create(project=loop.project, number=2)
    assert Round.objects.count() == 1


@pytest.mark.parametrize(
    ("configs", "field"),
    [
        ({"pop": {}}, "pop"),
        ({"ppo": {"updatez": 3}}, "ppo.updatez"),
        ({"ppo": {"updates": 0}}, "ppo.updates"),
        ({"next": {"temperature": "hot"}}, "next.temperature"),
        ({"plan": {"overlap": 0}}, "plan.overlap"),
        ({"plan": {"prompts": 3}}, "plan.prompts"),
        ({"plan": {"evaluation_prompts": 0, "next_prompts": 0}}, "plan.evaluation_prompts"),
        ({"plan": {"without_labelers": "all"}}, "plan.without_labelers"),
        ({"plan": {"without_labelers": ["6f9619ff-8b86-d011-b42d-00c04fc964ff"]}}, "plan.without_labelers"),
        ({"sft": []}, "sft"),
    ],
)
def test_wrong_settings_are_named_and_nothing_is_opened(loop, configs, field):
    with pytest.raises(BadInput) as problem:
        services.open_round(project=loop.project, by=loop.admin, configs=configs)
    assert problem.value.field == field
    assert not Round.objects.exists()


def test_a_closed_round_stays_closed(loop):
    loop.open()
    services.close_round(round_id=loop.round.pk, by=loop.admin)
    assert not loop.step()
    with pytest.raises(WrongState):
        services.close_round(round_id=loop.round.pk, by=loop.admin)
    assert services.open_round(project=loop.project, by=loop.admin, policy=None).number == 2


def test_the_autopilot_writes_what_stands_in_the_way_instead_of_raising(loop):
    loop.open()
    loop.until(State.COMPARISONS)
    loop.label()
    loop.project.prompts.update(state="withdrawn")
    assert not services.drive(round_id=loop.round.pk)
    assert "leave no row" in loop.round.blocked


def test_the_sweep_leaves_rounds_without_autopilot_alone(loop):
    from labeling.rounds.tasks import sweep

    loop.open()
    loop.label()
    assert sweep() == 0
    assert loop.round.state == State.DEMONSTRATIONS
    services.set_autopilot(project=loop.project, on=True, by=loop.admin)
    assert sweep() == 1
    assert loop.round.state == State.SFT


def key_of(loop, labeler) -> str:
    return str(labeler.user.memberships.get(project=loop.project).labeler_key)


def test_people_whom_the_plan_leaves_out_count_for_no_gate_and_enter_no_snapshot(loop):
    clicker, *others = loop.labelers
    loop.open(plan={"overlap": 2, "without_labelers": [key_of(loop, clicker)]})
    loop.labelers = [clicker]
    loop.label(limit=2)
    assert not loop.step(), "two demonstrations are wanted, and none of theirs counts"
    loop.labelers = others
    loop.label()
    loop.step()
    frozen = loop.round.demonstrations_snapshot
    assert (frozen.rows, frozen.excluded["by people who are left out"]) == (2, 2)
    loop.until(State.COMPARISONS)
    made = loop.project.rankings.count()
    loop.labelers = [clicker]
    loop.label(limit=1)
    gate = gates_of(loop.round)[0]
    assert (gate.count, loop.project.rankings.count()) == (made, made + 1)
    loop.labelers = others
    loop.until(State.REWARD)
    rankings = SnapshotMember.objects.filter(snapshot=loop.round.rankings_snapshot)
    assert clicker.user.pk not in set(rankings.values_list("ranking__labeler", flat=True))
    assert loop.round.rankings_snapshot.excluded["by people who are left out"] == 1
