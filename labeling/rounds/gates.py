"""What a round waits for, each condition with its number. Read by the page and by `advance_round`."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from labeling.assignments.models import HIDDEN_PRIORITY, Slot, Task
from labeling.comparisons import selectors as comparisons
from labeling.comparisons.models import Comparison, Ranking
from labeling.datasets.rules import people_of
from labeling.demonstrations import selectors as demonstrations
from labeling.prompts.models import Prompt
from labeling.quality.review_selectors import usable
from labeling.rounds import kept_words as words
from labeling.rounds.models import Round
from labeling.rounds.plan import plan_of
from labeling.runs.models import Run

State = Round.State


@dataclass(frozen=True)
class Gate:
    """One condition, in words that a row may keep. A threshold is the project's choice: a person may pass it by, a fact not."""

    name: str
    value: str
    target: str
    passed: bool
    share: float
    threshold: bool = True
    count: int = 0  # of what is counted

    @property
    def shortfall(self) -> str:
        """One sentence for `Round.blocked` and, told, for the page."""
        return words.SHORTFALL % {"name": self.name, "value": self.value, "target": self.target}


def gates_of(loop_round: Round) -> list[Gate]:
    """The conditions of the state the round is in, in the order in which they matter."""
    project = loop_round.project
    match loop_round.state:
        case State.DEMONSTRATIONS:
            return [count_gate(words.DEMONSTRATIONS, demonstrations_of(loop_round), project.demonstrations_target)]
        case State.SFT:
            return [run_gate(loop_round.sft_run)]
        case State.SAMPLE:
            return [run_gate(loop_round.sample_run)]
        case State.COMPARISONS:
            return ranking_gates(loop_round)
        case State.REWARD:
            run = loop_round.reward_run
            return [run_gate(run), least_gate(run, project.min_reward_accuracy)]
        case State.PPO:
            run = loop_round.ppo_run
            return [run_gate(run), most_gate(run, project.max_kl)]
        case State.NEXT:
            return [run_gate(loop_round.next_run)]
        case _:
            return []


def demonstrations_of(loop_round: Round) -> int:
    """Current demonstrations that supervised fine-tuning may use."""
    splits = (Prompt.Split.TRAIN, Prompt.Split.VALID)
    project = loop_round.project
    rows = demonstrations.current(project).filter(usable(project), prompt__split__in=splits)
    return rows.exclude(labeler__in=people_left_out(loop_round)).count()


def rankings_of(loop_round: Round, purpose: str) -> QuerySet[Ranking]:
    """Current rankings of the comparisons that belong to this round, as far as its snapshot takes them; no hidden controls.

    Evaluation rankings enter no snapshot of a round: those count whoever made them.
    """
    project = loop_round.project
    own = Comparison.objects.filter(purpose=purpose, task__project=project, task__round_number=loop_round.number)
    rows = comparisons.current(project).filter(usable(project), comparison__in=own)
    if purpose == Comparison.Purpose.TRAINING:
        rows = rows.exclude(labeler__in=people_left_out(loop_round))
    return rows.filter(~Exists(Slot.objects.filter(pk=OuterRef("slot"), priority=HIDDEN_PRIORITY)))


def people_left_out(loop_round: Round) -> list[int]:
    """Whose work this round's snapshots leave out."""
    keys = plan_of(loop_round).without_labelers
    return people_of(loop_round.project, keys) if keys else []


def ranking_gates(loop_round: Round) -> list[Gate]:
    """Training rankings to the project's target; and all evaluation rankings that were asked for, if any were."""
    trained = rankings_of(loop_round, Comparison.Purpose.TRAINING).count()
    gates = [count_gate(words.RANKINGS, trained, loop_round.project.comparisons_target)]
    if asked := judgements_asked(loop_round, Comparison.Purpose.EVALUATION):
        done = rankings_of(loop_round, Comparison.Purpose.EVALUATION).count()
        gates.append(count_gate(words.EVALUATION_RANKINGS, done, asked))
    return gates


def judgements_asked(loop_round: Round, purpose: str) -> int:
    """How many rankings of this purpose the round's comparisons need together; withdrawn tasks need none."""
    tasks = Task.objects.filter(
        project=loop_round.project, round_number=loop_round.number, comparison__purpose=purpose
    ).exclude(state=Task.State.WITHDRAWN)
    return sum(tasks.values_list("overlap", flat=True))


def count_gate(name: str, value: int, target: int) -> Gate:
    """At least so many."""
    return Gate(
        name, f"{value:,}", f"{target:,}", value >= target, min(1.0, value / target) if target else 1.0, count=value
    )


def run_gate(run: Run | None) -> Gate:
    """The stage's run has succeeded."""
    if run is None:
        return Gate(words.RUN, words.NOT_STARTED, words.SUCCEEDED, False, 0.0, threshold=False)
    done = run.state == Run.State.SUCCEEDED
    share = 1.0 if done else run.progress
    name = words.NAMED_RUN % {"name": run.name}
    return Gate(name, words.RUN_STATES[run.state], words.SUCCEEDED, done, share, threshold=False)


def least_gate(run: Run | None, least: float) -> Gate:
    """The reward model's accuracy on held-out rankings."""
    accuracy = metric(run, "accuracy")
    value = f"{accuracy:.1%}" if accuracy is not None else words.NOT_MEASURED
    target = words.AT_LEAST % {"number": f"{least:.0%}"}
    return Gate(words.ACCURACY, value, target, (accuracy or 0.0) >= least, 0.0)


def most_gate(run: Run | None, most: float) -> Gate:
    """How far PPO went from where it started."""
    kl = metric(run, "kl_after")
    value = words.NATS % {"number": f"{kl:.2f}"} if kl is not None else words.NOT_MEASURED
    target = words.AT_MOST % {"number": f"{most:g}"}
    return Gate(words.KL, value, target, kl is not None and kl <= most, 0.0)


def metric(run: Run | None, name: str) -> float | None:
    """A number of a finished run's result; None before that, or where the run did not measure it."""
    if run is None or run.state != Run.State.SUCCEEDED:
        return None
    value = run.result.get("metrics", run.result).get(name)
    return float(value) if isinstance(value, (int, float)) else None
