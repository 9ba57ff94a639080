"""Reading rounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.assignments.models import Slot
from labeling.comparisons.models import Comparison
from labeling.projects.models import Project
from labeling.rounds import figures, leaderboard
from labeling.rounds.gates import demonstrations_of, metric, rankings_of
from labeling.rounds.models import Round
from labeling.rounds.stages import RUNNING, run_of
from labeling.runs.models import Run

State = Round.State
RELATED = ("project", "policy", "reward", "new_policy")
SNAPSHOTS = ("demonstrations_snapshot", "prompts_snapshot", "rankings_snapshot", "heldout_snapshot")


@dataclass(frozen=True)
class Step:
    """One state of a round on its page: what it made, and whether it is over."""

    name: str
    state: str
    words: str
    links: list[tuple[str, str]]


@dataclass(frozen=True)
class Line:
    """One round in the history."""

    loop_round: Round
    rankings: int
    accuracy: float | None
    kl: float | None
    standing: leaderboard.Standing | None


def with_all(rounds: QuerySet[Round]) -> QuerySet[Round]:
    """Rounds with all they point at. Most is read apart: PostgreSQL plans a join of it all for longer than it runs."""
    runs = Run.objects.select_related("output")
    apart = [Prefetch(one.field, runs) for one in RUNNING.values()]
    return rounds.select_related(*RELATED).prefetch_related(*SNAPSHOTS, *apart)


def numbered(*, project: Project, number: int) -> Round | None:
    """One round with all it points at."""
    return with_all(Round.objects.filter(project=project, number=number)).first()


def newest(*, project: Project) -> Round | None:
    """The open round, or the last closed one; None before the first."""
    return with_all(Round.objects.filter(project=project)).first()


def run_at_work(loop_round: Round) -> Run | None:
    """The run of the state the round is in."""
    return run_of(loop_round)


def standing(loop_round: Round) -> leaderboard.Standing | None:
    """What judgements of this round's new policy say so far."""
    return leaderboard.standing(loop_round)


def rounds(*, project: Project) -> QuerySet[Round]:
    """All rounds with all they point at."""
    return with_all(Round.objects.filter(project=project))


def lines(rounds: Iterable[Round]) -> list[Line]:
    """These rounds, as the history shows them."""
    return [
        Line(
            loop_round=row,
            rankings=figures.recent_rankings(row),
            accuracy=metric(row.reward_run, "accuracy"),
            kl=metric(row.ppo_run, "kl_after"),
            standing=leaderboard.standing(row),
        )
        for row in rounds
    ]


def steps(loop_round: Round) -> list[Step]:
    """The way through the round, with links to what each step made."""
    order = list(State.values)
    here = order.index(loop_round.state)
    found = []
    for at, state in enumerate(order[:-1]):
        standing_word = "done" if at < here else "now" if at == here else "next"
        found.append(Step(str(State(state).label), standing_word, _words(loop_round, state), _links(loop_round, state)))
    return found


def _words(loop_round: Round, state: str) -> str:
    stage = RUNNING.get(State(state))
    if stage:
        run: Run | None = getattr(loop_round, stage.field)
        return run.get_state_display().lower() if run else ""
    if state == State.DEMONSTRATIONS:
        number = demonstrations_of(loop_round)
        return ngettext("%(n)s demonstration", "%(n)s demonstrations", number) % {"n": f"{number:,}"}
    number = rankings_of(loop_round, Comparison.Purpose.TRAINING).count()
    return ngettext("%(n)s ranking", "%(n)s rankings", number) % {"n": f"{number:,}"}


def _links(loop_round: Round, state: str) -> list[tuple[str, str]]:
    slug = loop_round.project.slug
    stage = RUNNING.get(State(state))
    run: Run | None = getattr(loop_round, stage.field) if stage else None
    snapshots = {
        State.SFT: loop_round.demonstrations_snapshot,
        State.REWARD: loop_round.rankings_snapshot,
        State.PPO: loop_round.prompts_snapshot,
        State.NEXT: loop_round.heldout_snapshot,
    }
    found = []
    if snapshot := snapshots.get(State(state)):
        said = _("%(rows)s %(kind)s") % {"rows": f"{snapshot.rows:,}", "kind": snapshot.get_kind_display().lower()}
        found.append((said, reverse("snapshot", args=[slug, snapshot.public_id])))
    if run:
        found.append((_("run %(name)s") % {"name": run.name}, reverse("run", args=[slug, run.pk])))
    if run and run.output:
        kind = run.output.get_kind_display().lower()
        found.append((f"{kind} {run.output.name}", reverse("checkpoint", args=[slug, run.output.public_id])))
    return found


def closing_facts(loop_round: Round) -> list[str]:
    """What closing this round does, with counts."""
    facts = [_("The round stops where it is: %(state)s.") % {"state": loop_round.get_state_display().lower()}]
    run = run_of(loop_round)
    if run is not None and not run.is_over:
        facts.append(_("Run %(name)s is asked to stop.") % {"name": run.name})
    waiting = Slot.objects.filter(project=loop_round.project, task__round_number=loop_round.number).filter(
        state__in=(Slot.State.OPEN, Slot.State.LEASED)
    )
    open_ends = _("%(n)s judgements that were asked for stay open; withdraw their batch to take them back.")
    facts.append(open_ends % {"n": f"{waiting.count():,}"})
    facts.append(_("Everything collected and trained so far is kept. A closed round cannot be opened again."))
    return facts
