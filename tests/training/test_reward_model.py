import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import AutoModelForSequenceClassification

from tests.training.test_backbone import stir
from training.backbone import Backbone, load_backbone
from training.batches import completion_rows, packed_rows
from training.configs import ConfigError, PpoConfig, RewardConfig
from training.contracts import ContractError
from training.critic import build_critic
from training.ranking_steps import accumulate, ranking_term
from training.records import RankingRow
from training.reward_model import load_reward, save_reward
from training.reward_scoring import RewardModel, head_width, new_head, ranking_batches

CPU = torch.device("cpu")
ROWS = [
    RankingRow("a", "a", [1, 20, 30, 40, 50, 60], [[7, 8, 2], [9, 2], [11, 12, 13, 14, 2]], [2, 1, 3]),
    RankingRow("b", "b", [1, 21], [[3, 2], [4, 5, 6, 2], [2], [70, 71, 2]], [1, 1, 2, 3]),
    RankingRow("c", "c", [1, 25, 26, 27], [[8, 2], [80, 81, 82, 2]], [1, 2], 0.5),
]


def reward_model(backbone: Backbone, readout: str = "last") -> tuple[RewardModel, dict[str, torch.nn.Parameter]]:
    torch.manual_seed(0)
    weights = backbone.tune(RewardConfig(), "reward")
    stir(weights)
    head = new_head(head_width(backbone.hidden_size, readout), CPU)
    return RewardModel(backbone, head, readout, "reward"), {**weights, "head": head.weight}


def gradients(weights: dict[str, torch.nn.Parameter]) -> Tensor:
    flat = torch.cat([weight.grad.flatten() for weight in weights.values() if weight.grad is not None])
    for weight in weights.values():
        weight.grad = None
    return flat


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("readout", ["last", "mean", "both"])
def test_pairs_and_rows_and_packed_rows_give_one_loss_and_gradient(backbone: Backbone, readout: str) -> None:
    model, weights = reward_model(backbone, readout)
    row = ROWS[0]
    order = [row.completions[at] for at in (1, 0, 2)]  # best first
    pairs = [(order[i], order[j]) for i in range(3) for j in range(i + 1, 3)]
    doubled = completion_rows([(row.prompt, answer) for pair in pairs for answer in pair], 0, CPU)
    scores = model.read(doubled).view(-1, 2)
    loss_pairs = -logsigmoid(scores[:, 0] - scores[:, 1]).mean()
    loss_pairs.backward()
    by_pairs = gradients(weights)

    config = RewardConfig()
    for pack in ("never", "always"):
        [(_, batch)] = ranking_batches([row], backbone, 4096, pack)
        assert len(batch.ids_BT) == (3 if pack == "never" else 1)
        loss = ranking_term(model.read(batch), row, config)
        loss.backward()
        assert loss.item() == pytest.approx(loss_pairs.item(), rel=1e-5)
        assert relative(gradients(weights), by_pairs) <= 1e-5


@pytest.mark.parametrize("weighting", ["prompt", "pair"])
def test_any_micro_batches_give_the_same_gradient(backbone: Backbone, weighting: str) -> None:
    model, weights = reward_model(backbone)
    found = []
    for micro_tokens, pack in ((4096, "never"), (16, "never"), (20, "always"), (4096, "always"), (30, "auto")):
        config = RewardConfig(micro_tokens=micro_tokens, pack=pack, weighting=weighting, centre_penalty=0.01)
        numbers = accumulate(model, ROWS, config)
        found.append((numbers["reward/loss"], gradients(weights)))
    for loss, gradient in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        assert relative(gradient, found[0][1]) <= 1e-5


def test_weighting_by_prompt_differs_from_weighting_by_pair(backbone: Backbone) -> None:
    model, weights = reward_model(backbone)
    scores = model.score_rankings(ROWS)
    terms = []
    for own, row in zip(scores, ROWS, strict=True):
        gaps = [
            own[w] - own[x] - row.margin
            for w in range(len(own))
            for x in range(len(own))
            if row.ranks[w] < row.ranks[x]
        ]
        terms.append(-logsigmoid(torch.tensor(gaps)))
    by_prompt = accumulate(model, ROWS, RewardConfig(weighting="prompt"))["reward/loss"]
    by_pair = accumulate(model, ROWS, RewardConfig(weighting="pair"))["reward/loss"]
    assert by_prompt == pytest.approx(float(torch.stack([term.mean() for term in terms]).mean()), rel=1e-5)
    assert by_pair == pytest.approx(float(torch.cat(terms).mean()), rel=1e-5)
    gradients(weights)


def test_every_ranking_is_in_exactly_one_micro_batch(backbone: Backbone) -> None:
    for pack in ("auto", "always", "never"):
        seen = [at for group, _ in ranking_batches(ROWS, backbone, 24, pack) for at in group]
        assert sorted(seen) == [0, 1, 2]


def test_packing_is_chosen_only_where_it_is_cheaper(backbone: Backbone) -> None:
    long_prompt = RankingRow("l", "l", list(range(3, 43)), [[5, 2], [6, 2], [7, 2]], [1, 2, 3])
    short_prompt = RankingRow("s", "s", [1], [list(range(3, 43)) for _ in range(3)], [1, 2, 3])
    groups = [
        (group, len(batch.ids_BT)) for group, batch in ranking_batches([long_prompt, short_prompt], backbone, 4096)
    ]
    assert groups == [([0], 1), ([1], 3)]
    backbone.splits = False
    with pytest.raises(ConfigError, match="pack: LlamaForCausalLM cannot take a block mask"):
        list(ranking_batches([long_prompt], backbone, 4096, "always"))


def test_completions_of_a_packed_row_do_not_see_each_other(backbone: Backbone) -> None:
    model, _ = reward_model(backbone)
    row = ROWS[0]
    other = RankingRow("a", "a", row.prompt, [[99, 98, 2], *row.completions[1:]], row.ranks)
    with torch.no_grad():
        one, two = (model.read(packed_rows([each], 0, CPU)) for each in (row, other))
    assert one[0] != two[0]
    assert torch.equal(one[1:], two[1:])


@pytest.mark.parametrize("readout", ["last", "mean", "both"])
def test_scores_do_not_depend_on_the_batch(backbone: Backbone, readout: str) -> None:
    model, _ = reward_model(backbone, readout)
    rows = [(row.prompt, answer) for row in ROWS for answer in row.completions]
    together = model.score(rows)
    alone = torch.cat([model.score([row]) for row in rows])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    flat = torch.tensor([score for own in model.score_rankings(ROWS, pack="always") for score in own])
    torch.testing.assert_close(flat, together, rtol=0, atol=1e-5)


def test_saved_reward_gives_the_same_scores_everywhere(tiny_dir: Path, tmp_path: Path) -> None:
    backbone = load_backbone(tiny_dir, device=CPU, dtype=torch.float32, layers=1)
    model, _ = reward_model(backbone)
    model.bias, model.gain = 0.25, 2.0
    save_reward(model, tmp_path / "rm", adapter="reward", facts={"n": 4})
    rows = [(row.prompt, answer) for row in ROWS for answer in row.completions]
    raw = model.score(rows, raw=True)
    torch.testing.assert_close(model.score(rows), (raw - 0.25) / 2.0)

    own = load_reward(tmp_path / "rm", device=CPU, dtype=torch.float32)
    torch.testing.assert_close(own.score(rows, raw=True), raw, rtol=0, atol=1e-4)
    torch.testing.assert_close(own.score(rows), (raw - 0.25) / 2.0, rtol=0, atol=1e-4)

    policy = load_backbone(tiny_dir, device=CPU, dtype=torch.float32)
    policy.tune(RewardConfig())
    shared = load_reward(tmp_path / "rm", device=CPU, dtype=torch.float32, backbone=policy)
    assert shared.backbone is policy
    assert policy.active == "policy"
    torch.testing.assert_close(shared.score(rows), own.score(rows), rtol=0, atol=1e-4)

    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm").eval()
    assert plain.config.num_labels == 1
    assert plain.config.num_hidden_layers == 1
    with torch.no_grad():
        for (prompt, answer), score in zip(rows, raw, strict=True):
            assert float(plain(input_ids=torch.tensor([prompt + answer])).logits) == pytest.approx(
                float(score), abs=1e-4
            )


def test_a_head_on_last_and_mean_reads_both_side_by_side(backbone: Backbone, tmp_path: Path) -> None:
    model, _ = reward_model(backbone, "both")
    rows = [(row.prompt, answer) for row in ROWS for answer in row.completions]
    width = backbone.hidden_size
    parts = []
    for readout, part in (("last", model.head.weight[:, :width]), ("mean", model.head.weight[:, width:])):
        one, _ = reward_model(backbone, readout)
        one.head.weight.data = part.detach()
        parts.append(one.score(rows))
    torch.testing.assert_close(model.score(rows), parts[0] + parts[1], rtol=0, atol=1e-5)

    save_reward(model, tmp_path / "rm", adapter="reward", facts={})
    loaded = load_reward(tmp_path / "rm", device=CPU, dtype=torch.float32)
    torch.testing.assert_close(loaded.score(rows), model.score(rows), rtol=0, atol=1e-4)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm")
    torch.testing.assert_close(plain.score.weight, model.head.weight[:, :width])

    facts = json.loads((tmp_path / "rm" / "reward.json").read_text())
    (tmp_path / "rm" / "reward.json").write_text(json.dumps(facts | {"readout": "last"}))
    with pytest.raises(ContractError, match=f"readout 'last' needs a head of {width} numbers, not {2 * width}"):
        load_reward(tmp_path / "rm", device=CPU, dtype=torch.float32)


@pytest.mark.parametrize("readout", ["last", "mean", "both"])
def test_a_critic_starts_with_the_score_of_a_completion_of_one_token(backbone: Backbone, readout: str) -> None:
    model, _ = reward_model(backbone, readout)
    model.bias, model.gain = 0.25, 2.0
    [state_ND] = model.ranking_states([RankingRow("a", "a", [1, 20], [[7]], [1])])
    critic = build_critic(PpoConfig(value_model="adapter"), backbone, model)
    value = critic.head(state_ND[:, : backbone.hidden_size])
    torch.testing.assert_close(value[:, 0], model.score([([1, 20], [7])]), rtol=0, atol=1e-5)


def test_another_base_gets_a_backbone_of_its_own(backbone: Backbone, tmp_path: Path) -> None:
    model, _ = reward_model(backbone)
    save_reward(model, tmp_path / "rm", adapter="reward", facts={})
    backbone.save_policy(tmp_path / "policy", "reward")
    other = load_backbone(tmp_path / "policy", device=CPU, dtype=torch.float32)
    loaded = load_reward(tmp_path / "rm", device=CPU, dtype=torch.float32, backbone=other)
    assert loaded.backbone is not other
    rows = [(ROWS[0].prompt, ROWS[0].completions[0])]
    torch.testing.assert_close(loaded.score(rows), model.score(rows), rtol=0, atol=1e-4)
