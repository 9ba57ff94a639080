"""What stages refuse about their settings is read in the reader's language; the list is that of training/config*.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from django.test import Client
from django.utils import translation

from labeling.core.kept_words import PLACEHOLDER, told
from labeling.runs import kept_words as words
from labeling.runs.kept_settings import REFUSED, SENTENCES
from labeling.runs.models import Run
from labeling.runs.services import ROLE_KINDS
from tests.factories import CheckpointFactory, MembershipFactory, SnapshotFactory
from training import config_fields
from training.configs import ConfigError, PpoConfig, RewardConfig, SampleConfig, SftConfig
from training.contracts import NEEDS, Kind

SOURCES = sorted(Path(config_fields.__file__).parent.glob("config*.py"))


def forms(node: ast.AST) -> list[str]:
    """What a literal or f-string can say, with … for what is filled in; a choice between two texts gives two."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return forms(node.body) + forms(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in product(*map(forms, node.values))]
    return forms(node.value) if isinstance(node, ast.FormattedValue) else ["…"]


def refusals(source: str) -> Iterator[str]:
    """The sentences of every ConfigError that a module makes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ConfigError":
            yield from forms(node.args[1])


def listed() -> set[str]:
    return {PLACEHOLDER.sub("…", sentence) for sentence in SENTENCES}


def test_a_sentence_that_is_not_listed_is_found() -> None:
    source = (
        'raise ConfigError("n", f"cannot exceed {self.most}: use {1 if x else self.y} or less")\n'
        'raise ConfigError(name, "one point is no curve: " "use 0, or 2 and more")\nraise ConfigError("n", why)\n'
    )
    found = ["cannot exceed …: use 1 or less", "cannot exceed …: use … or less"]
    assert list(refusals(source)) == [*found, "one point is no curve: use 0, or 2 and more", "…"]
    assert [one for one in refusals(source) if one not in listed()] == [*found, "…"]


def test_every_sentence_of_the_settings_is_listed_and_no_other() -> None:
    said = {one for path in SOURCES for one in refusals(path.read_text(encoding="utf-8"))}
    assert len(said) > 40
    assert said - listed() == set(), "put these into labeling/runs/kept_settings.py, then translate them"
    assert listed() - said == set(), "training says these no more"


def test_every_stage_role_and_kind_of_record_has_a_word() -> None:
    assert set(words.STAGES) == set(Kind)
    assert set(words.ROLES) == set(ROLE_KINDS)
    assert {need.rstrip("?") for needs in NEEDS.values() for need in needs.data} == set(words.RECORDS)


@pytest.mark.parametrize(
    ("config", "row", "chinese"),
    [
        (PpoConfig, {"updates": 0}, "updates：必须在 1 到 1000000 之间，而不是 0。"),
        (SampleConfig, {"shots": -1}, "shots：必须不小于 0，而不是 -1。"),
        (SftConfig, {"tuning": "half"}, "tuning：必须是 lora, full 之一，而不是 'half'。"),
        (SftConfig, {"epochs": "3"}, "epochs：必须是 int，而不是 str。"),
        (RewardConfig, {"members": 3}, "members：不能超过 seeds (1)：请将 seeds 设为 3 或更大。"),
        (
            PpoConfig,
            {"shard": True, "base_precision": "nf4"},
            "shard：无法分布已舍入为 nf4 的基础模型：请将 base_precision 设为 'as computed'。",
        ),
    ],
)
def test_a_refusal_is_told_whole(config: type[config_fields.Config], row: dict[str, object], chinese: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.from_dict(row)
    text = REFUSED % {"setting": refused.value.field, "problem": refused.value.problem}
    assert told(text) == f"{refused.value}."
    with translation.override("zh-hans"):
        assert told(text) == chinese


def test_names_of_data_stay_as_a_spec_has_them() -> None:
    with pytest.raises(ConfigError) as refused:
        PpoConfig().check_reads({"reward"}, {"prompts", "documents", "demonstrations"})
    assert refused.value.problem == "must be above 0 when data.demonstrations is given (27.8 in InstructGPT)"
    with translation.override("zh-hans"):
        assert told(refused.value.problem) == "给出 data.demonstrations 时必须大于 0（InstructGPT 为 27.8）"


def test_what_only_looks_like_a_refusal_stays() -> None:
    with translation.override("zh-hans"):
        assert told("RuntimeError: CUDA out of memory.") == "RuntimeError: CUDA out of memory."


@pytest.mark.django_db
def test_the_form_tells_what_the_stage_refuses_and_the_api_says_it_in_english(client: Client) -> None:
    place = MembershipFactory.create(role="engineer", project__slug="demo", user__language="zh-hans")
    policy = CheckpointFactory.create(project=place.project)
    prompts = SnapshotFactory.create(project=place.project, kind="prompts")
    client.force_login(place.user)
    form = {"name": "s", "seed": 0, "inputs.policy": policy.public_id, "data.prompts": prompts.public_id}
    page = client.post("/p/demo/runs/new/?kind=sample", {**form, "config.n": 1, "config.best_of": 2})
    assert page.context["form"].errors["config.best_of"] == [
        "best_of：需要 inputs.reward 来判断哪个候选最好；请指定一个，或设为 1。"
    ]
    body = {"kind": "sample", "name": "s", "config": {"best_of": 2}, "snapshots": [str(prompts.public_id)]}
    answer = client.post(
        "/api/v1/projects/demo/runs/",
        {**body, "inputs": {"policy": [str(policy.public_id)]}},
        content_type="application/json",
    )
    assert answer.json()["detail"] == (
        "best_of: needs inputs.reward to tell which candidate is best; name one, or use 1."
    )
    answer = client.post("/api/v1/projects/demo/runs/", body, content_type="application/json")
    assert answer.json()["detail"] == "采样运行需要一个检查点作为策略：请选择。"
    assert not Run.objects.exists()
