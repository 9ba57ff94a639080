"""The seeds are whole: enough of them, no doubles, splits by owner, and every demonstration belongs to a training prompt."""

import json
import os
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import labeling.simulation

SEEDS = Path(labeling.simulation.__file__).parent / "seeds"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SEEDS / name).read_text(encoding="utf-8").splitlines()]


def test_prompts_are_many_varied_and_distinct() -> None:
    prompts = rows("prompts.jsonl")
    assert all(set(row) == {"id", "prompt", "category", "owner", "split"} for row in prompts)
    assert len({row["id"] for row in prompts}) == len(prompts) >= 150
    splits = Counter(row["split"] for row in prompts)
    assert set(splits) == {"train", "test"}
    assert splits["train"] >= 100
    assert splits["test"] >= 56
    assert len({row["category"] for row in prompts}) >= 8
    texts = [row["prompt"] for row in prompts]
    assert max(len(os.path.commonprefix(pair)) for pair in combinations(texts, 2)) < 24


def test_an_owner_has_prompts_in_one_split_only() -> None:
    owners: dict[str, set[str]] = {}
    for row in rows("prompts.jsonl"):
        owners.setdefault(row["owner"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in owners.values())


def test_demonstrations_answer_training_prompts_once_in_one_to_three_sentences() -> None:
    split = {row["id"]: row["split"] for row in rows("prompts.jsonl")}
    demonstrations = rows("demonstrations.jsonl")
    assert len({row["prompt_id"] for row in demonstrations}) == len(demonstrations) >= 64
    assert {split[row["prompt_id"]] for row in demonstrations} == {"train"}
    for row in demonstrations:
        assert row["text"][-1] in '.?!"', row
        assert 4 <= len(row["text"].split()) <= 40, row
