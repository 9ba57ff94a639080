"""A language model from nothing: a byte-level BPE trained on the text, and a Llama with random weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training.backbone import Backbone
from training.configs import PretrainConfig
from training.contracts import write_atomic
from training.tiny_model import CHATML, SPECIALS

END_OF_TEXT, TURN_START, TURN_END = range(3)  # ids of SPECIALS


def new_tokenizer(texts: Iterable[str], config: PretrainConfig, file: Path) -> PreTrainedTokenizerFast:
    """Train the tokenizer and keep it in `file`; one that is there already (a resumed run) is read instead."""
    if not file.exists():
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=config.vocab_size,
            special_tokens=list(SPECIALS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        bpe.train_from_iterator(texts, trainer)
        write_atomic(file, bpe.to_str())
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(file)),
        bos_token=SPECIALS[TURN_START],
        eos_token=SPECIALS[TURN_END],
        pad_token=SPECIALS[END_OF_TEXT],
        model_max_length=config.context,
        clean_up_tokenization_spaces=False,
        chat_template=CHATML,
    )


def new_backbone(
    tokenizer: PreTrainedTokenizerFast, config: PretrainConfig, device: torch.device, dtype: torch.dtype
) -> Backbone:
    """A Llama of the size asked for, with random weights from torch's global generator."""
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden,
        intermediate_size=-(-8 * config.hidden // 3 // 16) * 16,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=config.context,
        tie_word_embeddings=True,
        pad_token_id=END_OF_TEXT,
        bos_token_id=TURN_START,
        eos_token_id=TURN_END,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(shape).to(device).eval()
    model.generation_config.eos_token_id = [TURN_END, END_OF_TEXT]
    return Backbone(model, tokenizer, device, dtype, path="", splits=True)
