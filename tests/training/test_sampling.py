import pytest
import torch

from training import sampling
from training.chat import encode_prompt
from training.contracts import ContractError
from training.sampling import Decoding, choose, decode_batch, generate, row_seed

QUESTIONS = ["Why is the sky blue?", "Name three fruits.", "Say thank you.", "What is a river? Tell me all about it."]
LONG = Decoding(max_new_tokens=24)


def prompts_of(backbone, questions=QUESTIONS):
    return [encode_prompt(backbone.tokenizer, [{"role": "user", "content": text}]) for text in questions]


def seeds_of(count):
    return [row_seed(7, at) for at in range(count)]


def teacher_forced(backbone, prompt, sampled, temperature=1.0):
    ids = torch.tensor([prompt + sampled.ids])
    response = torch.zeros_like(ids).bool()
    response[:, len(prompt) :] = True
    with torch.no_grad():
        states = backbone.run_top(backbone.run_bottom(ids))
        return backbone.token_logprobs(states, ids, response, temperature=temperature).logprobs_N


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_captured_logprobs_equal_teacher_forced_ones(backbone, temperature):
    prompts = prompts_of(backbone)
    answers = generate(backbone, prompts, Decoding(24, temperature), seeds_of(4))
    for prompt, answer in zip(prompts, answers, strict=True):
        assert len(answer.ids) == len(answer.logprobs_T)
        expected = teacher_forced(backbone, prompt, answer, temperature)
        torch.testing.assert_close(answer.logprobs_T, expected, rtol=0, atol=1e-4)


def test_a_row_gives_the_same_text_alone_as_in_a_padded_batch(backbone):
    prompts = prompts_of(backbone) * 2
    together = generate(backbone, prompts, LONG, seeds_of(8))
    for at in range(8):
        alone = generate(backbone, [prompts[at]], LONG, [seeds_of(8)[at]])[0]
        assert alone.ids == together[at].ids
        torch.testing.assert_close(alone.logprobs_T, together[at].logprobs_T, rtol=0, atol=1e-4)


def test_batches_of_another_size_give_the_same_answers_in_the_order_of_the_prompts(backbone):
    prompts = prompts_of(backbone) * 3
    whole = generate(backbone, prompts, LONG, seeds_of(12))
    parts = generate(backbone, prompts, LONG, seeds_of(12), batch_rows=5)
    assert [row.ids for row in whole] == [row.ids for row in parts]
    assert len({tuple(row.ids) for row in whole[::4]}) > 1  # same prompt, other seeds


def test_an_answer_ends_at_its_stop_token_and_says_so(backbone):
    answers = generate(backbone, prompts_of(backbone) * 8, LONG, seeds_of(32))
    finished = [row for row in answers if row.finished]
    cut = [row for row in answers if not row.finished]
    assert finished
    assert all(row.ids[-1] in (2, 0) and not {0, 2} & set(row.ids[:-1]) for row in finished)
    assert all(len(row.ids) == 24 and not {0, 2} & set(row.ids) for row in cut)


def test_answers_that_end_at_once_have_one_token(backbone, monkeypatch):
    monkeypatch.setattr(sampling, "stop_ids", lambda backbone: list(range(512)))
    answers = generate(backbone, prompts_of(backbone), LONG, seeds_of(4))
    assert [(len(row.ids), row.finished, row.logprobs_T.shape) for row in answers] == [(1, True, (1,))] * 4


def test_a_limit_of_one_token_truncates(backbone, monkeypatch):
    monkeypatch.setattr(sampling, "stop_ids", lambda backbone: [511])
    answers = generate(backbone, prompts_of(backbone), Decoding(1), seeds_of(4))
    assert [(len(row.ids), row.finished) for row in answers] == [(1, False)] * 4


def test_greedy_takes_the_likeliest_token_whatever_the_seed(backbone):
    prompt = prompts_of(backbone)[:1]
    first = generate(backbone, prompt, Decoding(8, temperature=0.0), [1])[0]
    assert first.ids == generate(backbone, prompt, Decoding(8, temperature=0.0), [2])[0].ids
    with torch.no_grad():
        states = backbone.run_top(backbone.run_bottom(torch.tensor(prompt)))
        assert first.ids[0] == backbone.logits(states)[0, -1].argmax().item()


def test_values_are_captured_from_the_state_that_chose_the_token(backbone):
    prompts = prompts_of(backbone)
    answers = generate(backbone, prompts, LONG, seeds_of(4), value_of=lambda states: states[:, 3])
    for prompt, answer in zip(prompts, answers, strict=True):
        ids = torch.tensor([prompt + answer.ids])
        with torch.no_grad():
            states = backbone.run_top(backbone.run_bottom(ids))[0, len(prompt) - 1 : -1, 3]
        torch.testing.assert_close(answer.values_T, states, rtol=0, atol=1e-4)


def test_each_distinct_prompt_is_prefilled_once(backbone, monkeypatch):
    seen = []
    step = sampling._step
    monkeypatch.setattr(sampling, "_step", lambda b, ids, *rest: seen.append(tuple(ids.shape)) or step(b, ids, *rest))
    prompts = prompts_of(backbone)[:2]
    decode_batch(backbone, prompts * 8, Decoding(2), seeds_of(16))
    assert seen[0] == (2, max(map(len, prompts)))
    assert seen[1][1] == 1
    assert seen[1][0] <= 16


def test_finished_rows_leave_the_batch(backbone, monkeypatch):
    rows = []
    step = sampling._step
    monkeypatch.setattr(sampling, "_step", lambda b, ids, *rest: rows.append(len(ids)) or step(b, ids, *rest))
    answers = decode_batch(backbone, prompts_of(backbone) * 8, LONG, seeds_of(32))
    assert sum(rows[1:]) == sum(len(row.ids) - 1 for row in answers)


def test_progress_counts_every_row_once_and_check_can_stop(backbone):
    counted = []
    generate(backbone, prompts_of(backbone) * 4, LONG, seeds_of(16), batch_rows=6, on_done=counted.append)
    assert sum(counted) == 16

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(backbone, prompts_of(backbone), LONG, seeds_of(4), check=stop)


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1.0, 1.0, [0.1, 0.4, 0.2, 0.3]),
        (0.5, 1.0, [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
        (1.0, 0.6, [0.0, 4 / 7, 0.0, 3 / 7]),
        (1.0, 0.39, [0.0, 1.0, 0.0, 0.0]),
        (1.0, 0.75, [0.0, 4 / 9, 2 / 9, 3 / 9]),
    ],
)
def test_tokens_follow_the_distribution_exactly(temperature, top_p, expected):
    """Every uniform number on a fine grid is used once, so the counts are the probabilities."""
    grid = (torch.arange(3600, dtype=torch.float64) + 0.5) / 3600
    logits = torch.tensor([0.1, 0.4, 0.2, 0.3]).log().expand(3600, 4)
    tokens, logprobs = choose(logits, grid, Decoding(1, temperature, top_p))
    shares = torch.bincount(tokens, minlength=4) / 3600
    torch.testing.assert_close(shares, torch.tensor(expected), rtol=0, atol=6e-4)
    torch.testing.assert_close(logprobs.exp(), torch.tensor(expected)[tokens], rtol=1e-5, atol=0)


def test_a_wide_nucleus_is_sorted_in_full(monkeypatch):
    logits = torch.randn(64, 50, generator=torch.Generator().manual_seed(0))
    grid = torch.rand(64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = choose(logits, grid, Decoding(1, 1.0, 0.9))
    monkeypatch.setattr(sampling, "NUCLEUS_FIRST", 3)
    few = choose(logits, grid, Decoding(1, 1.0, 0.9))
    assert torch.equal(whole[0], few[0])
    torch.testing.assert_close(whole[1], few[1])


def test_a_prompt_without_room_for_the_answer_is_named(backbone):
    with pytest.raises(ContractError, match=r"prompt 1 has 2040 tokens; with max_new_tokens 24"):
        generate(backbone, [[5] * 10, [5] * 2040], LONG, seeds_of(2))


def test_an_end_token_inside_the_prompt_does_not_end_the_answer(backbone):
    answer = generate(backbone, [[1, 2, 40, 2, 41]], LONG, [3])[0]
    assert len(answer.ids) > 1
