"""The picture of the loop on the overview: seven stations, the way between them, and what is going on."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from labeling.core.kept_words import told
from labeling.projects.models import Project
from labeling.prompts.models import Prompt
from labeling.rounds.figures import Figures
from labeling.rounds.gates import metric
from labeling.rounds.leaderboard import standing
from labeling.rounds.models import Round
from labeling.rounds.plan import plan_of
from labeling.runs.models import Run

State = Round.State

# Station → the states in which it is at work, and the way that leads to it (from the station before it).
WAYS = {
    "prompts": ((), ""),
    "demos": ((State.DEMONSTRATIONS,), "M92 132H310"),
    "sft": ((State.SFT,), "M310 132H530"),
    "comps": ((State.SAMPLE, State.COMPARISONS), "M530 132H796"),
    "rm": ((State.REWARD,), "M796 132H1060"),
    "ppo": ((State.PPO,), "M1060 132a100 100 0 0 1 0 200"),
    "policy": ((State.NEXT,), "M1060 332H796"),
}
BACK = "M796 332a100 100 0 0 1 0-200"
ORDER = list(State.values)
WORDS = {"done": gettext_lazy("done"), "now": gettext_lazy("at work"), "next": gettext_lazy("waiting")}


@dataclass(frozen=True)
class Station:
    """One stop of the line: its number, a few words, and where it stands."""

    key: str
    name: str
    number: str
    detail: str
    state: str
    url: str

    @property
    def words(self) -> str:
        """The state, said in words."""
        return str(WORDS[self.state])


@dataclass(frozen=True)
class Way:
    """A stretch of track."""

    path: str
    state: str
    part: str


def headline(project: Project, loop_round: Round | None) -> str:
    """One sentence that says where the loop stands."""
    if loop_round is None:
        return _("No round is open yet")
    if loop_round.blocked:
        return _("Round %(number)d needs a decision") % {"number": loop_round.number}
    policy = {"policy": loop_round.policy.name if loop_round.policy else _("the base model")}
    match loop_round.state:
        case State.DEMONSTRATIONS:
            return _("Labelers write demonstrations")
        case State.SFT:
            return _("The first policy learns from demonstrations")
        case State.SAMPLE:
            return _("%(policy)s answers prompts") % policy
        case State.COMPARISONS:
            return _("Labelers rank completions")
        case State.REWARD:
            return _("A reward model learns what labelers prefer")
        case State.PPO:
            return _("%(policy)s learns from your labels") % policy
        case State.NEXT:
            new = loop_round.new_policy.name if loop_round.new_policy else _("The new policy")
            return _("%(policy)s answers held-out prompts") % {"policy": new}
        case _:
            return _("Round %(number)s is closed") % {"number": loop_round.number}


def standing_of(station: str, loop_round: Round | None, *, has_prompts: bool) -> str:
    """done, now or next. Before the first round there are prompts to import, then demonstrations to write."""
    if station == "prompts":
        return "done" if has_prompts else "now"
    if loop_round is None:
        return "now" if station == "demos" and has_prompts else "next"
    own = WAYS[station][0]
    if loop_round.state in own:
        return "now"
    return "done" if ORDER.index(loop_round.state) > max(ORDER.index(state) for state in own) else "next"


def stations(project: Project, loop_round: Round | None, figures: Figures) -> list[Station]:
    """The seven stations with real numbers."""
    slug = project.slug
    facts = {
        "prompts": (_("Prompts"), *prompt_facts(figures), reverse("prompts", args=[slug])),
        "demos": (
            _("Demonstrations"),
            *demonstration_facts(project, loop_round, figures),
            reverse("batches", args=[slug]),
        ),
        "sft": (_("Supervised policy"), *sft_facts(project, loop_round), runs_url(slug, Run.Kind.SFT)),
        "comps": (_("Rankings"), *ranking_facts(project, loop_round, figures), reverse("batches", args=[slug])),
        "rm": (_("Reward model"), *reward_facts(loop_round), runs_url(slug, Run.Kind.REWARD)),
        "ppo": ("PPO", *ppo_facts(loop_round), runs_url(slug, Run.Kind.PPO)),
        "policy": (_("New policy"), *policy_facts(loop_round), reverse("checkpoints", args=[slug])),
    }
    has_prompts = loop_round is not None or any(figures.prompts.values())
    return [
        Station(key, name, number, detail, standing_of(key, loop_round, has_prompts=has_prompts), url)
        for key, (name, number, detail, url) in facts.items()
    ]


def ways(stops: list[Station], loop_round: Round | None) -> list[Way]:
    """The track, a stretch for each station, and the way back that every round but the first came by."""
    states = {stop.key: stop.state for stop in stops}
    found = [
        Way(path, states[key], "ring" if key in ("rm", "ppo", "policy") else "lead")
        for key, (_, path) in WAYS.items()
        if path
    ]
    came_back = loop_round is not None and loop_round.number > 1
    return [*found, Way(BACK, states["comps"] if came_back else "next", "ring")]


def runs_url(slug: str, kind: str) -> str:
    """The project's runs of one kind."""
    return f"{reverse('runs', args=[slug])}?kind={kind}"


# ---------------------------------------------------------------- what the stations say


def prompt_facts(figures: Figures) -> tuple[str, str]:
    counts = figures.prompts
    held_out, total = counts[Prompt.Split.TEST], sum(counts[split] for split in Prompt.Split.values)
    held = _("%(n)s held out") % {"n": f"{held_out:,}"}
    return f"{total:,}", held if total else _("Import some to begin")


def demonstration_facts(project: Project, loop_round: Round | None, figures: Figures) -> tuple[str, str]:
    if loop_round and loop_round.state == State.DEMONSTRATIONS:
        return figures.gates[0].value, of_wanted(project.demonstrations_target)
    return f"{figures.demonstrations:,}", _("written by labelers")


def of_wanted(target: int) -> str:
    return _("of %(target)s wanted") % {"target": f"{target:,}"}


def sft_facts(project: Project, loop_round: Round | None) -> tuple[str, str]:
    run = loop_round.sft_run if loop_round else None
    if run is None:
        run = Run.objects.filter(project=project, kind=Run.Kind.SFT, state=Run.State.SUCCEEDED).first()
    before, after = metric(run, "valid_loss_before"), metric(run, "valid_loss_after")
    if before is not None and after is not None:
        said = {"before": f"{before:.2f}", "after": f"{after:.2f}"}
        return named(run), _("Held-out loss %(before)s → %(after)s") % said
    before, after = metric(run, "loss_first"), metric(run, "loss_last")
    if not (before and after):
        return named(run), under_way(run)
    return named(run), _("Loss %(before)s → %(after)s") % {"before": f"{before:.2f}", "after": f"{after:.2f}"}


def ranking_facts(project: Project, loop_round: Round | None, figures: Figures) -> tuple[str, str]:
    if loop_round is not None and loop_round.state == State.COMPARISONS:
        trained, *judged = figures.gates
        if judged and not judged[0].passed:
            said = {"judged": judged[0].value, "asked": judged[0].target}
            return f"{judged[0].count + trained.count:,}", _("%(judged)s of %(asked)s on held-out prompts") % said
        return trained.value, of_wanted(project.comparisons_target)
    total = f"{figures.rankings:,}"
    if loop_round is None or loop_round.state in (State.DEMONSTRATIONS, State.SFT):
        return total, _("after the first policy")
    if loop_round.state == State.SAMPLE:
        return total, _("completions are sampled")
    return total, _("%(n)s in this round") % {"n": f"{figures.rankings_in_round:,}"}


def reward_facts(loop_round: Round | None) -> tuple[str, str]:
    run = loop_round.reward_run if loop_round else None
    accuracy = metric(run, "accuracy")
    if accuracy is None:
        return named(run), under_way(run)
    return named(run), _("%(share)s of held-out pairs") % {"share": f"{accuracy:.1%}"}


def ppo_facts(loop_round: Round | None) -> tuple[str, str]:
    run = loop_round.ppo_run if loop_round else None
    if run is not None and not run.is_over:
        return f"{run.progress:.0%}", told(run.waiting_for) or _("step %(step)s") % {"step": f"{run.step:,}"}
    kl = metric(run, "kl_after")
    if kl is None:
        return named(run), under_way(run)
    return named(run), _("KL %(kl)s nats an answer") % {"kl": f"{kl:.1f}"}


def policy_facts(loop_round: Round | None) -> tuple[str, str]:
    """The new policy of this round, or the one the last round ended with, and how often it is preferred."""
    if loop_round is None:
        return "–", _("after PPO")
    judged = loop_round
    if loop_round.new_policy is None and loop_round.number > 1:
        last = Round.objects.filter(project_id=loop_round.project_id, number=loop_round.number - 1)
        judged = last.select_related("new_policy", "policy").first() or loop_round
    if judged.new_policy is None:
        return "–", _("after PPO")
    found = standing(judged)
    if found and found.win:
        return judged.new_policy.name, _("Preferred %(share)s of the time") % {"share": f"{found.win.value:.0%}"}
    held_out = plan_of(judged).evaluation_prompts
    return judged.new_policy.name, ngettext("%(n)d held-out prompt", "%(n)d held-out prompts", held_out) % {
        "n": held_out
    }


def named(run: Run | None) -> str:
    """The checkpoint a run left, else its name."""
    if run is None:
        return "–"
    return run.output.name if run.output else run.name


def under_way(run: Run | None) -> str:
    """What a run that has no numbers yet is doing."""
    if run is None:
        return _("not started")
    done = _("%(share)s done") % {"share": f"{run.progress:.0%}"}
    return done if run.is_live else run.get_state_display().lower()
