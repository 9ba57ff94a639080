import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from training import logprobs
from training.backbone import Backbone, choose_device, load_backbone, stop_ids
from training.batches import pad_rows
from training.chat import TokenRow, encode_answer, encode_prompt
from training.configs import Config, ConfigError, SftConfig
from training.contracts import ContractError

CPU = torch.device("cpu")
IDS = torch.tensor([[5, 9, 30, 41, 7, 88, 2], [11, 40, 3, 6, 99, 120, 2]])


def stir(parameters: dict[str, torch.nn.Parameter], seed: int = 0) -> None:
    """Give an adapter something to say: B starts at 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in parameters.items():
            if "lora_B" in name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))


def states(backbone: Backbone, ids: Tensor = IDS) -> Tensor:
    with torch.no_grad():
        return backbone.run_top(backbone.run_bottom(ids))


def test_split_forward_is_the_models_own(backbone: Backbone) -> None:
    assert backbone.splits
    with torch.no_grad():
        own = backbone.model(input_ids=IDS).logits
        for layer in (0, 1, 2):
            parts = backbone.logits(backbone.run_top(backbone.run_bottom(IDS, layer=layer)))
            torch.testing.assert_close(parts, own, rtol=0, atol=1e-5)


def test_adapters_off_are_the_base_bit_for_bit(backbone: Backbone) -> None:
    base = states(backbone)
    stir(backbone.tune(SftConfig(first_adapted_layer=1)))
    stir(backbone.add_adapter("reward", 4, 8.0, 0, 0), seed=1)
    hidden = backbone.run_bottom(IDS, layer=1)
    with torch.no_grad(), backbone.using(None):
        assert torch.equal(backbone.run_top(hidden), base)
    with torch.no_grad(), backbone.using("reward"):
        other = backbone.run_top(backbone.run_bottom(IDS, layer=0))
    with torch.no_grad():
        policy = backbone.run_top(hidden)
    assert backbone.active == "policy"
    assert not torch.allclose(policy, base)
    assert not torch.allclose(policy, other)


def test_switching_adapters_does_not_lose_gradients(backbone: Backbone) -> None:
    policy = backbone.tune(SftConfig())
    value = backbone.add_adapter("value", 4, 8.0)
    loss = backbone.run_top(backbone.run_bottom(IDS)).sum()
    with backbone.using("value"):
        loss = loss + backbone.run_top(backbone.run_bottom(IDS)).sum()
    with backbone.using(None):
        loss.backward()
    for name, weight in {**policy, **value}.items():
        assert weight.grad is not None, name
        assert bool(weight.grad.any()) == ("lora_B" in name), name


def test_merged_weights_compute_the_same_and_come_back(backbone: Backbone) -> None:
    base = states(backbone)
    stir(backbone.tune(SftConfig()))
    tuned = states(backbone)
    with backbone.merged("policy"):
        torch.testing.assert_close(states(backbone), tuned, rtol=0, atol=1e-5)
    assert torch.equal(states(backbone), tuned)
    with backbone.using(None):
        assert torch.equal(states(backbone), base)


def test_padding_changes_nothing_on_either_side(backbone: Backbone) -> None:
    short, long = [5, 9, 30], [11, 40, 3, 6, 99, 120, 2]
    alone = states(backbone, torch.tensor([short]))
    for junk in (0, 2, 77):
        right = pad_rows([TokenRow(short, [True] * 3), TokenRow(long, [True] * 7)], junk, CPU).ids_BT
        torch.testing.assert_close(states(backbone, right)[0, :3], alone[0], rtol=0, atol=1e-5)
        left = torch.tensor([[junk] * 4 + short, long])
        mask = torch.tensor([[0] * 4 + [1] * 3, [1] * 7])
        with torch.no_grad():
            padded = backbone.run_top(backbone.run_bottom(left, mask))
        torch.testing.assert_close(padded[0, 4:], alone[0], rtol=0, atol=1e-5)


def test_token_logprobs_are_those_of_the_full_softmax(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    response = torch.zeros_like(IDS, dtype=torch.bool)
    response[0, 3:], response[1, 5:] = True, True
    with torch.no_grad():
        table = torch.log_softmax(backbone.model(input_ids=IDS).logits / 0.7, -1)
    expected = torch.stack([table[b, t - 1, IDS[b, t]] for b, t in response.nonzero().tolist()])
    weights = backbone.tune(SftConfig())
    stir(weights)
    gradients = []
    for chunk in (1 << 25, 3 * 512):  # in one piece; three tokens at a time, recomputed in the backward pass
        monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", chunk)
        out = backbone.token_logprobs(backbone.run_top(backbone.run_bottom(IDS)), IDS, response, temperature=0.7)
        out.logprobs_N.sum().backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in weights.values() if weight.grad is not None]))
        for weight in weights.values():
            weight.grad = None
    assert (gradients[0] - gradients[1]).norm() <= 1e-5 * gradients[0].norm()
    with torch.no_grad(), backbone.using(None):
        out = backbone.token_logprobs(states(backbone), IDS, response, temperature=0.7)
    torch.testing.assert_close(out.logprobs_N, expected, rtol=0, atol=1e-5)
    probs = table.exp()
    entropy = -(probs * table).sum(-1)
    torch.testing.assert_close(out.entropy_N[0], entropy[0, 2], rtol=0, atol=1e-5)


def test_saved_policy_opens_in_transformers_and_peft(backbone: Backbone, tiny_dir: Path, tmp_path: Path) -> None:
    stir(backbone.tune(SftConfig(first_adapted_layer=1)))
    expected = backbone.logits(states(backbone))
    backbone.save_policy(tmp_path / "out")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=IDS).logits, expected, rtol=0, atol=1e-4)
    assert tokenizer.chat_template == backbone.tokenizer.chat_template
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 reads an attribute transformers 5 renames
        base = AutoModelForCausalLM.from_pretrained(tiny_dir).eval()
        adapted = PeftModel.from_pretrained(base, tmp_path / "out" / "adapter")
    with torch.no_grad():
        torch.testing.assert_close(adapted(input_ids=IDS).logits, expected, rtol=0, atol=1e-4)
    again = load_backbone(tmp_path / "out", device=CPU, dtype=torch.float32)
    assert stop_ids(again) == stop_ids(backbone)


def test_full_tuning_keeps_a_reference_when_asked(backbone: Backbone, tmp_path: Path) -> None:
    base = states(backbone)
    weights = backbone.tune(SftConfig(tuning="full"), keep_reference=True)
    with torch.no_grad():
        for weight in weights.values():
            weight.mul_(1.1)
    tuned = states(backbone)
    assert not torch.allclose(tuned, base)
    with backbone.using(None):
        assert torch.equal(states(backbone), base)
    backbone.save_policy(tmp_path / "out")
    again = load_backbone(tmp_path / "out", device=CPU, dtype=torch.float32)
    assert torch.equal(states(again), tuned)


def test_full_tuning_without_a_reference_says_so(backbone: Backbone) -> None:
    backbone.tune(SftConfig(tuning="full"))
    with backbone.using(None), pytest.raises(RuntimeError, match="keep_reference=True"):
        states(backbone)


def test_only_the_first_layers_are_kept(backbone: Backbone, tiny_dir: Path) -> None:
    short = load_backbone(tiny_dir, device=CPU, dtype=torch.float32, layers=1)
    with torch.no_grad():
        stopped = backbone.run_top(backbone.run_bottom(IDS), layers=1)
    assert short.layer_count == 1
    assert torch.equal(states(short), stopped)


def test_layers_that_do_not_exist_are_refused(backbone: Backbone, tiny_dir: Path) -> None:
    with pytest.raises(ConfigError, match="first_adapted_layer: layers 2 to 1 do not exist: this model has 0 to 1"):
        backbone.tune(SftConfig(first_adapted_layer=2))
    with pytest.raises(ConfigError, match="trunk_layers: the model has 2 layers, not 3"):
        load_backbone(tiny_dir, device=CPU, dtype=torch.float32, layers=3)


def test_a_model_without_llama_layers_runs_whole(tiny_dir: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_dir)
    torch.manual_seed(0)
    shape = GPT2Config(
        vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2
    )
    GPT2LMHeadModel(shape).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    backbone = load_backbone(tmp_path / "gpt2", device=CPU, dtype=torch.float32)
    assert not backbone.splits
    base = states(backbone)
    stir(backbone.tune(SftConfig(first_adapted_layer=1)))
    tuned = states(backbone)
    assert not torch.allclose(tuned, base)
    with backbone.using(None):
        assert torch.equal(states(backbone), base)
    with pytest.raises(ContractError, match="right-padded"):
        backbone.run_bottom(IDS, torch.tensor([[0] + [1] * 6, [1] * 7]))
    backbone.save_policy(tmp_path / "out")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=IDS).logits, backbone.logits(tuned), rtol=0, atol=1e-4)


@pytest.mark.parametrize("pad", [None, "<|im_end|>"])
def test_no_pad_token_or_pad_equal_to_end_does_no_harm(
    backbone: Backbone, tiny_dir: Path, tmp_path: Path, pad: str | None
) -> None:
    folder = shutil.copytree(tiny_dir, tmp_path / "model")
    row = json.loads((folder / "tokenizer_config.json").read_text())
    row.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(row | ({"pad_token": pad} if pad else {})))
    other = load_backbone(folder, device=CPU, dtype=torch.float32)
    messages = [{"role": "user", "content": "Hello <|im_end|> there"}]  # an end token inside the prompt
    prompt, answer = encode_prompt(other.tokenizer, messages), encode_answer(other.tokenizer, "hi")
    assert prompt == encode_prompt(backbone.tokenizer, messages)
    rows = [TokenRow(prompt + answer, [False] * len(prompt) + [True] * len(answer)), TokenRow([5, 2], [False, True])]
    found = []
    for model in (backbone, other):
        batch = pad_rows(rows, model.pad_id, CPU)
        found.append(model.token_logprobs(states(model, batch.ids_BT), batch.ids_BT, batch.response_BT).logprobs_N)
    assert len(found[0]) == len(answer) + 1
    assert torch.equal(*found)


def test_a_missing_model_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContractError, match="cannot load a model from empty"):
        load_backbone(tmp_path / "empty", device=CPU, dtype=torch.float32)


def test_device_and_precision() -> None:
    assert choose_device(Config(device="cpu")) == (CPU, torch.float32)
    assert choose_device(Config(device="cpu", precision="bf16")) == (CPU, torch.bfloat16)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="device: this machine has no cuda"):
            choose_device(Config(device="cuda"))
