"""SFT, reward and pretraining as whole runs of the tiny model: results, resume at any step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.training.run_directories import ENDINGS, TOPICS, demonstrations, lines, make_run, numbers, rankings
from training import evaluate, pretrain, reward, sft
from training.backbone import load_backbone
from training.configs import ConfigError
from training.contracts import (
    EXIT_BAD_SPEC,
    EXIT_INTERRUPTED,
    EXIT_OK,
    DemonstrationRecord,
    Kind,
    RankingRecord,
    Result,
)
from training.records import demonstration_rows
from training.reward_data import split_records
from training.reward_model import load_reward
from training.score_scale import last_answer
from training.session import Metrics, Session, main

CPU = torch.device("cpu")
TRAIN: dict[Kind, Callable[[Session], Metrics]] = {
    Kind.SFT: sft.train,
    Kind.REWARD: reward.train,
    Kind.PRETRAIN: pretrain.train,
}
DOCUMENTS = [
    {"text": f"{topic} is a thing. {ending} " * 3, "source": "ab"[at % 2], "split": "valid" if at % 9 == 0 else "train"}
    for at, (topic, ending) in enumerate((topic, ending) for topic in TOPICS for ending in ENDINGS)
]
SMALL = {"context": 64, "vocab_size": 400, "layers": 2, "hidden": 32, "heads": 2, "batch_rows": 4, "steps": 6}


def prepare(folder: Path, kind: Kind, tiny: Path, **config: Any) -> Path:
    data: dict[Kind, dict[str, list[dict[str, Any]]]] = {
        Kind.SFT: {"demonstrations": demonstrations(12, valid=4)},
        Kind.REWARD: {"rankings": rankings(10), "demonstrations": demonstrations(4)},
        Kind.PRETRAIN: {"documents": DOCUMENTS},
    }
    base = SMALL if kind == Kind.PRETRAIN else {"batch_size": 4, "epochs": 2}
    inputs = {} if kind == Kind.PRETRAIN else {"policy": tiny}
    rate = {"learning_rate": 3e-3}
    return make_run(folder, kind, config=base | rate | config, inputs=inputs, data=data[kind], seed=3)


def stopping_at(train: Callable[[Session], Metrics], step: int) -> Callable[[Session], Metrics]:
    """The stage, told to stop while it does `step`."""

    def run(session: Session) -> Metrics:
        log = session.log

        def log_and_stop(at: int, split: str = "train", **metrics: float | None) -> None:
            log(at, split, **metrics)
            session.should_stop |= split == "train" and at == step

        session.log = log_and_stop  # type: ignore[method-assign]
        return train(session)

    return run


@pytest.mark.parametrize("kind", [Kind.SFT, Kind.REWARD, Kind.PRETRAIN])
def test_stopped_at_every_step_it_ends_bit_for_bit_the_same(kind: Kind, tmp_path: Path, tiny_dir: Path) -> None:
    whole = prepare(tmp_path / "whole", kind, tiny_dir)
    broken = prepare(tmp_path / "broken", kind, tiny_dir)
    assert main(TRAIN[kind], [str(whole)]) == EXIT_OK
    total = Result.read(whole).metrics["steps"]
    assert total >= 4
    for step in range(1, total + 1):
        assert main(stopping_at(TRAIN[kind], step), [str(broken)]) == EXIT_INTERRUPTED
    assert main(TRAIN[kind], [str(broken)]) == EXIT_OK
    assert numbers(broken) == numbers(whole)
    assert lines(broken / "samples.jsonl") == lines(whole / "samples.jsonl")
    assert Result.read(broken).metrics == Result.read(whole).metrics
    one, two = (load_file(folder / "output" / "model.safetensors") for folder in (whole, broken))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_sft_lowers_the_held_out_loss_of_the_published_policy(tmp_path: Path, tiny_dir: Path) -> None:
    run = prepare(tmp_path / "run", Kind.SFT, tiny_dir, epochs=6, first_adapted_layer=1)
    assert main(sft.train, [str(run)]) == EXIT_OK
    metrics = Result.read(run).metrics
    assert metrics["valid_loss_after"] < metrics["valid_loss_before"] - 0.3
    assert metrics["loss_last"] < metrics["loss_first"]
    assert (metrics["rows"], metrics["valid_rows"]) == (8, 4)

    plain = AutoModelForCausalLM.from_pretrained(run / "output").eval()
    tokenizer = AutoTokenizer.from_pretrained(run / "output")
    records = [DemonstrationRecord.parse(row) for row in demonstrations(12, valid=4) if row["split"] == "valid"]
    losses = []
    for row in demonstration_rows(records, tokenizer, 512):
        labels = torch.tensor([[token if answer else -100 for token, answer in zip(*row, strict=True)]])
        with torch.no_grad():
            out = plain(input_ids=torch.tensor([row.ids]), labels=labels)
        losses += [out.loss.item()] * sum(row.response)
    assert sum(losses) / len(losses) == pytest.approx(metrics["valid_loss_after"], abs=1e-4)
    texts = lines(run / "samples.jsonl")
    assert [row["step"] for row in texts] == [step for step in range(0, 13, 2) for _ in range(3)]


def test_reward_learns_the_preference_and_puts_demonstrations_at_zero(tmp_path: Path, tiny_dir: Path) -> None:
    run = prepare(tmp_path / "run", Kind.REWARD, tiny_dir, epochs=8, valid_fraction=0.3)
    assert main(reward.train, [str(run)]) == EXIT_OK
    metrics = Result.read(run).metrics
    assert metrics["accuracy"] > 0.8
    assert metrics["accuracy_ci95"][0] <= metrics["accuracy"] <= metrics["accuracy_ci95"][1]
    assert (metrics["rows"], metrics["valid_rows"], metrics["pairs"], metrics["valid_pairs"]) == (7, 3, 21, 9)
    assert metrics["corr_length"] < 0  # shorter is better
    model = load_reward(run / "output", device=CPU, dtype=torch.float32)
    assert (model.bias, model.gain) == (metrics["bias"], metrics["gain"])
    records = [DemonstrationRecord.parse(row) for row in demonstrations(4)]
    rows = [last_answer(*row) for row in demonstration_rows(records, model.backbone.tokenizer, 512)]
    assert float(model.score(rows).mean()) == pytest.approx(0.0, abs=1e-4)


def test_full_tuning_trains_a_reward_model_too(tmp_path: Path, tiny_dir: Path) -> None:
    run = prepare(
        tmp_path / "run", Kind.REWARD, tiny_dir, tuning="full", trunk_layers=1, readout="mean", normalise="completions"
    )
    assert main(reward.train, [str(run)]) == EXIT_OK
    model = load_reward(run / "output", device=CPU, dtype=torch.float32)
    assert (model.backbone.layer_count, model.readout) == (1, "mean")
    assert not (run / "output" / "adapter").exists()


def test_held_out_prompts_are_whole_and_a_valid_split_is_used_as_it_is() -> None:
    rows = [row | {"id": f"{row['id']}-{copy}"} for row in rankings(6) for copy in range(2)]
    records = [RankingRecord.parse(row) for row in rows]
    train, valid = split_records(records, 0.3, seed=1)
    assert (len(train), len(valid)) == (8, 4)
    assert not {record.prompt_id for record in train} & {record.prompt_id for record in valid}
    assert split_records(records, 0.0, seed=1) == (records, [])
    given = [RankingRecord.parse(row) for row in rankings(6, valid=2)]
    assert [len(part) for part in split_records(given, 0.5, seed=1)] == [4, 2]


def test_rankings_with_only_ties_teach_nothing(tmp_path: Path, tiny_dir: Path) -> None:
    tied = [row | {"ranks": [1, 1, 1]} for row in rankings(4)]
    run = make_run(tmp_path / "run", Kind.REWARD, inputs={"policy": tiny_dir}, data={"rankings": tied})
    assert main(reward.train, [str(run)]) == EXIT_BAD_SPEC
    assert "no train row with two different ranks" in Result.read(run).error


def test_a_tied_ranking_among_others_is_left_out_and_counted(tmp_path: Path, tiny_dir: Path) -> None:
    rows = rankings(5)
    rows[2]["ranks"] = [2, 2, 2]
    config = {"valid_fraction": 0.0}
    run = make_run(tmp_path / "run", Kind.REWARD, config=config, inputs={"policy": tiny_dir}, data={"rankings": rows})
    assert main(reward.train, [str(run)]) == EXIT_OK
    metrics = Result.read(run).metrics
    assert (metrics["rows"], metrics["tied_rows"], metrics["valid_rows"], metrics["accuracy"]) == (4, 1, 0, None)


def test_a_ranking_of_one_completion_is_skipped_and_counted(tmp_path: Path, tiny_dir: Path) -> None:
    rows = rankings(6, valid=2)
    alone = [
        row | {"id": f"{row['id']}-one", "completions": row["completions"][:1], "ranks": [1]}
        for row in (rows[0], rows[-1])
    ]
    shared: dict[str, Any] = {"config": {"seeds": 2}, "inputs": {"policy": tiny_dir}}
    plain = make_run(tmp_path / "plain", Kind.REWARD, data={"rankings": rows}, **shared)
    more = make_run(tmp_path / "more", Kind.REWARD, data={"rankings": rows + alone}, **shared)
    assert main(reward.train, [str(plain)]) == main(reward.train, [str(more)]) == EXIT_OK
    without, found = Result.read(plain).metrics, Result.read(more).metrics
    assert (without["single_rows"], found["single_rows"]) == (0, 2)
    assert found | {"single_rows": 0} == without

    data = {"rankings": [row | {"split": "test"} for row in rows[:2] + alone]}
    judged = make_run(
        tmp_path / "judged", Kind.EVALUATE, inputs={"policy": tiny_dir, "reward": more / "output"}, data=data
    )
    assert main(evaluate.train, [str(judged)]) == EXIT_OK
    report = Result.read(judged).metrics
    assert (report["reward/rows"], report["reward/single_rows"]) == (2, 2)

    data = {"rankings": [row | {"split": "test"} for row in alone]}
    nothing = make_run(tmp_path / "nothing", Kind.EVALUATE, inputs={"policy": tiny_dir}, data=data)
    assert main(evaluate.train, [str(nothing)]) == EXIT_BAD_SPEC
    assert "has a row of split 'test' but rankings of one completion (2)" in Result.read(nothing).error


def test_rankings_of_nothing_are_refused(tmp_path: Path, tiny_dir: Path) -> None:
    rows = [*rankings(2), rankings(1)[0] | {"id": "none", "completions": [], "ranks": []}]
    run = make_run(tmp_path / "run", Kind.REWARD, inputs={"policy": tiny_dir}, data={"rankings": rows})
    assert main(reward.train, [str(run)]) == EXIT_BAD_SPEC
    assert "row 3: field 'completions' is empty" in Result.read(run).error


def test_pretraining_makes_a_model_that_can_be_tuned(tmp_path: Path) -> None:
    run = prepare(tmp_path / "run", Kind.PRETRAIN, tmp_path, steps=25)
    assert main(pretrain.train, [str(run)]) == EXIT_OK
    metrics = Result.read(run).metrics
    assert metrics["valid_loss_after"] < metrics["valid_loss_before"] - 1.0
    backbone = load_backbone(run / "output", device=CPU, dtype=torch.float32)
    assert backbone.splits
    assert backbone.context_length == 64
    tuned = make_run(
        tmp_path / "tuned", Kind.SFT, inputs={"policy": run / "output"}, data={"demonstrations": demonstrations(4)}
    )
    assert main(sft.train, [str(tuned)]) == EXIT_OK


def test_documents_are_cut_only_when_longer_than_a_row_and_no_token_is_lost() -> None:
    documents = [[10, 11, 12, 0], [20, 0], [30, 31, 32, 33, 34, 0]]
    rows = pretrain.pack(documents, [2, 0, 1], 5)
    assert [row.ids for row in rows] == [[30, 31, 32, 33, 34], [10, 11, 12, 0, 0], [20, 0]]
    assert [row.segments for row in rows] == [[1] * 5, [1, 1, 1, 1, 2], [1, 1]]
    assert [row.learned for row in rows] == [[False] + [True] * 4, [False, True, True, True, False], [False, True]]


def test_a_stream_taken_up_again_goes_on_where_it_was() -> None:
    documents = [[at, at + 100, 0] for at in range(1, 8)]
    whole = pretrain.RowStream(documents, context=4, seed=1, taken=0)
    rows = [next(whole) for _ in range(20)]
    for taken in (0, 5, 6, 7, 12, 19):
        assert next(pretrain.RowStream(documents, context=4, seed=1, taken=taken)) == rows[taken]


def test_mixture_weights_name_their_mistakes() -> None:
    sizes = {"books": 30, "web": 10}
    assert pretrain.mixture_weights("", sizes) == {"books": 30.0, "web": 10.0}
    assert pretrain.mixture_weights("books=1, web=3", sizes) == {"books": 1.0, "web": 3.0}
    for text, problem in (
        ("books", "'books' must be source=weight"),
        ("books=x,web=1", "'books=x' must be source=weight"),
        ("books=1", "must name each source once; the documents have books, web"),
        ("books=0,web=0", "at least one weight must be above 0"),
    ):
        with pytest.raises(ConfigError, match=problem):
            pretrain.mixture_weights(text, sizes)
