"""Ensembles: how members combine, and that memory, a shared trunk and a directory of its own give the same scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from tests.training.run_directories import TOPICS, make_run, numbers, rankings, user
from tests.training.test_reward_model import ROWS
from training import distributed, evaluate, ppo, reward
from training.backbone import load_backbone
from training.configs import PpoConfig
from training.contracts import EXIT_OK, Kind, Result
from training.critic import build_critic
from training.judges import ModelJudge
from training.records import PromptRow
from training.reward_ensemble import RewardEnsemble, combined
from training.reward_model import load_reward
from training.rollouts import judged
from training.sampling import Sampled
from training.session import main

CPU = torch.device("cpu")
ANSWERS = [(row.prompt, answer) for row in ROWS for answer in row.completions]
KINDS: dict[str, dict[str, Any]] = {
    "adapters": {"epochs": 2, "batch_size": 4, "learning_rate": 2e-2},
    "heads": {"epochs": 0, "head_l2": 0.05},
}


def trained(folder: Path, tiny_dir: Path, kind: str, **config: Any) -> Path:
    settings = {"lora_rank": 2, "first_adapted_layer": 1, "seeds": 3, "members": 3, "normalise": "completions"}
    run = make_run(
        folder,
        Kind.REWARD,
        config=settings | KINDS[kind] | config,
        inputs={"policy": tiny_dir},
        data={"rankings": rankings(12, valid=4)},
    )
    assert main(reward.train, [str(run)]) == EXIT_OK
    return run


def loaded(run: Path, tiny_dir: Path | None = None) -> RewardEnsemble:
    backbone = load_backbone(tiny_dir, device=CPU, dtype=torch.float32) if tiny_dir else None
    found = load_reward(run / "output", device=CPU, dtype=torch.float32, backbone=backbone)
    assert isinstance(found, RewardEnsemble)
    return found


def members_of(ensemble: RewardEnsemble) -> Tensor:
    rows = ensemble.score_rankings(ROWS)
    assert sum(map(len, rows)) == len(ANSWERS)
    return ensemble.member_scores(ROWS)


def test_combinations_by_hand() -> None:
    scores_MN = torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0]])
    assert combined(scores_MN, "mean", 0.5).tolist() == [2.0, 1.0]
    assert combined(scores_MN, "min", 0.5).tolist() == [1.0, 0.0]
    assert combined(scores_MN, "variance", 0.5).tolist() == pytest.approx([2.0 - 0.5 * 2 / 3, 1.0 - 0.5 * 2.0])


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_shared_trunk_and_a_trunk_of_its_own_give_one_score(kind: str, tmp_path: Path, tiny_dir: Path) -> None:
    run = trained(tmp_path / "run", tiny_dir, kind, combine="min")
    own, shared = loaded(run), loaded(run, tiny_dir)
    one, other = members_of(own), members_of(shared)
    assert one.shape == (3, len(ANSWERS))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    assert float(one.std(0).max()) > 1e-3  # the members are not the same
    torch.testing.assert_close(own.score(ANSWERS), shared.score(ANSWERS), rtol=0, atol=1e-4)
    torch.testing.assert_close(shared.score(ANSWERS, raw=True), other.amin(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(shared.score(ANSWERS), (other.amin(0) - shared.bias) / shared.gain, rtol=0, atol=1e-5)
    spread = float(other.std(0, correction=0).mean()) / shared.gain
    shared.score(ANSWERS)
    assert shared.spread == pytest.approx(spread, rel=1e-4)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_directory_is_an_ordinary_classifier_of_its_first_member_or_mean_head(
    kind: str, tmp_path: Path, tiny_dir: Path
) -> None:
    run = trained(tmp_path / "run", tiny_dir, kind)
    scores_MN = members_of(loaded(run))
    facts = json.loads((run / "output" / "reward.json").read_text())
    offsets = torch.tensor(facts["ensemble"]["offsets"])
    assert facts["ensemble"]["members"] == kind
    expected = scores_MN[0] + offsets[0] if kind == "adapters" else (scores_MN + offsets[:, None]).mean(0)
    plain = AutoModelForSequenceClassification.from_pretrained(run / "output").eval()
    with torch.no_grad():
        found = [float(plain(input_ids=torch.tensor([prompt + answer])).logits) for prompt, answer in ANSWERS]
    torch.testing.assert_close(torch.tensor(found), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_published_numbers_are_those_of_the_loaded_ensemble(kind: str, tmp_path: Path, tiny_dir: Path) -> None:
    run = trained(tmp_path / "run", tiny_dir, kind, combine="variance", variance_penalty=2.0)
    table = json.loads((run / "output" / "agreement.json").read_text())
    metrics = Result.read(run).metrics
    assert sorted(table["chosen"]) == [0, 1, 2]
    assert metrics["members_spread"] == table["members_spread"] > 0
    model = loaded(run)
    assert (model.combine, model.variance_penalty) == ("variance", 2.0)
    scores_MN = members_of(model)
    mean_N = scores_MN.mean(0)
    expected = mean_N - 2.0 * (scores_MN - mean_N).square().mean(0)
    torch.testing.assert_close(model.score(ANSWERS, raw=True), expected, rtol=0, atol=1e-5)
    assert (model.bias, model.gain) == (metrics["bias"], metrics["gain"])
    held = [json.loads(line) for line in (run / "output" / "scores.jsonl").read_text().splitlines()]
    assert len(held) == metrics["valid_rows"] > 0
    assert sum(len(row["scores"]) for row in held) >= 2 * len(held)


def test_the_mean_of_heads_is_the_published_head(tmp_path: Path, tiny_dir: Path) -> None:
    model = loaded(trained(tmp_path / "run", tiny_dir, "heads"), tiny_dir)
    mean = torch.stack([member.head.weight for member in model.members]).mean(0)
    torch.testing.assert_close(model.head.weight, mean)
    assert sum(member.bias for member in model.members) == pytest.approx(0.0, abs=1e-5)
    alone = torch.cat([model.head(states)[:, 0] for states in model.ranking_states(ROWS)])
    torch.testing.assert_close(model.score(ANSWERS, raw=True), alone.detach(), rtol=0, atol=1e-5)


def test_a_critic_starts_from_the_first_member(tmp_path: Path, tiny_dir: Path) -> None:
    model = loaded(trained(tmp_path / "run", tiny_dir, "adapters"), tiny_dir)
    model.backbone.tune(PpoConfig(lora_rank=2))
    critic = build_critic(PpoConfig(value_model="adapter", lora_rank=2), model.backbone, model)
    torch.testing.assert_close(critic.head.weight, model.members[0].head.weight / model.gain)
    assert model.members[0].bias == pytest.approx(0.0, abs=1e-6)


def test_the_best_members_are_kept_when_more_were_trained(tmp_path: Path, tiny_dir: Path) -> None:
    run = trained(tmp_path / "run", tiny_dir, "adapters", seeds=3, members=2)
    table = json.loads((run / "output" / "agreement.json").read_text())
    order = sorted(range(3), key=lambda at: (-table["trials"][at]["accuracy"], table["trials"][at]["log_loss"]))
    assert table["chosen"] == order[:2]
    assert len(loaded(run).members) == 2


def test_ppo_learns_under_a_cautious_ensemble_on_its_own_trunk(tmp_path: Path, tiny_dir: Path) -> None:
    rewarded = trained(tmp_path / "reward", tiny_dir, "adapters", combine="min")
    config = {"updates": 1, "rollout_prompts": 4, "max_new_tokens": 4, "lora_rank": 2, "value_model": "adapter"}
    prompts = [{"id": f"p{at}", "messages": [user(f"Tell me about {topic}.")]} for at, topic in enumerate(TOPICS[:4])]
    inputs = {"policy": tiny_dir, "reward": rewarded / "output"}
    run = make_run(tmp_path / "ppo", Kind.PPO, config=config, inputs=inputs, data={"prompts": prompts})
    assert main(ppo.train, [str(run)]) == EXIT_OK
    assert Result.read(run).metrics["reward_on_shared_trunk"] is True
    assert [row["objective/score_spread"] > 0 for row in numbers(run)] == [True, True]


def test_the_spread_of_a_rollout_is_the_mean_over_its_answers(
    tmp_path: Path, tiny_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(trained(tmp_path / "reward", tiny_dir, "heads"), tiny_dir)
    judge = ModelJudge(model)
    prompts = [PromptRow(f"p{at}", [5 + at, 6]) for at in range(3)]
    answers = [Sampled([40 + at, 41, 2], torch.zeros(3), None, True) for at in range(3)]
    each = []
    for prompt, answer in zip(prompts, answers, strict=True):
        judge.scores([prompt], [answer])
        each.append(model.spread)
    assert len(set(each)) == 3
    scores, spread = judged(judge, prompts, answers)
    assert spread == pytest.approx(sum(each) / 3, rel=1e-4)

    def in_two_shares(items, _costs, work):  # as two ranks would, one with two of the three answers
        return [*work(items[:2]), *work(items[2:])]

    monkeypatch.setattr(distributed, "in_shares", in_two_shares)
    again, shared = judged(judge, prompts, answers)
    assert shared == pytest.approx(spread, rel=1e-4)
    torch.testing.assert_close(again, scores)


def test_evaluate_reports_how_far_members_are_apart(tmp_path: Path, tiny_dir: Path) -> None:
    rewarded = trained(tmp_path / "reward", tiny_dir, "heads")
    prompts = [{"id": "p", "messages": [user("Tell me about tea.")], "split": "test"}]
    inputs = {"policy": tiny_dir, "reward": rewarded / "output"}
    config = {"max_new_tokens": 4}
    run = make_run(tmp_path / "run", Kind.EVALUATE, config=config, inputs=inputs, data={"prompts": prompts})
    assert main(evaluate.train, [str(run)]) == EXIT_OK
    assert Result.read(run).metrics["policy/score_spread"] > 0
