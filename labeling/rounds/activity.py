"""The panels of the overview: the run at work, what needs a person, labels by day, preference over the parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from labeling.core.kept_words import told
from labeling.people.models import Role
from labeling.projects.models import Membership, Project
from labeling.projects.selectors import current_guideline
from labeling.prompts.models import Prompt
from labeling.rounds.figures import Figures
from labeling.rounds.leaderboard import Standing, standing
from labeling.rounds.models import Round
from labeling.runs.models import Run, RunMetric

# The two numbers worth watching in each kind of run: label, metric, split.
WATCHED = {
    "sft": ((gettext_lazy("Loss"), "sft/loss", "train"), (gettext_lazy("Held-out loss"), "sft/loss", "valid")),
    "sample": (
        (gettext_lazy("Completions"), "sample/completions", "train"),
        (gettext_lazy("Tokens in an answer"), "sample/length", "train"),
    ),
    "reward": (
        (gettext_lazy("Loss"), "reward/loss", "train"),
        (gettext_lazy("Accuracy"), "reward/accuracy", "train"),
    ),
    "ppo": ((gettext_lazy("Reward"), "objective/score", "train"), ("KL", "objective/kl", "train")),
}
WIDTH, HEIGHT, POINTS = 400, 64, 200
# The states that wait for labelers, and for which kind of work.
OWN_KIND = {"demonstrations": "demonstration", "comparisons": "comparison"}
BARS_TOP, BARS_FOOT, LEFT = 22, 130, 6
AXIS_LEFT, AXIS_RIGHT = 96, 366


@dataclass(frozen=True)
class Mini:
    """A small line: its name, newest value, and SVG path."""

    name: str
    first: str
    latest: str
    path: str


@dataclass(frozen=True)
class Need:
    """Something that waits for a person."""

    count: int
    what: str
    detail: str
    url: str
    tone: str = ""


def minis(run: Run) -> list[Mini]:
    """The watched metrics of a run, as far as it has written them."""
    rows = list(RunMetric.objects.filter(run=run).order_by("row").values_list("split", "values")[:20_000])
    found = []
    for name, key, split in WATCHED.get(run.kind, ()):
        values = [float(row[key]) for part, row in rows if part == split and isinstance(row.get(key), (int, float))]
        if values:
            found.append(Mini(str(name), short(values[0]), short(values[-1]), line(values)))
    return found


def line(values: list[float]) -> str:
    """An SVG path through at most POINTS of the values, filling WIDTH × HEIGHT."""
    step = max(1, -(-len(values) // POINTS))
    kept = values[::step] if len(values) > 1 else values * 2
    low, high = min(kept), max(kept)
    spread = (high - low) or 1.0
    across = WIDTH / (len(kept) - 1)
    points = [
        f"{at * across:.1f} {HEIGHT - 2 - (value - low) / spread * (HEIGHT - 4):.1f}" for at, value in enumerate(kept)
    ]
    return "M" + "L".join(points)


def short(value: float) -> str:
    """A number in few digits, with a real minus sign."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}".replace("-", "−")


def first_steps(project: Project) -> list[dict[str, Any]]:
    """What has to be there before a loop can turn, and whether it is."""
    slug = project.slug
    labelers = Membership.objects.filter(project=project, role=Role.CONTRACTOR, state=Membership.State.ACTIVE)
    said = [
        (_("Import prompts"), _("what people will ask"), Prompt.objects.filter(project=project).exists(), "prompts"),
        (_("Publish a guideline"), _("what a good answer is"), current_guideline(project) is not None, "guideline"),
        (_("Invite labelers"), _("who write and rank"), labelers.exists(), "people"),
        (_("Give them demonstrations to write"), _("one task a prompt"), project.tasks.exists(), "batches"),
        (_("Open round 1"), _("on autopilot, or step by step"), False, "round-new"),
    ]
    return [{"what": what, "why": why, "done": done, "url": reverse(url, args=[slug])} for what, why, done, url in said]


def needs(project: Project, loop_round: Round | None, figures: Figures) -> list[Need]:
    """What only a person can do, the most pressing first."""
    slug, found = project.slug, []
    if loop_round is not None and loop_round.blocked:
        url = reverse("round", args=[slug, loop_round.number])
        what = _("round %(number)d cannot go on") % {"number": loop_round.number}
        found.append(Need(1, what, told(loop_round.blocked), url, "bad"))
    if current_guideline(project) is None:
        detail = _("Nobody is given work before one is published")
        found.append(Need(1, _("guideline to publish"), detail, reverse("guideline", args=[slug]), "warn"))
    if not figures.labelers:
        detail = _("No active contractor is a member yet")
        found.append(Need(1, _("labeler to invite"), detail, reverse("people", args=[slug]), "warn"))
    if quarantined := figures.prompts[Prompt.State.QUARANTINED]:
        url = f"{reverse('prompts', args=[slug])}?state=quarantined"
        what = ngettext("prompt in quarantine", "prompts in quarantine", quarantined)
        found.append(Need(quarantined, what, _("They may hold personal data"), url, "warn"))
    waiting = figures.waiting
    for kind, what in (("demonstration", _("demonstrations to write")), ("comparison", _("completions to rank"))):
        if waiting.get(kind):
            detail = ngettext("%(n)d active labeler", "%(n)d active labelers", figures.labelers)
            found.append(Need(waiting[kind], what, detail % {"n": figures.labelers}, reverse("batches", args=[slug])))
    if loop_round is None or loop_round.state == Round.State.CLOSED:
        url = reverse("round-new", args=[slug])
        found.append(Need(1, _("round to open"), _("The loop stands still until then"), url))
    elif loop_round.state in OWN_KIND and not waiting.get(OWN_KIND[loop_round.state]):
        url = reverse("round", args=[slug, loop_round.number])
        for gate in figures.gates:
            if not gate.passed:
                detail = _("%(shortfall)s; no task is open") % {"shortfall": told(gate.shortfall)}
                found.append(Need(1, _("round without work"), detail, url, "warn"))
    return found


def week(figures: Figures) -> dict[str, Any]:
    """Rankings and demonstrations of the last seven days, as bars."""
    totals = sum(day[1] for day in figures.days), sum(day[2] for day in figures.days)
    most = max(1, *(max(rankings, demonstrations) for _, rankings, demonstrations in figures.days))
    tall = BARS_FOOT - BARS_TOP

    def bar(x: float, value: int) -> dict[str, Any]:
        height = max(value / most * tall, 2.0 if value else 0.0)
        return {"x": x, "y": f"{BARS_FOOT - height:.1f}", "height": f"{height:.1f}", "value": value}

    bars = [
        {
            "day": date_format(day, "D"),
            "middle": LEFT + 52.6 * at + 26,
            "rankings": bar(LEFT + 52.6 * at + 10, rankings),
            "demonstrations": bar(LEFT + 52.6 * at + 26, demonstrations),
        }
        for at, (day, rankings, demonstrations) in enumerate(figures.days)
    ]
    return {"bars": bars, "most": most, "rankings": totals[0], "demonstrations": totals[1]}


def preferences(project: Project) -> list[dict[str, Any]]:
    """The standings of the newest five policies, oldest first, with their places on the axis."""
    judged = Round.objects.filter(project=project, new_policy__isnull=False).select_related("new_policy", "policy")
    found: list[Standing] = [row for row in map(standing, judged[:5]) if row is not None and row.win is not None]
    return [
        {
            "standing": row,
            "y": 30 + 34 * at,
            "x": place(row.win.value),
            "low": place(row.win.low),
            "high": place(row.win.high),
        }
        for at, row in enumerate(reversed(found))
        if row.win is not None
    ]


def place(share: float) -> str:
    """A share from 0 to 1 on the axis of the preference picture."""
    return f"{AXIS_LEFT + (AXIS_RIGHT - AXIS_LEFT) * share:.1f}"
