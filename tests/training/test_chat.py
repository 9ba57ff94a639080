import pytest

from tests.training.run_directories import assistant, user
from training.backbone import Backbone
from training.chat import encode_answer, encode_demonstration, encode_prompt, end_id, render_prompt
from training.contracts import ContractError


def marked(backbone: Backbone, ids: list[int], response: list[bool]) -> str:
    return backbone.tokenizer.decode([token for token, answer in zip(ids, response, strict=True) if answer])


def test_the_prompt_opens_the_assistants_turn(backbone: Backbone) -> None:
    text = render_prompt(backbone.tokenizer, [user("Hello")], system="Be brief.")
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert backbone.tokenizer.decode(encode_prompt(backbone.tokenizer, [user("Hello")], "Be brief.")) == text


def test_system_text_joins_the_conversations_own(backbone: Backbone) -> None:
    messages = [{"role": "system", "content": "Speak plainly."}, user("Hello")]
    text = render_prompt(backbone.tokenizer, messages, system="Be brief.")
    assert text.startswith("<|im_start|>system\nBe brief.\n\nSpeak plainly.<|im_end|>")


def test_an_answer_ends_with_the_end_token_unless_it_was_cut_off(backbone: Backbone) -> None:
    whole = encode_answer(backbone.tokenizer, "Hello")
    assert whole[-1] == end_id(backbone.tokenizer) == 2
    assert encode_answer(backbone.tokenizer, "Hello", finished=False) == whole[:-1]
    assert encode_answer(backbone.tokenizer, "") == [2]
    assert encode_answer(backbone.tokenizer, "", finished=False) == [2]


def test_every_assistant_turn_is_marked_and_nothing_else(backbone: Backbone) -> None:
    messages = [user("One?"), assistant("First."), user("Two?"), assistant("Second.")]
    row = encode_demonstration(backbone.tokenizer, messages)
    assert marked(backbone, *row) == "First.<|im_end|>Second.<|im_end|>"
    prompt = encode_prompt(backbone.tokenizer, messages[:1])
    assert row.ids[: len(prompt)] == prompt
    assert not any(row.response[: len(prompt)])


def test_a_template_that_rewrites_earlier_turns_marks_the_last_answer_only(backbone: Backbone) -> None:
    backbone.tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{{ m.content if loop.last or m.role != 'assistant' else '…' }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    messages = [user("One?"), assistant("First."), user("Two?"), assistant("Second.")]
    assert marked(backbone, *encode_demonstration(backbone.tokenizer, messages)) == "Second.<|im_end|>"


def test_without_a_template_turns_are_plain_text(backbone: Backbone) -> None:
    backbone.tokenizer.chat_template = None
    assert render_prompt(backbone.tokenizer, [user("Hello")]) == "User:\nHello\n\nAssistant:\n"
    row = encode_demonstration(backbone.tokenizer, [user("Hello"), assistant("Good day.")])
    assert marked(backbone, *row) == "Good day.<|im_end|>"


def test_a_template_that_refuses_the_messages_is_reported(backbone: Backbone) -> None:
    backbone.tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(ContractError, match="chat template refuses these messages: no system role"):
        encode_prompt(backbone.tokenizer, [user("Hello")])


def test_a_tokenizer_without_an_end_token_is_refused(backbone: Backbone) -> None:
    backbone.tokenizer.chat_template = None
    backbone.tokenizer.eos_token = None
    end_id.cache_clear()
    with pytest.raises(ContractError, match="has no end-of-text token"):
        encode_answer(backbone.tokenizer, "Hello")
