"""What a round is told to do: how much work it takes, and the settings of its stages where they differ from the defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from django.utils.translation import gettext as _

from labeling.core.errors import BadInput
from labeling.datasets.rules import people_of
from labeling.projects.models import Project
from labeling.rounds.models import Round
from labeling.runs import services as runs

# Part of `Round.configs` → the stage whose settings it holds. `next` is the sampling that ends the round.
STAGES = {"sft": "sft", "sample": "sample", "reward": "reward", "ppo": "ppo", "next": "sample"}


@dataclass(frozen=True)
class Plan:
    """Counts, the seed of the round's runs, and the labeler keys of people whose work its snapshots leave out.

    `next_prompts` training prompts get comparisons for the next round; 0 makes none.
    """

    sample_prompts: int
    overlap: int
    evaluation_prompts: int
    evaluation_overlap: int
    next_prompts: int
    seed: int
    without_labelers: list[str]


def plan_of(loop_round: Round) -> Plan:
    """The round's plan; what it leaves open follows from the project's targets."""
    project, said = loop_round.project, loop_round.configs.get("plan", {})
    overlap = said.get("overlap", project.overlap)
    prompts = -(-project.comparisons_target // overlap)
    defaults = {
        "sample_prompts": prompts,
        "overlap": overlap,
        "evaluation_prompts": project.evaluation_target,
        "evaluation_overlap": project.overlap,
        "next_prompts": prompts,
        "seed": 0,
        "without_labelers": [],
    }
    return Plan(**{**defaults, **said})


def config_of(loop_round: Round, part: str) -> dict[str, Any]:
    """The settings of one stage of this round. `sample` gives K answers a prompt; `next` half of them from each of two policies."""
    said: dict[str, Any] = dict(loop_round.configs.get(part, {}))
    answers = loop_round.project.completions_per_comparison
    if part == "sample":
        return {"n": answers, **said}
    if part == "next":
        return {**loop_round.configs.get("sample", {}), "n": max(1, answers // 2), **said}
    return said


def check_configs(*, project: Project, configs: dict[str, Any]) -> dict[str, Any]:
    """Return `configs` if every part, setting and count in it is known and right; raises BadInput naming the wrong one."""
    for part in configs:
        if part not in (*STAGES, "plan"):
            raise BadInput(_("A round knows the parts plan, %(STAGES)s.") % {"STAGES": ", ".join(STAGES)}, field=part)
        if not isinstance(configs[part], dict):
            raise BadInput(_("Must be an object of settings."), field=part)
    for part, stage in STAGES.items():
        try:
            runs.checked_config(runs.checked_kind(stage), configs.get(part, {}))
        except BadInput as problem:
            raise BadInput(problem.detail, field=problem.field.replace("config", part, 1)) from problem
    known = [item.name for item in fields(Plan)]
    for name, value in configs.get("plan", {}).items():
        if name not in known:
            raise BadInput(_("A plan has %(known)s.") % {"known": ", ".join(known)}, field=f"plan.{name}")
        if name == "without_labelers":
            check_people(project, value)
            continue
        low = 0 if name in ("evaluation_prompts", "next_prompts", "seed") else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise BadInput(_("Must be a whole number of at least %(low)s.") % {"low": low}, field=f"plan.{name}")
    return configs


def check_people(project: Project, keys: Any) -> None:
    """BadInput unless these are labeler keys of people of the project."""
    field = "plan.without_labelers"
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise BadInput(_("Must be a list of words."), field=field)
    try:
        people_of(project, keys)
    except BadInput as problem:
        raise BadInput(problem.detail, field=field) from problem


def left_out(loop_round: Round) -> dict[str, Any]:
    """The rule of the round's snapshots about people, as `datasets.services.freeze` takes it; none when nobody is left out."""
    keys = plan_of(loop_round).without_labelers
    return {"without_labelers": keys} if keys else {}
