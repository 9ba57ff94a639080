from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig, Qwen2Config, Qwen3Config

from training import choosing, cuda_graphs, decoders, sampling
from training.backbone import Backbone, stop_ids
from training.chat import encode_prompt
from training.choosing import Chooser
from training.configs import ConfigError
from training.contracts import ContractError
from training.decoders import SlotDecoder, WholeDecoder
from training.packed_linear import can_pack, packed_linears
from training.probes import splits_exactly
from training.sampling import Decoding, generate, row_seed

QUESTIONS = ["Why is the sky blue?", "Name three fruits.", "Say thank you.", "What is a river? Tell me all about it."]
LONG = Decoding(max_new_tokens=24)
SHAPE = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}


def prompts_of(backbone, questions=QUESTIONS):
    return [encode_prompt(backbone.tokenizer, [{"role": "user", "content": text}]) for text in questions]


def seeds_of(count):
    return [row_seed(7, at) for at in range(count)]


def teacher_forced(backbone, prompt, sampled, temperature=1.0, least=0):
    ids = torch.tensor([prompt + sampled.ids])
    response = torch.zeros_like(ids).bool()
    response[:, len(prompt) :] = True
    with torch.no_grad():
        states = backbone.run_top(backbone.run_bottom(ids))
        return backbone.token_logprobs(states, ids, response, temperature=temperature, least=least).logprobs_N


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


def test_no_answer_ends_before_its_shortest_length(backbone):
    backbone.model.generation_config.eos_token_id = list(range(400))
    prompts = prompts_of(backbone) * 2
    settings = [Decoding(6, 0.7, 1.0, least) for least in (0, 1, 3, 6)] + [Decoding(6, 1.0, 0.9, 2)] * 4
    answers = generate(backbone, prompts, settings, seeds_of(8), batch_rows=3)
    for prompt, answer, setting in zip(prompts, answers, settings, strict=True):
        assert all(token >= 400 for token in answer.ids[: setting.min_new_tokens])
        assert len(answer.ids) >= min(6, setting.min_new_tokens + 1)
        if setting.top_p == 1.0:
            expected = teacher_forced(backbone, prompt, answer, 0.7, least=setting.min_new_tokens)
            torch.testing.assert_close(answer.logprobs_T, expected, rtol=0, atol=1e-4)
    assert [answer.finished for answer in answers[:4]] == [True, True, True, False]


def test_an_end_token_beyond_the_output_layer_changes_nothing(backbone):
    prompts, setting = prompts_of(backbone), Decoding(6, min_new_tokens=2)
    backbone.model.generation_config.eos_token_id = list(range(400))
    known = generate(backbone, prompts, setting, seeds_of(4))
    backbone.model.generation_config.eos_token_id = [*range(400), 512, 100_000]
    assert sorted(stop_ids(backbone)) == list(range(400))
    answers = generate(backbone, prompts, setting, seeds_of(4))
    for prompt, answer, before in zip(prompts, answers, known, strict=True):
        assert (answer.ids, answer.finished) == (before.ids, before.finished)
        expected = teacher_forced(backbone, prompt, answer, least=2)
        torch.testing.assert_close(answer.logprobs_T, expected, rtol=0, atol=1e-4)


def test_the_shortest_length_is_that_of_transformers(backbone):
    """Greedily, with every other token an end token."""
    stops = list(range(0, 512, 2))
    prompt = prompts_of(backbone)[0]
    backbone.model.generation_config.eos_token_id = stops
    ours = generate(backbone, [prompt], Decoding(12, 0.0, 1.0, 5), [0])[0]
    theirs = backbone.model.generate(
        torch.tensor([prompt]), do_sample=False, min_new_tokens=5, max_new_tokens=12, eos_token_id=stops, pad_token_id=0
    )
    assert ours.ids == theirs[0, len(prompt) :].tolist()
    assert len(ours.ids) > 5


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


@pytest.fixture
def passes(monkeypatch):
    """The shape [rows, positions] of every forward pass of decoding."""
    seen = []
    layers = SlotDecoder._layers

    def watched(decoder, ids, *rest):
        seen.append(tuple(ids.shape))
        return layers(decoder, ids, *rest)

    monkeypatch.setattr(SlotDecoder, "_layers", watched)
    return seen


@pytest.mark.parametrize("batch_rows", [16, 3])
def test_each_distinct_prompt_is_prefilled_once_however_its_rows_come(backbone, passes, batch_rows):
    prompts = prompts_of(backbone)[:2]
    generate(backbone, prompts * 8, Decoding(4), seeds_of(16), batch_rows=batch_rows)
    prefills = [shape for shape in passes if shape[1] > 1]
    assert sum(rows for rows, _ in prefills) == 2


def test_finished_rows_cost_nothing(backbone, passes):
    answers = generate(backbone, prompts_of(backbone) * 8, LONG, seeds_of(32), batch_rows=7)
    assert sum(rows for rows, width in passes if width == 1) == sum(len(row.ids) - 1 for row in answers)


def test_new_prompts_come_while_others_are_still_running(backbone, passes):
    limits = [2, 24, 24, 24, 3, 5, 7, 9]
    answers = generate(backbone, prompts_of(backbone) * 2, [Decoding(n) for n in limits], seeds_of(8), batch_rows=4)
    widths = [width > 1 for _, width in passes]
    assert widths[0] is True
    assert any(widths[1:])
    rows = [count for count, width in passes if width == 1]
    assert max(rows) == 4
    for at, limit in enumerate(limits):
        alone = generate(backbone, [(prompts_of(backbone) * 2)[at]], Decoding(limit), [seeds_of(8)[at]])[0]
        assert alone.ids == answers[at].ids
        assert alone.finished is answers[at].finished
        torch.testing.assert_close(alone.logprobs_T, answers[at].logprobs_T, rtol=0, atol=1e-4)


def test_rows_of_one_batch_may_have_their_own_settings(backbone):
    settings = [Decoding(12, 0.0), Decoding(20, 1.0), Decoding(16, 0.5), Decoding(8, 1.0, 0.4)]
    together = generate(backbone, prompts_of(backbone), settings, seeds_of(4))
    for at, (prompt, setting) in enumerate(zip(prompts_of(backbone), settings, strict=True)):
        alone = generate(backbone, [prompt], setting, [seeds_of(4)[at]])[0]
        assert alone.ids == together[at].ids
        torch.testing.assert_close(alone.logprobs_T, together[at].logprobs_T, rtol=0, atol=1e-4)
    assert all(len(row.ids) <= own.max_new_tokens for row, own in zip(together, settings, strict=True))


def test_a_model_whose_layers_cannot_be_called_one_by_one_gives_the_same_answers(backbone, monkeypatch):
    prompts = prompts_of(backbone) * 2
    whole = generate(backbone, prompts, LONG, seeds_of(8), batch_rows=3)
    backbone.splits = False
    seen = []
    forward = WholeDecoder._forward
    monkeypatch.setattr(WholeDecoder, "_forward", lambda *args: seen.append(1) or forward(*args))
    for one, other in zip(generate(backbone, prompts, LONG, seeds_of(8), batch_rows=3), whole, strict=True):
        assert one.ids == other.ids
        torch.testing.assert_close(one.logprobs_T, other.logprobs_T, rtol=0, atol=1e-4)
    assert seen


def test_other_architectures_decode_in_slots(tiny_dir, backbone):
    for config in (
        Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=True),
        Qwen2Config(**SHAPE),
        MistralConfig(**SHAPE, sliding_window=None),
    ):
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
        other = Backbone(model, backbone.tokenizer, backbone.device, backbone.dtype, "")
        other.splits = splits_exactly(other)
        assert other.splits
        answers = generate(other, prompts_of(backbone) * 2, Decoding(10), seeds_of(8), batch_rows=3)
        for prompt, answer in zip(prompts_of(backbone) * 2, answers, strict=True):
            torch.testing.assert_close(answer.logprobs_T, teacher_forced(other, prompt, answer), rtol=0, atol=1e-4)


# ---------------------------------------------------------------- recorded steps, packed weights


def test_recorded_steps_give_the_same_answers(backbone, monkeypatch):
    """Everything of a CUDA graph but the graph: fixed addresses, a fixed number of rows and positions, rows to spare."""

    def record(compute, device):
        states = compute()
        return lambda: states.copy_(compute()), states

    prompts = prompts_of(backbone) * 3
    limits = [Decoding(4 + at) for at in range(12)]
    plain = generate(backbone, prompts, limits, seeds_of(12), batch_rows=5)
    monkeypatch.setattr(cuda_graphs, "record", record)
    monkeypatch.setattr(decoders, "GRAPH_WIDTH", 16)
    monkeypatch.setattr(sampling, "check_compile", lambda *args: None)
    recorded = generate(backbone, prompts, limits, seeds_of(12), batch_rows=5, compile=True)
    for one, other in zip(recorded, plain, strict=True):
        assert one.ids == other.ids
        torch.testing.assert_close(one.logprobs_T, other.logprobs_T, rtol=0, atol=1e-4)


def test_compile_is_refused_where_there_are_no_cuda_graphs(backbone):
    with pytest.raises(ConfigError, match="compile: records CUDA graphs and gains nothing on cpu"):
        generate(backbone, prompts_of(backbone), LONG, seeds_of(4), compile=True)


def test_compile_is_refused_for_rotary_positions_that_follow_the_length(backbone, monkeypatch):
    on_cuda = replace(backbone, device=torch.device("cuda"))
    sampling.check_compile(on_cuda, True)
    for kind in ("dynamic", "longrope"):
        monkeypatch.setattr(backbone.trunk.rotary_emb, "rope_type", kind)
        with pytest.raises(ConfigError, match="compile: rotary positions of this model follow the length"):
            sampling.check_compile(on_cuda, True)
        sampling.check_compile(on_cuda, False)


def test_packed_weights_compute_the_same_and_are_taken_out_again(backbone):
    x = torch.randn(3, 1, 64, generator=torch.Generator().manual_seed(0))
    part = backbone.trunk.layers[0].mlp.up_proj
    plain = part(x)
    with torch.no_grad(), packed_linears(backbone.model, 4):
        assert ("forward" in part.__dict__) is can_pack(backbone.device, backbone.dtype)
        torch.testing.assert_close(part(x), plain, rtol=0, atol=1e-5)
        many = torch.randn(40, 1, 64, generator=torch.Generator().manual_seed(1))
        assert torch.equal(part(many), torch.nn.functional.linear(many, part.weight))
    assert torch.equal(part(x), plain)


def test_every_answer_is_told_when_it_ends_and_check_can_stop(backbone):
    told = {}
    answers = generate(backbone, prompts_of(backbone) * 4, LONG, seeds_of(16), batch_rows=6, on_answer=told.__setitem__)
    assert [told[at] for at in range(16)] == answers

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
    tokens, logprobs = Chooser.of([Decoding(1, temperature, top_p)] * 3600, grid.device).choose(logits, grid)
    shares = torch.bincount(tokens, minlength=4) / 3600
    torch.testing.assert_close(shares, torch.tensor(expected), rtol=0, atol=6e-4)
    torch.testing.assert_close(logprobs.exp(), torch.tensor(expected)[tokens], rtol=1e-5, atol=0)


def test_a_wide_nucleus_is_sorted_in_full(monkeypatch):
    logits = torch.randn(64, 50, generator=torch.Generator().manual_seed(0))
    grid = torch.rand(64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    chooser = Chooser.of([Decoding(1, 1.0, 0.9)] * 64, logits.device)
    whole = chooser.choose(logits, grid)
    monkeypatch.setattr(choosing, "NUCLEUS_FIRST", 3)
    few = chooser.choose(logits, grid)
    assert torch.equal(whole[0], few[0])
    torch.testing.assert_close(whole[1], few[1])


@pytest.mark.parametrize("width", [1, 127, 128, 129, 1000])
def test_the_inverse_of_the_cumulative_distribution_never_returns_a_token_of_probability_zero(width):
    weights = torch.rand(200, width, generator=torch.Generator().manual_seed(width))
    weights[:, ::3] *= (torch.arange(0, width, 3) % 2 == 1).float()  # some tokens, at times whole blocks, cannot come
    weights[:, 0] += weights.sum(1).eq(0)
    for uniform in (0.0, 0.5, 1.0 - 2**-53):
        tokens, total = choosing.invert(weights, torch.full((200,), uniform, dtype=torch.float64))
        assert (weights.gather(1, tokens[:, None]) > 0).all()
        torch.testing.assert_close(total, weights.double().sum(1), rtol=1e-6, atol=0)
        before = weights.double().cumsum(1) - weights.double()
        low = before.gather(1, tokens[:, None])[:, 0]
        slack = 1e-6 * total  # the blocks are summed in float32
        assert (low <= uniform * total + slack).all()
        assert (low + weights.gather(1, tokens[:, None])[:, 0] >= uniform * total - slack).all()


def test_a_prompt_without_room_for_the_answer_is_named(backbone):
    with pytest.raises(ContractError, match=r"prompt 1 has 2040 tokens; with max_new_tokens 24"):
        generate(backbone, [[5] * 10, [5] * 2040], LONG, seeds_of(2))


def test_an_end_token_inside_the_prompt_does_not_end_the_answer(backbone):
    answer = generate(backbone, [[1, 2, 40, 2, 41]], LONG, [3])[0]
    assert len(answer.ids) > 1
