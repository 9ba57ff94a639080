"""What a round is told to do: how much work it takes, and the settings of its stages where they differ from the defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from django.utils.translation import gettext as _

from labeling.core.errors import BadInput
from labeling.projects.models import Project
from labeling.rounds.models import Round
from labeling.runs import services as runs

# Part of `Round.configs` → the stage whose settings it holds. `next` is the sampling that ends the round.
STAGES = {"sft": "sft", "sample": "sample", "reward": "reward", "ppo": "ppo", "next": "sample"}


@dataclass(frozen=True)
class Plan:
    """Counts, and the seed of the round's runs. `next_prompts` training prompts get comparisons for the next round; 0 makes none."""

    sample_prompts: int
    overlap: int
    evaluation_prompts: int
    evaluation_overlap: int
    next_prompts: int
    seed: int


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
        low = 0 if name in ("evaluation_prompts", "next_prompts", "seed") else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise BadInput(_("Must be a whole number of at least %(low)s.") % {"low": low}, field=f"plan.{name}")
    return configs
