"""What the arrows of the flow chart do: each function leaves one state of a locked round and enters the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from labeling.assignments.models import TaskBatch
from labeling.checkpoints import selectors as registry
from labeling.checkpoints import services as checkpoints
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons import selectors as completions
from labeling.comparisons import services as comparisons
from labeling.comparisons.models import Comparison
from labeling.core.errors import Conflict, LoopError
from labeling.core.kept_words import told
from labeling.core.transitions import move
from labeling.datasets import services as datasets
from labeling.datasets.models import Snapshot
from labeling.prompts.models import Prompt
from labeling.rounds.models import Round
from labeling.rounds.plan import config_of, left_out, plan_of
from labeling.runs import services as runs
from labeling.runs.models import Run

State = Round.State
LEARNED_FROM = (Prompt.Split.TRAIN, Prompt.Split.VALID)  # valid prompts are ranked too: they measure the reward model
HELD_OUT = (Prompt.Split.TEST,)


@dataclass(frozen=True)
class Stage:
    """A state in which a run works: the field that holds it, its kind, and the part of the configs that is its own."""

    field: str
    kind: str
    part: str


RUNNING = {
    State.SFT: Stage("sft_run", Run.Kind.SFT, "sft"),
    State.SAMPLE: Stage("sample_run", Run.Kind.SAMPLE, "sample"),
    State.REWARD: Stage("reward_run", Run.Kind.REWARD, "reward"),
    State.PPO: Stage("ppo_run", Run.Kind.PPO, "ppo"),
    State.NEXT: Stage("next_run", Run.Kind.SAMPLE, "next"),
}


def run_of(loop_round: Round) -> Run | None:
    """The run of the state the round is in."""
    stage = RUNNING.get(State(loop_round.state))
    return getattr(loop_round, stage.field) if stage else None


# ---------------------------------------------------------------- runs


def start_run(loop_round: Round, by: Any) -> bool:
    """Queue the run of this state once the files of its snapshots are written; False while they are not."""
    stage = RUNNING[State(loop_round.state)]
    snapshots = data_of(loop_round, by)
    for snapshot in snapshots:
        if snapshot.state == Snapshot.State.FAILED:
            raise Conflict(
                _("The files of snapshot %(name)s could not be written: %(error)s")
                % {"name": snapshot.name, "error": told(snapshot.error)}
            )
    if any(snapshot.state != Snapshot.State.READY for snapshot in snapshots):
        return False
    run = runs.queue_run(
        project=loop_round.project,
        kind=stage.kind,
        name=f"{stage.part}-{loop_round.number}",
        config=config_of(loop_round, stage.part),
        by=by,
        snapshots=snapshots,
        inputs=inputs_of(loop_round),
        seed=plan_of(loop_round).seed,
        round_number=loop_round.number,
    )
    setattr(loop_round, stage.field, run)
    loop_round.save(update_fields=[stage.field])
    return True


def data_of(loop_round: Round, by: Any) -> list[Snapshot]:
    """The snapshots that the run of this state reads; those of prompts are frozen at the first call."""
    plan = plan_of(loop_round)
    match loop_round.state:
        case State.SFT:
            found = [loop_round.demonstrations_snapshot]
        case State.SAMPLE:
            found = [prompts(loop_round, LEARNED_FROM, plan.sample_prompts, by)]
        case State.REWARD:
            found = [loop_round.rankings_snapshot, loop_round.demonstrations_snapshot]
        case State.PPO:
            found = [keep(loop_round, "prompts_snapshot", prompts(loop_round, (Prompt.Split.TRAIN,), None, by))]
        case State.NEXT:
            found = []
            if plan.evaluation_prompts:
                held_out = prompts(loop_round, HELD_OUT, plan.evaluation_prompts, by)
                found.append(keep(loop_round, "heldout_snapshot", held_out))
            if plan.next_prompts:
                found.append(prompts(loop_round, LEARNED_FROM, plan.next_prompts, by))
        case _:
            raise ValueError(f"no run works while a round is in state {loop_round.state}")
    return [snapshot for snapshot in found if snapshot is not None]


def inputs_of(loop_round: Round) -> dict[str, list[Checkpoint]]:
    """The checkpoints that the run of this state reads, by role."""
    base = registry.base_of(project=loop_round.project)
    policy = loop_round.policy or base
    if policy is None:
        raise Conflict(_("This project has no base model: register one on the page of checkpoints, then go on."))
    if loop_round.state == State.SFT:
        return {"policy": [base or policy]}
    if loop_round.state == State.PPO and loop_round.reward is not None:
        return {"policy": [policy], "reward": [loop_round.reward]}
    if loop_round.state == State.NEXT and loop_round.new_policy is not None:
        return {"policy": [loop_round.new_policy, policy]}
    return {"policy": [policy]}


# ---------------------------------------------------------------- snapshots


def prompts(loop_round: Round, splits: Sequence[str], limit: int | None, by: Any) -> Snapshot:
    """The round's snapshot of active prompts of these splits; frozen once, found again afterwards."""
    rules: dict[str, Any] = {"splits": [str(split) for split in splits], **({"limit": limit} if limit else {})}
    kind = Snapshot.Kind.PROMPTS
    same = Snapshot.objects.filter(
        project=loop_round.project, kind=kind, round_number=loop_round.number, rules=rules
    ).exclude(state=Snapshot.State.FAILED)
    return same.first() or frozen(
        loop_round, kind, f"{' and '.join(splits)} prompts{f' ({limit})' if limit else ''}", rules, by
    )


def frozen(loop_round: Round, kind: str, name: str, rules: dict[str, Any], by: Any) -> Snapshot:
    """A new snapshot of this round; raises Conflict that names it when the rules leave no row."""
    stem = f"round {loop_round.number} {name}"
    taken = set(
        Snapshot.objects.filter(project=loop_round.project, name__startswith=stem).values_list("name", flat=True)
    )
    free = next(
        candidate for n in range(1, len(taken) + 2) if (candidate := stem if n == 1 else f"{stem} ({n})") not in taken
    )
    try:
        return datasets.freeze(
            project=loop_round.project, kind=kind, name=free, rules=rules, by=by, round_number=loop_round.number
        )
    except LoopError as problem:
        raise Conflict(_("Snapshot “%(free)s”: %(detail)s") % {"free": free, "detail": problem.detail}) from problem


def keep(loop_round: Round, field: str, snapshot: Snapshot) -> Snapshot:
    """Note on the round which snapshot a stage used."""
    if getattr(loop_round, f"{field}_id") != snapshot.pk:
        setattr(loop_round, field, snapshot)
        loop_round.save(update_fields=[field])
    return snapshot


# ---------------------------------------------------------------- arrows


def begin_sft(loop_round: Round, by: Any) -> None:
    """Enough demonstrations: freeze them, without the work of people whom the plan leaves out."""
    snapshot = frozen(loop_round, Snapshot.Kind.DEMONSTRATIONS, "demonstrations", left_out(loop_round), by)
    move(loop_round, to=State.SFT, by=by, demonstrations_snapshot=snapshot, blocked="")


def begin_sampling(loop_round: Round, by: Any) -> None:
    """The supervised policy is there: it is what this round starts from."""
    assert loop_round.sft_run is not None
    policy = output_of(loop_round.sft_run)
    if registry.promoted(project=loop_round.project, kind=Checkpoint.Kind.POLICY) is None:
        checkpoints.promote(checkpoint=policy, by=by)
    move(loop_round, to=State.SAMPLE, by=by, policy=policy, blocked="")


def begin_comparisons(loop_round: Round, by: Any) -> None:
    """The completions are stored: put them before labelers, K to a comparison."""
    run, plan = loop_round.sample_run, plan_of(loop_round)
    assert run is not None and loop_round.policy is not None
    k = loop_round.project.completions_per_comparison
    made = compare(
        loop_round,
        run,
        [loop_round.policy],
        LEARNED_FROM,
        k=min(k, config_of(loop_round, "sample")["n"]),
        overlap=plan.overlap,
        round_number=loop_round.number,
        by=by,
    )
    if made is None:
        raise Conflict(
            _("Run %(name)s left no prompt with %(k)s completions to compare: look at its page, then retry it.")
            % {"name": run.name, "k": k}
        )
    move(loop_round, to=State.COMPARISONS, by=by, blocked="")


def begin_reward(loop_round: Round, by: Any) -> None:
    """Enough rankings: freeze all that were made so far, earlier rounds' included."""
    snapshot = frozen(
        loop_round, Snapshot.Kind.RANKINGS, "rankings", {"purpose": "training", **left_out(loop_round)}, by
    )
    move(loop_round, to=State.REWARD, by=by, rankings_snapshot=snapshot, blocked="")


def begin_ppo(loop_round: Round, by: Any) -> None:
    """The reward model is good enough: it becomes the project's."""
    assert loop_round.reward_run is not None
    reward = output_of(loop_round.reward_run)
    checkpoints.promote(checkpoint=reward, by=by)
    move(loop_round, to=State.PPO, by=by, reward=reward, blocked="")


def begin_next(loop_round: Round, by: Any) -> None:
    """The new policy is there: sample it beside the one it started from."""
    assert loop_round.ppo_run is not None
    move(loop_round, to=State.NEXT, by=by, new_policy=output_of(loop_round.ppo_run), blocked="")


def close_the_loop(loop_round: Round, by: Any, *, closed_at: Any) -> Round:
    """Close the round; its new policy's completions against its parent's are the first comparisons of the next one."""
    run, plan, number = loop_round.next_run, plan_of(loop_round), loop_round.number + 1
    new, parent = loop_round.new_policy, loop_round.policy
    assert run is not None and new is not None and parent is not None
    k = 2 * min(config_of(loop_round, "next")["n"], 4)
    for splits, overlap in ((HELD_OUT, plan.evaluation_overlap), (LEARNED_FROM, plan.overlap)):
        compare(loop_round, run, [new, parent], splits, k=k, overlap=overlap, round_number=number, by=by)
    move(loop_round, to=State.CLOSED, by=by, closed_at=closed_at, blocked="")
    return Round.objects.create(
        project=loop_round.project,
        number=number,
        state=State.COMPARISONS,
        configs=loop_round.configs,
        policy=new,
        demonstrations_snapshot=loop_round.demonstrations_snapshot,
    )


def compare(
    loop_round: Round,
    run: Run,
    policies: Iterable[Checkpoint],
    splits: Sequence[str],
    *,
    k: int,
    overlap: int,
    round_number: int,
    by: Any,
) -> TaskBatch | None:
    """Comparison tasks from one sample run, for the prompts of these splits that it read; None when there are none."""
    project, policies = loop_round.project, list(policies)
    asked = Prompt.objects.filter(project=project, split__in=splits, completions__source_run=run.pk).distinct()
    groups = completions.completion_groups(project=project, checkpoints=policies, prompts=asked, k=k, run_id=run.pk)
    if not groups:
        return None
    held_out = splits == HELD_OUT
    purpose = Comparison.Purpose.EVALUATION if held_out else Comparison.Purpose.TRAINING
    names = " against ".join(policy.name for policy in policies)
    return comparisons.create_comparisons(
        project=project,
        groups=groups,
        by=by,
        overlap=overlap,
        priority=1 if held_out else 0,
        purpose=purpose,
        title=f"{names}, {'held-out' if held_out else 'training'} prompts"[:120],
        round_number=round_number,
    )


def output_of(run: Run) -> Checkpoint:
    """The checkpoint a run published; raises Conflict when it published none."""
    if run.output is None:
        raise Conflict(
            _("Run %(name)s succeeded without a checkpoint: start the stage again with Retry.") % {"name": run.name}
        )
    return run.output
