"""Messages to token ids: prompts, answers and whole demonstrations, by the tokenizer's chat template or a plain one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from training.contracts import ContractError

Messages = Sequence[dict[str, str]]


class TokenRow(NamedTuple):
    """Token ids and, for each, whether it belongs to the answer (is learned, scored or counted)."""

    ids: list[int]
    response: list[bool]


def render_prompt(tokenizer: PreTrainedTokenizerBase, messages: Messages, system: str = "") -> str:
    """The text the model continues: the conversation so far and the opening of the assistant's turn.

    `system` is put before the conversation, joined to its own system message when it has one.
    """
    messages = _with_system(messages, system)
    if not tokenizer.chat_template:
        return "".join(f"{turn['role'].capitalize()}:\n{turn['content']}\n\n" for turn in messages) + "Assistant:\n"
    try:
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))
    except TemplateError as problem:
        raise ContractError(f"the tokenizer's chat template refuses these messages: {problem}") from problem


def _with_system(messages: Messages, system: str) -> Messages:
    if not system:
        return messages
    if messages[0]["role"] == "system":
        joined = f"{system}\n\n{messages[0]['content']}"
        return [{"role": "system", "content": joined}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of `text`, special tokens in it recognised, none added."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Messages, system: str = "") -> list[int]:
    """Token ids of a conversation with the assistant's turn opened."""
    return encode_text(tokenizer, render_prompt(tokenizer, messages, system))


@lru_cache(maxsize=16)
def end_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that ends an answer: the special token the chat template puts after it, else the end-of-text token."""
    if tokenizer.chat_template:
        mark = "answer"
        turns = [{"role": "user", "content": "prompt"}, {"role": "assistant", "content": mark}]
        rest = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(mark)[2]
        after = encode_text(tokenizer, rest)
        if after and after[0] in tokenizer.all_special_ids:
            return after[0]
    if tokenizer.eos_token_id is None:
        raise ContractError("the tokenizer has no end-of-text token; set eos_token in tokenizer_config.json")
    return int(tokenizer.eos_token_id)


def encode_answer(tokenizer: PreTrainedTokenizerBase, text: str, *, finished: bool = True) -> list[int]:
    """Token ids of an answer and its end token; one cut off at its token limit (`finished` false) has no end token."""
    ids = encode_text(tokenizer, text)
    return [*ids, end_id(tokenizer)] if finished or not ids else ids


def encode_demonstration(tokenizer: PreTrainedTokenizerBase, messages: Messages, system: str = "") -> TokenRow:
    """A conversation that ends with the assistant; `response` marks what the assistant says, end tokens included.

    Where the template rewrites earlier turns (so that turns cannot be laid end to end), only the last answer is marked.
    """
    ids: list[int] = []
    response: list[bool] = []
    text = ""
    end = tokenizer.decode([end_id(tokenizer)])
    for at, turn in enumerate(messages):
        if turn["role"] != "assistant":
            continue
        prompt = render_prompt(tokenizer, messages[:at], system)
        if not prompt.startswith(text):
            return _last_answer_only(tokenizer, messages, system)
        opening = encode_text(tokenizer, prompt[len(text) :])
        answer = encode_answer(tokenizer, turn["content"])
        ids += opening + answer
        response += [False] * len(opening) + [True] * len(answer)
        text = prompt + turn["content"] + end
    return TokenRow(ids, response)


def _last_answer_only(tokenizer: PreTrainedTokenizerBase, messages: Messages, system: str) -> TokenRow:
    prompt = encode_prompt(tokenizer, messages[:-1], system)
    answer = encode_answer(tokenizer, messages[-1]["content"])
    return TokenRow(prompt + answer, [False] * len(prompt) + [True] * len(answer))
