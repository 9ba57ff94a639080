"""The split is a pure function of seed and owner."""

from __future__ import annotations

from collections import Counter

import pytest

from labeling.prompts.split import Message, split_of


def said(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def test_one_owner_is_in_one_split() -> None:
    splits = {split_of(7, "customer-1", said(f"question {n}"), 10, 20) for n in range(200)}
    assert len(splits) == 1


def test_the_same_input_gives_the_same_split_in_a_later_release() -> None:
    golden = [split_of(7, f"customer-{n}", said("x"), 10, 20) for n in range(12)]
    assert golden == GOLDEN


def test_percentages_are_kept_over_many_owners() -> None:
    counts = Counter(split_of(3, f"customer-{n}", said("x"), 10, 20) for n in range(5000))
    assert counts["test"] / 5000 == pytest.approx(0.20, abs=0.02)
    assert counts["valid"] / 5000 == pytest.approx(0.10, abs=0.02)


def test_the_seed_moves_owners() -> None:
    one = [split_of(1, f"customer-{n}", said("x"), 10, 20) for n in range(300)]
    two = [split_of(2, f"customer-{n}", said("x"), 10, 20) for n in range(300)]
    assert one != two


def test_prompts_without_owner_that_begin_alike_stay_together() -> None:
    start = "Translate the following sentence into French, please: "
    assert len({split_of(7, "", said(f"{start}{n}"), 10, 20) for n in range(100)}) == 1
    assert len({split_of(7, "", said(f"{n} {start}"), 10, 20) for n in range(100)}) == 3


def test_case_and_white_space_do_not_move_a_prompt() -> None:
    for n in range(50):
        assert split_of(7, "", said(f"Tell ME\n about {n}"), 10, 20) == split_of(
            7, "", said(f"tell me about  {n}"), 10, 20
        )


@pytest.mark.parametrize(("valid", "test", "only"), [(0, 0, "train"), (100, 0, "valid"), (0, 100, "test")])
def test_extreme_percentages(valid: int, test: int, only: str) -> None:
    assert {split_of(7, f"customer-{n}", said("x"), valid, test) for n in range(100)} == {only}


GOLDEN = ["valid", "test", "train", "train", "test", "train", "train", "train", "test", "test", "train", "test"]
