"""A two-layer Llama with its own small BPE and a ChatML template, made in about two seconds: for tests and for trying the loop.

The weights start at random and take a few steps on the questions and answers below, so that it writes words and most of
its answers end; otherwise every answer would be cut at the limit and no reward could tell two of them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # ids 0 (pad), 1, 2 (end of a turn)
VOCABULARY = 512
STEPS, ROWS, LEARNING_RATE = 60, 8, 3e-3

TEXT = (
    ("Why is the sky blue?", "Air scatters blue light more than red light."),
    ("Name three fruits.", "Apples, pears and plums."),
    ("What do bees make?", "Bees make honey from the nectar of flowers."),
    ("Write one line about rain.", "Rain taps on the roof and the garden drinks."),
    ("How do I boil an egg?", "Put it in hot water for eight minutes, then cool it."),
    ("Say thank you.", "Thank you for your kind help today."),
    ("What is a river?", "A river is water that flows over land to the sea."),
    ("Give a tip for sleep.", "Go to bed at the same time every night."),
    ("Is the cat warm or cold?", "The cat is warm because it lies in the sun."),
    ("Name a colour of leaves.", "Leaves are green, and some turn red."),
    ("What does a teacher do?", "A teacher helps people learn new things."),
    ("How many days has a week?", "A week has seven days."),
    ("Where do fish live?", "Fish live in rivers, lakes and the sea."),
    ("Write a short greeting.", "Good morning, and welcome to our town."),
    ("Why do we drink water?", "The body needs water to stay cool and well."),
    ("What is bread made of?", "Bread is made of flour, water, salt and yeast."),
)


def write_tiny(folder: Path, seed: int = 0) -> None:
    """Write model, tokenizer and configs into `folder`, which must exist. The same seed gives the same weights on one machine."""
    tokenizer = _tokenizer()
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=tokenizer.get_vocab_size(),
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=2048,
                tie_word_embeddings=True,
                bos_token_id=1,
                eos_token_id=2,
                pad_token_id=0,
            )
        )
        _teach(model, tokenizer)
    model.generation_config.eos_token_id = [2, 0]
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    row = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIALS[1],
        "eos_token": SPECIALS[2],
        "pad_token": SPECIALS[0],
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHATML,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


@contextmanager
def one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from a second thread, and on a busy machine each wait for it costs milliseconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for pair in TEXT for text in (*pair, "system user assistant\n")), trainer)
    return tokenizer


def _teach(model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
    rows = [
        tokenizer.encode(
            f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>",
            add_special_tokens=False,
        ).ids
        for question, answer in TEXT
    ]
    width = max(map(len, rows))
    ids_BT = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask_BT = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    labels_BT = ids_BT.masked_fill(mask_BT == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE)
    model.train()
    for _ in range(STEPS):
        pick_B = torch.randperm(len(rows))[:ROWS]
        loss = model(input_ids=ids_BT[pick_B], attention_mask=mask_BT[pick_B], labels=labels_BT[pick_B]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
