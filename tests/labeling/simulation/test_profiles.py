"""The profiles fit the seeds, the stages' settings and each other."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import labeling.simulation
from labeling.simulation.profiles import DEMO, PROFILES, Profile
from training.configs import ConfigError

SEEDS = Path(labeling.simulation.__file__).parent / "seeds"


def counted(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SEEDS / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_seeds_are_enough_for_the_profile(profile: Profile) -> None:
    splits = Counter(row["split"] for row in counted("prompts.jsonl"))
    assert profile.ranking_prompts <= splits["train"]
    assert profile.evaluation_prompts <= splits["test"]
    assert profile.demonstrations <= len(counted("demonstrations.jsonl"))
    assert profile.valid_prompts < profile.ranking_prompts


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_enough_labelers_for_every_overlap_and_k_within_what_a_comparison_holds(profile: Profile) -> None:
    assert len(profile.labelers) >= 5
    assert len({labeler.username for labeler in profile.labelers}) == len(profile.labelers)
    assert max(profile.ranking_overlap, profile.evaluation_overlap) <= len(profile.labelers)
    assert 2 <= profile.completions <= 9
    assert 2 <= 2 * profile.evaluation_completions <= 9


def test_the_demo_evaluates_what_ppo_trained() -> None:
    ppo, evaluation = DEMO.stages["ppo"], DEMO.evaluation
    assert {name: ppo[name] for name in ("temperature", "max_new_tokens")} == {
        name: evaluation[name] for name in ("temperature", "max_new_tokens")
    }
    assert DEMO.evaluation_prompts >= 48


def test_a_setting_that_no_stage_knows_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="learning_speed"):
        replace(DEMO, stages={**DEMO.stages, "sft": {"learning_speed": 1.0}})
