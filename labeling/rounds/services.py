"""The loop. `advance_round` is the flow chart of the whole product: one `match` on the round's state.

demonstrations → sft → sample → comparisons → reward → ppo → next → closed
                                    ↑                              │
                                    └────────── round n + 1 ───────┘
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.checkpoints import selectors as registry
from labeling.checkpoints import services as checkpoints
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Comparison
from labeling.core import audit, broker
from labeling.core.clock import db_now
from labeling.core.errors import BadInput, Conflict, LoopError, WrongState
from labeling.core.kept_words import in_english
from labeling.core.transitions import move
from labeling.people.models import User
from labeling.projects.models import Project
from labeling.rounds import kept_words as words
from labeling.rounds import stages
from labeling.rounds.gates import gates_of, judgements_asked, rankings_of
from labeling.rounds.leaderboard import standing
from labeling.rounds.models import Round
from labeling.rounds.plan import check_configs, plan_of
from labeling.runs import services as runs
from labeling.runs.models import Run

State = Round.State


@transaction.atomic
def open_round(
    *, project: Project, by: User | None, configs: dict[str, Any] | None = None, policy: Checkpoint | None = None
) -> Round:
    """Open the project's next round: with demonstrations, or, given the policy to start from, with sampling it.

    Raises Conflict while another round is open, BadInput for unknown or wrong settings.
    """
    Project.objects.select_for_update(of=("self",)).get(pk=project.pk)
    last = Round.objects.filter(project=project).first()
    if last is not None and last.state != State.CLOSED:
        raise Conflict(_("Round %(number)s is still open: finish or close it first.") % {"number": last.number})
    if policy is not None and (policy.project_id != project.pk or policy.kind == Checkpoint.Kind.REWARD):
        raise BadInput(_("A round starts from a policy of its own project."), field="policy")
    loop_round = Round(
        project=project,
        number=last.number + 1 if last else 1,
        state=State.SAMPLE if policy else State.DEMONSTRATIONS,
        configs=check_configs(project=project, configs=configs or (last.configs if last else {})),
        policy=policy,
        demonstrations_snapshot=last.demonstrations_snapshot if last and policy else None,
    )
    plan = plan_of(loop_round)
    if not plan.evaluation_prompts and not plan.next_prompts:
        raise BadInput(
            _("A round ends with comparisons of its new policy: raise the project's evaluation target."),
            field="plan.evaluation_prompts",
        )
    try:
        with transaction.atomic():
            loop_round.save()
    except IntegrityError as problem:
        raise Conflict(_("Another round was opened at the same moment: reload the page.")) from problem
    audit.record("opened", loop_round, by=by, after={"number": loop_round.number, "state": loop_round.state})
    nudge(loop_round)
    return loop_round


@transaction.atomic
def advance_round(*, round_id: int, by: User | None = None, override: bool = False) -> bool:
    """Take a round one step on if it can go: leave a state whose gates are open, or start the run that a state needs.

    Returns whether anything changed, so calling it again and again does no harm. `override` passes thresholds by (a
    person's decision), never facts such as a run that has not succeeded.
    """
    loop_round = lock(round_id)
    is_open = all(gate.passed or (override and gate.threshold) for gate in gates_of(loop_round))
    match State(loop_round.state):
        case State.CLOSED:
            return False
        case State.DEMONSTRATIONS if is_open:
            stages.begin_sft(loop_round, by)
        case State.SFT if is_open:
            stages.begin_sampling(loop_round, by)
        case State.SAMPLE if is_open:
            stages.begin_comparisons(loop_round, by)
        case State.COMPARISONS if is_open:
            stages.begin_reward(loop_round, by)
        case State.REWARD if is_open:
            stages.begin_ppo(loop_round, by)
        case State.PPO if is_open:
            stages.begin_next(loop_round, by)
        case State.NEXT if is_open:
            loop_round = stages.close_the_loop(loop_round, by, closed_at=db_now())
        case State.DEMONSTRATIONS | State.COMPARISONS:
            return promote_if_preferred(loop_round)
        case _:
            return tend_run(loop_round, by)
    if override:
        audit.record("overrode the gates of", loop_round, by=by)
    nudge(loop_round)
    return True


def tend_run(loop_round: Round, by: User | None) -> bool:
    """Start the run of this state, or say on the round why it cannot go on."""
    run = stages.run_of(loop_round)
    if run is None:
        return stages.start_run(loop_round, by)
    if run.state in (Run.State.FAILED, Run.State.CANCELLED):
        why = (run.error.strip().splitlines() or [words.WAS_STOPPED])[-1]
        said = {"name": run.name, "state": words.RUN_STATES[run.state], "why": why}
        return block(loop_round, words.RUN_ENDED % said)
    if run.state == Run.State.SUCCEEDED:
        short = [gate.shortfall for gate in gates_of(loop_round) if not gate.passed]
        return block(loop_round, words.BELOW_THRESHOLD % {"short": "; ".join(short)})
    return False


def promote_if_preferred(loop_round: Round) -> bool:
    """Promote the last round's policy once all its judgements are in and its interval lies above one half."""
    last = Round.objects.filter(project=loop_round.project, number=loop_round.number - 1).first()
    new = last.new_policy if last else None
    asked = judgements_asked(loop_round, Comparison.Purpose.EVALUATION)
    if last is None or new is None or new.state != Checkpoint.State.CANDIDATE or not asked:
        return False
    if rankings_of(loop_round, Comparison.Purpose.EVALUATION).count() < asked:
        return False
    promoted = registry.promoted(project=loop_round.project, kind=Checkpoint.Kind.POLICY)
    found = standing(last)
    if promoted != last.policy or found is None or found.win is None or found.win.low <= 0.5:
        return False
    checkpoints.promote(checkpoint=new, by=None)
    return True


def block(loop_round: Round, why: str) -> bool:
    """Say on the round why it cannot go on and what a person can do; True when that is news."""
    if loop_round.blocked == why:
        return False
    loop_round.blocked = why
    loop_round.save(update_fields=["blocked"])
    audit.record("blocked", loop_round, after={"state": loop_round.state})
    return True


def drive(*, round_id: int) -> bool:
    """Advance for the autopilot: what stands in the way is written on the round instead of raised."""
    try:
        with in_english():
            return advance_round(round_id=round_id)
    except LoopError as problem:
        with transaction.atomic():
            block(lock(round_id), problem.detail)
        return False


@transaction.atomic
def retry_stage(*, round_id: int, by: User | None) -> None:
    """Let go of the run of this state, so that the next step starts a new one; a live run is asked to stop first."""
    loop_round = lock(round_id)
    run = stages.run_of(loop_round)
    if run is None and not loop_round.blocked:
        raise WrongState(_("There is no run to retry in this state."))
    if run is not None:
        if not run.is_over:
            runs.request_cancel(run=run, by=by)
        setattr(loop_round, stages.RUNNING[State(loop_round.state)].field, None)
    loop_round.blocked = ""
    loop_round.save()
    audit.record("retried", loop_round, by=by, before={"run": str(run.pk) if run else ""})
    nudge(loop_round)


@transaction.atomic
def collect_more(*, round_id: int, by: User | None) -> None:
    """Go back from training the reward model to collecting rankings."""
    loop_round = lock(round_id)
    run = loop_round.reward_run
    if run is not None and not run.is_over:
        raise Conflict(_("Run %(name)s is still working: stop it first.") % {"name": run.name})
    move(loop_round, to=State.COMPARISONS, by=by, rankings_snapshot=None, reward_run=None, blocked="")


@transaction.atomic
def sample_again(*, round_id: int, by: User | None) -> None:
    """From collecting rankings, sample this round's policy on training prompts, for more comparisons."""
    loop_round = lock(round_id)
    move(loop_round, to=State.SAMPLE, by=by, sample_run=None, blocked="")
    nudge(loop_round)


@transaction.atomic
def close_round(*, round_id: int, by: User | None) -> None:
    """End a round where it stands; its live run is asked to stop, its open tasks stay."""
    loop_round = lock(round_id)
    run = stages.run_of(loop_round)
    if run is not None and not run.is_over:
        runs.request_cancel(run=run, by=by)
    move(loop_round, to=State.CLOSED, by=by, closed_at=db_now(), blocked="")


@transaction.atomic
def change_configs(*, round_id: int, configs: dict[str, Any], by: User | None) -> None:
    """Settings for the stages that have not started yet; raises BadInput naming the wrong one."""
    loop_round = lock(round_id)
    if loop_round.state == State.CLOSED:
        raise WrongState(_("This round is closed: set the next one's settings instead."))
    before, loop_round.configs = loop_round.configs, check_configs(project=loop_round.project, configs=configs)
    loop_round.save(update_fields=["configs"])
    audit.record("changed the settings of", loop_round, by=by, before=before, after=configs)


@transaction.atomic
def set_autopilot(*, project: Project, on: bool, by: User | None) -> None:
    """Let rounds go on by themselves, or not."""
    Project.objects.select_for_update(of=("self",)).get(pk=project.pk)
    project.autopilot = on
    project.save(update_fields=["autopilot"])
    audit.record("switched autopilot", project, by=by, after={"autopilot": on})
    for loop_round in Round.objects.filter(project=project).exclude(state=State.CLOSED):
        nudge(loop_round)


def lock(round_id: int) -> Round:
    """The round, locked until the transaction ends."""
    Round.objects.select_for_update(of=("self",)).get(pk=round_id)
    related = ("project", "policy", "new_policy", "reward", *(stage.field for stage in stages.RUNNING.values()))
    return Round.objects.select_related(*related).get(pk=round_id)


def nudge(loop_round: Round) -> None:
    """Wake the autopilot for the next step, where the project has it on."""
    if loop_round.project.autopilot and loop_round.state != State.CLOSED:
        broker.wake("rounds.advance", loop_round.pk)
