import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.training.run_directories import demonstrations, rankings, user
from training.backbone import Backbone
from training.batches import block_mask, completion_rows, micro_batches, packed_rows
from training.contracts import ContractError, DemonstrationRecord, PromptRecord, RankingRecord
from training.records import RankingRow, demonstration_rows, prompt_rows, ranking_rows

CPU = torch.device("cpu")


@given(st.lists(st.integers(1, 90), max_size=40), st.integers(1, 300))
def test_micro_batches_hold_every_row_once_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = micro_batches(lengths, budget)
    assert sorted(at for group in groups for at in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[at] for at in group) <= budget


def test_packed_row_by_hand() -> None:
    batch = packed_rows([RankingRow("a", "a", [5, 6], [[7, 2], [8, 9, 2]], [1, 2])], 0, CPU)
    assert batch.ids_BT.tolist() == [[5, 6, 7, 2, 8, 9, 2]]
    assert batch.positions_BT is not None and batch.positions_BT.tolist() == [[0, 1, 2, 3, 2, 3, 4]]
    assert (batch.row_N.tolist(), batch.start_N.tolist(), batch.stop_N.tolist()) == ([0, 0], [2, 4], [4, 7])
    assert batch.mask is not None
    sees = [[at for at in range(7) if row[at]] for row in batch.mask[0, 0].tolist()]
    assert sees == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 4], [0, 1, 4, 5], [0, 1, 4, 5, 6]]


def test_documents_do_not_see_each_other_and_padding_sees_itself() -> None:
    mask = block_mask(torch.tensor([[1, 1, 2, -1]]))[0, 0].int().tolist()
    assert mask == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_spans_are_found_by_length_not_by_looking_for_padding() -> None:
    batch = completion_rows([([1, 0, 0], [2]), ([1], [4, 0, 0, 2])], pad_id=0, device=CPU)
    assert (batch.start_N.tolist(), batch.stop_N.tolist()) == ([3, 1], [4, 5])


def test_rows_that_are_too_long_are_named_and_counted(backbone: Backbone) -> None:
    records = [DemonstrationRecord.parse(row) for row in demonstrations(4)]
    sizes = [len(row.ids) for row in demonstration_rows(records, backbone.tokenizer, 512)]
    longest = max(sizes)
    at = sizes.index(longest)
    with pytest.raises(
        ContractError, match=rf"demonstrations row {at + 1} \(id d{at}\): {longest} tokens, but the limit"
    ):
        demonstration_rows(records, backbone.tokenizer, longest - 1)
    with pytest.raises(ContractError, match=r"rankings row 1 \(id r0\).*\(2 rows are too long\)"):
        ranking_rows([RankingRecord.parse(row) for row in rankings(2)], backbone.tokenizer, 8)
    with pytest.raises(ContractError, match=r"prompts row 1 \(id p\)"):
        prompt_rows([PromptRecord("p", [user("Hello there")])], backbone.tokenizer, max_tokens=3)


def test_an_answer_without_a_question_is_refused(backbone: Backbone) -> None:
    record = DemonstrationRecord("d", [{"role": "assistant", "content": "Hello."}])
    with pytest.raises(ContractError, match=r"demonstrations row 1 \(id d\): no user message before the answer"):
        demonstration_rows([record], backbone.tokenizer, 512)


def test_ranking_rows_keep_ranks_and_leave_cut_off_answers_open(backbone: Backbone) -> None:
    row = rankings(1)[0]
    row["completions"][0]["finish_reason"] = "length"
    [ranking] = ranking_rows([RankingRecord.parse(row)], backbone.tokenizer, 512)
    assert ranking.ranks == row["ranks"]
    assert [answer[-1] == 2 for answer in ranking.completions] == [False, True, True]
    assert ranking.pairs == 3
    assert RankingRow("a", "a", [1], [[2], [3, 2], [4, 2]], [1, 1, 2]).pairs == 2
    assert RankingRow("a", "a", [1], [[2], [3, 2]], [1, 1]).pairs == 0


def test_a_margin_needs_two_completions(backbone: Backbone) -> None:
    record = RankingRecord.parse(rankings(1)[0] | {"margin": 1.0})
    with pytest.raises(ContractError, match="'margin' is for 2 completions, not 3"):
        ranking_rows([record], backbone.tokenizer, 512)


def test_a_prompt_whose_id_occurs_twice_is_refused(backbone: Backbone) -> None:
    records = [PromptRecord(name, [{"role": "user", "content": text}]) for name, text in ("ax", "by", "az")]
    assert [row.id for row in prompt_rows(records[:2], backbone.tokenizer, max_tokens=50)] == ["a", "b"]
    with pytest.raises(ContractError, match="prompts row 3: the id 'a' occurs twice; give each prompt its own"):
        prompt_rows(records, backbone.tokenizer, max_tokens=50)
