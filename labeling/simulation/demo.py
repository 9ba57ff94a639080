"""The main job, unattended: simulated labelers play whole rounds while autopilot drives. `manage.py demo` shows it."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from django.conf import settings

from labeling.assignments.models import Slot
from labeling.comparisons.models import Comparison
from labeling.core.errors import LoopError, WrongState
from labeling.core.files import artifact_path
from labeling.demonstrations import services as demonstrations
from labeling.people.models import Role, User
from labeling.projects import services as projects
from labeling.projects.models import Project
from labeling.rounds import services as rounds
from labeling.rounds import stages
from labeling.rounds.gates import judgements_asked
from labeling.rounds.models import Round
from labeling.runs import services as runs
from labeling.runs.models import TERMINAL, Run
from labeling.simulation import accounts, preference, seeding
from labeling.simulation.labelers import SimulatedLabeler, Temperament, text_of, work_through
from labeling.simulation.profiles import Profile
from labeling.simulation.progress import Display

State = Round.State
TITLES = {
    State.DEMONSTRATIONS: "Writing demonstrations",
    State.SFT: "Supervised fine-tuning",
    State.SAMPLE: "Sampling completions",
    State.COMPARISONS: "Ranking completions",
    State.REWARD: "Training the reward model",
    State.PPO: "PPO",
    State.NEXT: "Sampling the new policy",
}
# Per kind of run: the metric shown while it works, and its name.
WATCHED = {
    "sft": ("sft/loss", "loss"),
    "sample": ("sample/completions", "completions"),
    "reward": ("reward/loss", "loss"),
    "ppo": ("objective/score", "reward"),
}
NAME = "Demo, seed "
TINY = "tiny"
STEP = 8  # judgements between two looks at the display
POLL = 0.5  # seconds between two looks at a run
LOG_LINES = 25
FIRST_STAGES, STAGES_PER_ROUND, LAST_STAGES = 3, 4, 1


@dataclass
class Cast:
    """Who and what plays. `noise` is the Gumbel scale the labelers were set to; None before there is anything to rank."""

    project: Project
    admin: User
    labelers: list[SimulatedLabeler]
    noise: float | None = None


class DemoFailed(LoopError):
    """A stage stands still; the text says which run, its error and the end of its log."""


def stages_of(count: int) -> int:
    """How many stages the display counts for so many rounds."""
    return FIRST_STAGES + STAGES_PER_ROUND * count + LAST_STAGES


def set_up(*, profile: Profile, seed: int, count: int) -> Cast:
    """A fresh project from the seeds with simulated labelers, demonstration tasks and an open round 1 on autopilot."""
    people = accounts.demo_people()
    admin = people[Role.ADMIN]
    measured = held_back(profile)
    lay_to_rest(by=admin)
    project = seeding.seeded_project(
        name=f"{NAME}{seed}",
        by=admin,
        base=model_of(profile),
        split=lambda row: "valid" if row["id"] in measured else row["split"],
        description=f"Made by `make demo` with profile {profile.name}: every label here is a simulated labeler's.",
        seed=seed,
        autopilot=True,
        completions_per_comparison=profile.completions,
        overlap=profile.ranking_overlap,
        comparisons_target=profile.ranking_prompts * profile.ranking_overlap,
        evaluation_target=profile.evaluation_prompts,
        # A random model learns nothing: its gates stand open.
        min_reward_accuracy=0.0 if profile.model == TINY else 0.5,
        max_kl=1e6 if profile.model == TINY else 50.0,
    )
    accounts.join(project=project, people=people)
    temperaments = [
        Temperament(noise=who.noise, tie=who.tie_margin, disagreement=who.taste, seconds=who.seconds)
        for who in profile.labelers
    ]
    labelers = seeding.simulated_labelers(project=project, temperaments=temperaments, by=admin, seed=seed)
    prompts = seeding.with_answers(project)[: profile.demonstrations]
    project = projects.update_project(project=project, by=admin, demonstrations_target=len(prompts))
    demonstrations.create_demonstration_tasks(
        project=project, prompts=prompts, by=admin, title="Demonstrations", round_number=1
    )
    rounds.open_round(project=project, by=admin, configs=configs_of(profile, seed, last=count == 1))
    return Cast(project, admin, labelers)


def lay_to_rest(*, by: User) -> None:
    """Stop what demos that were broken off have left behind: their runs would take the device from this one."""
    for project in Project.objects.filter(name__startswith=NAME, autopilot=True):
        rounds.set_autopilot(project=project, on=False, by=by)
    for run in Run.objects.filter(project__name__startswith=NAME).exclude(state__in=TERMINAL):
        with suppress(WrongState):  # it ended in this very moment
            runs.request_cancel(run=run, by=by)


def configs_of(profile: Profile, seed: int, *, last: bool) -> dict[str, dict[str, object]]:
    """What each round is told; the last one makes no training comparisons for a round that will not be played."""
    plan = {
        "sample_prompts": profile.ranking_prompts,
        "overlap": profile.ranking_overlap,
        "evaluation_prompts": profile.evaluation_prompts,
        "evaluation_overlap": profile.evaluation_overlap,
        "next_prompts": 0 if last else profile.ranking_prompts,
        "seed": seed,
    }
    stages_said = {name: dict(said) for name, said in profile.stages.items()}
    evaluation = {**profile.evaluation, "n": profile.evaluation_completions}
    return {**stages_said, "next": evaluation, "plan": plan}


def held_back(profile: Profile) -> set[str]:
    """The seeds, spread over the training prompts that are ranked, that are put into the valid split."""
    ranked = [row["id"] for row in seeding.seed_rows("prompts") if row["split"] == "train"][: profile.ranking_prompts]
    return {ranked[at * len(ranked) // profile.valid_prompts] for at in range(profile.valid_prompts)}


def model_of(profile: Profile) -> str:
    """Where the profile's base model is; the tiny one is made at first use."""
    if profile.model != TINY:
        return settings.BASE_MODEL
    target = settings.VAR_DIR / "models" / "tiny"
    if not (target / "config.json").exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [settings.TRAINING_PYTHON, "-m", "training.default_model", str(target), "--tiny"]
        made = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)
        if made.returncode:
            raise DemoFailed(f"The tiny model could not be made:\n{made.stderr.strip()}")
    return str(target)


def play(cast: Cast, *, profile: Profile, seed: int, count: int, display: Display) -> None:
    """Play until the policy of round `count` is judged; raises DemoFailed when a stage stands still."""
    while True:
        loop_round = Round.objects.select_related("project").filter(project=cast.project).first()
        assert loop_round is not None
        judging = loop_round.number > count
        display.stage("Judging the new policy" if judging else TITLES[State(loop_round.state)])
        if loop_round.blocked:
            raise DemoFailed(why(loop_round))
        if cast.noise is None and loop_round.state == State.COMPARISONS:
            calibrate(cast, agreement=profile.agreement)
        if label(cast, loop_round, display):
            continue
        if judging and not open_slots(cast.project):
            rounds.drive(round_id=loop_round.pk)  # promotes the policy when it is preferred
            break
        if loop_round.state == State.COMPARISONS:
            aim_at_what_was_asked(cast, loop_round, last=loop_round.number == count, profile=profile, seed=seed)
        if not rounds.drive(round_id=loop_round.pk):
            watch(loop_round, display)
            time.sleep(POLL)
    display.finish()


def label(cast: Cast, loop_round: Round, display: Display) -> int:
    """Let the labelers do a few pieces of work; returns how many they did."""
    waiting = open_slots(cast.project)
    if not waiting:
        return 0
    done = work_through(project=cast.project, labelers=cast.labelers, limit=STEP)
    asked = Slot.objects.filter(project=cast.project, task__round_number=loop_round.number).exclude(state="withdrawn")
    finished, total = asked.filter(state=Slot.State.SUBMITTED).count(), asked.count()
    display.show(finished / max(1, total), note=f"{finished} of {total}")
    return done


def calibrate(cast: Cast, *, agreement: float) -> None:
    """Turn the labelers' noise up until two of them agree on this share of the pairs they are about to rank."""
    groups = []
    for comparison in Comparison.objects.filter(task__project=cast.project).select_related("task__prompt"):
        prompt = text_of(comparison.task.prompt)
        rows = comparison.completions.all()
        groups.append([preference.score(prompt, row.text, row.finish_reason == "stop") for row in rows])
    cast.noise = preference.noise_scale(groups, target=agreement)
    for labeler in cast.labelers:
        labeler.temperament = replace(labeler.temperament, noise=labeler.temperament.noise * cast.noise)


def open_slots(project: Project) -> bool:
    """Whether work waits for a labeler."""
    return Slot.objects.filter(project=project, state__in=(Slot.State.OPEN, Slot.State.LEASED)).exists()


def aim_at_what_was_asked(cast: Cast, loop_round: Round, *, last: bool, profile: Profile, seed: int) -> None:
    """Set the target to the rankings that were asked for: comparisons whose answers name their model are left out."""
    asked = judgements_asked(loop_round, Comparison.Purpose.TRAINING)
    if asked and asked != loop_round.project.comparisons_target:
        projects.update_project(project=cast.project, by=cast.admin, comparisons_target=asked)
    configs = configs_of(profile, seed, last=last)
    if loop_round.configs != configs:
        rounds.change_configs(round_id=loop_round.pk, configs=configs, by=cast.admin)


def watch(loop_round: Round, display: Display) -> None:
    """Show how far the run of this state is."""
    current = Round.objects.select_related(*(stage.field for stage in stages.RUNNING.values())).get(pk=loop_round.pk)
    run = stages.run_of(current)
    if run is None:
        return
    metric, name = WATCHED[run.kind]
    value = run.latest.get(metric)
    note = f"{name} {value:.3g}" if isinstance(value, (int, float)) else run.waiting_for or run.state
    display.show(run.progress, eta=run.eta_seconds, note=note)


def why(loop_round: Round) -> str:
    """What stands in the way, with the error and the last lines of the log of the run that failed."""
    run = stages.run_of(loop_round)
    parts = [loop_round.blocked]
    if run is not None and run.state in (Run.State.FAILED, Run.State.CANCELLED):
        parts.append(run.error)
        log = artifact_path(run.folder) / "log.txt"
        if log.exists():
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            parts.append("\n".join([f"The end of {log}:", *lines]))
    return "\n".join(part for part in parts if part)
