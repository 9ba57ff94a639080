"""The fixed Llama that all training benchmarks run on: random weights, a vocabulary of words t4, t5, …, fp32 unless told.

`15m` is what the figures for a CPU are measured with: 15.7 million parameters in the causal form. `1b` is for a GPU,
`tiny` for tests.
"""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

PAD, BOS, EOS, UNKNOWN = range(4)
FIRST_WORD = 4


class Shape(NamedTuple):
    """Sizes of a Llama."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    context: int


SIZES = {
    "tiny": Shape(96, 32, 2, 4, 2, 64, 256),
    "15m": Shape(8192, 384, 6, 6, 2, 1024, 1024),
    "1b": Shape(32000, 2048, 16, 32, 8, 8192, 4096),
}


def config(size: str) -> LlamaConfig:
    """The `transformers` configuration of a size."""
    shape = SIZES[size]
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=False,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        attn_implementation="sdpa",
    )


def language_model(size: str, seed: int = 0) -> LlamaForCausalLM:
    """A causal language model with random weights: the same seed gives the same weights. fp32."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(config(size)).float()


def reward_model(size: str, seed: int = 1) -> LlamaForSequenceClassification:
    """A one-label classifier with random weights, fp32."""
    chosen = copy.deepcopy(config(size))
    chosen.num_labels = 1
    torch.manual_seed(seed)
    return LlamaForSequenceClassification(chosen).float()


def tokenizer(size: str, *, endless: bool = False) -> PreTrainedTokenizerFast:
    """One word a token: t4, t5, … up to the vocabulary's end. `endless`: its end token lies beyond what a model can say."""
    words = {"<pad>": PAD, "<s>": BOS, "</s>": EOS, "<unk>": UNKNOWN}
    words |= {f"t{at}": at for at in range(FIRST_WORD, SIZES[size].vocabulary)}
    if endless:
        words |= {"<never>": SIZES[size].vocabulary}
    splitter = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    splitter.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=splitter,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<never>" if endless else "</s>",
        unk_token="<unk>",
        padding_side="left",
    )


def save(model: PreTrainedModel, size: str, folder: Path, *, endless: bool = False) -> Path:
    """Write model and tokenizer as a checkpoint directory; return it. An `endless` model never ends an answer by itself."""
    logging.disable_progress_bar()
    words = tokenizer(size, endless=endless)
    model.config.eos_token_id = words.eos_token_id
    if model.can_generate():
        model.generation_config.eos_token_id = words.eos_token_id
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def words(draw: random.Random, count: int, size: str) -> list[int]:
    """`count` random word ids, no special token among them."""
    return [draw.randrange(FIRST_WORD, SIZES[size].vocabulary) for _ in range(count)]


def parameters(model: torch.nn.Module) -> int:
    """How many numbers the model holds."""
    return sum(weight.numel() for weight in model.parameters())
