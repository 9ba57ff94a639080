"""A frozen base in int8 and nf4. Each test runs on codes made here in plain torch and, where it is installed, on bitsandbytes."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from tests.training.run_directories import TOPICS, demonstrations, make_run, numbers, rankings, user
from training import ppo, quantization, reward, sft
from training.backbone import Backbone, load_backbone
from training.configs import AS_COMPUTED, CONFIGS, ConfigError, SftConfig, TrainConfig, config_for
from training.contracts import EXIT_BAD_SPEC, EXIT_INTERRUPTED, EXIT_OK, Kind, Result
from training.quantization import QuantizedLinear, check_base_precision, quantize
from training.reward_model import load_reward
from training.sampling import Decoding, generate
from training.session import Session, main

CPU = torch.device("cpu")
NF4 = torch.tensor(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334]
    + [-0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224]
    + [0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
)  # Dettmers et al. 2023, appendix E


@dataclass
class State:
    absmax: Tensor
    shape: torch.Size
    blocksize: int
    quant_type: str
    dtype: torch.dtype


def quantize_4bit(weight: Tensor, *, blocksize: int, quant_type: str) -> tuple[Tensor, State]:
    blocks = weight.float().reshape(-1, blocksize)
    absmax = blocks.abs().amax(1)
    codes = (blocks / absmax[:, None])[..., None].sub(NF4).abs().argmin(-1).to(torch.uint8).reshape(-1, 2)
    return (codes[:, :1] << 4) | codes[:, 1:], State(absmax, weight.shape, blocksize, quant_type, weight.dtype)


def dequantize_4bit(packed: Tensor, state: State) -> Tensor:
    codes = torch.cat([packed >> 4, packed & 15], 1).reshape(-1, state.blocksize)
    return (NF4[codes.long()] * state.absmax[:, None]).reshape(state.shape).to(state.dtype)


def int8_vectorwise_quant(weight: Tensor) -> tuple[Tensor, Tensor, None]:
    scales = weight.abs().amax(1).float()
    return (weight.float() * (127.0 / scales[:, None])).round().to(torch.int8), scales, None


STAND_IN = SimpleNamespace(
    quantize_4bit=quantize_4bit,
    dequantize_4bit=dequantize_4bit,
    QuantState=State,
    int8_vectorwise_quant=int8_vectorwise_quant,
    int8_vectorwise_dequant=lambda codes, scales: codes * scales[:, None] / 127.0,
)
WHY = "bitsandbytes is not installed: its own codes are NOT tested here (pip install 'loop-rlhf[quantized]')"
ON_TINY = {"device": CPU, "dtype": torch.float32}
IDS = torch.arange(5, 45)[None]


@pytest.fixture(params=["stand-in", "bitsandbytes"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "bitsandbytes":
        pytest.importorskip("bitsandbytes", reason=WHY)
    else:
        monkeypatch.setattr(quantization, "library", lambda: STAND_IN)
    return quantization.library()


@pytest.fixture(params=["int8", "nf4"])
def bits(request: pytest.FixtureRequest, library: Any) -> str:
    return str(request.param)


def held(tiny_dir: Path, bits: str) -> Backbone:
    return load_backbone(tiny_dir, base_precision=bits, **ON_TINY)


def maps(backbone: Backbone) -> list[QuantizedLinear]:
    return [part for part in backbone.model.modules() if isinstance(part, QuantizedLinear)]


def shaken(backbone: Backbone, name: str = "policy") -> dict[str, nn.Parameter]:
    """An adapter that does something."""
    weights = backbone.tune(SftConfig(lora_rank=4), name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in weights.values():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
    return weights


def logits(backbone: Backbone) -> Tensor:
    return backbone.logits(backbone.run_top(backbone.run_bottom(IDS)))


# ---------------------------------------------------------------- one map


def test_codes_by_hand(bits: str) -> None:
    plain = nn.Linear(64, 2, bias=True)
    with torch.no_grad():
        plain.weight.zero_()
        plain.weight[0, :4] = torch.tensor([1.0, -0.5, 0.25, 0.01])
        plain.weight[1, :2] = torch.tensor([-4.0, 1.0])
    part = QuantizedLinear(plain, bits, CPU)
    if bits == "int8":
        first, second = [1.0, -64 / 127, 32 / 127, 1 / 127], [-4.0, 4 * 32 / 127, 0.0, 0.0]
    else:
        first, second = [1.0, NF4[2].item(), NF4[10].item(), 0.0], [-4.0, 4 * NF4[10].item(), 0.0, 0.0]
    torch.testing.assert_close(part.weight[:, :4], torch.tensor([first, second]), rtol=0, atol=1e-6)
    assert not part.weight[:, 4:].any()
    x = torch.randn(3, 64)
    assert torch.equal(part(x), nn.functional.linear(x, part.weight, plain.bias))
    assert list(part.state_dict()) == ["weight", "bias"]
    assert torch.equal(part.state_dict()["weight"], part.weight)


def test_the_size_of_the_codes(bits: str) -> None:
    part = QuantizedLinear(nn.Linear(128, 96, bias=False), bits, CPU)
    size = sum(buffer.numel() * buffer.element_size() for buffer in part.buffers())
    assert size == {"int8": 96 * 128 + 96 * 4, "nf4": 96 * 128 // 2 + 96 * 128 // 64 * 4}[bits]
    assert not list(part.parameters())


def test_nothing_is_kept_for_the_backward_pass(bits: str) -> None:
    part = QuantizedLinear(nn.Linear(64, 32), bits, CPU)
    x, kept = torch.randn(5, 64, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.shape) or tensor, lambda x: x):
        y = part(x)
    y.backward(torch.ones_like(y))
    assert kept == []
    torch.testing.assert_close(x.grad, part.weight.sum(0).expand(5, -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_codes_of_these_tests_are_those_of_the_library(dtype: torch.dtype) -> None:
    real = pytest.importorskip("bitsandbytes.functional", reason=WHY)
    weight = torch.randn(96, 128, generator=torch.Generator().manual_seed(0)).to(dtype)
    packed, state = real.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    own, own_state = quantize_4bit(weight, blocksize=64, quant_type="nf4")
    assert torch.equal(packed, own)
    torch.testing.assert_close(real.dequantize_4bit(packed, state), dequantize_4bit(own, own_state), rtol=0, atol=0)
    codes, scales, _ = real.int8_vectorwise_quant(weight.half())
    own_codes, own_scales, _ = int8_vectorwise_quant(weight.half())
    assert torch.equal(scales, own_scales)
    assert (codes.int() - own_codes.int()).abs().max() <= 1  # it multiplies in fp16 before it rounds


# ---------------------------------------------------------------- a model


def test_only_the_maps_of_the_layers_are_rounded(tiny_dir: Path, bits: str, backbone: Backbone) -> None:
    rounded = held(tiny_dir, bits)
    assert rounded.splits and len(maps(rounded)) == 14
    plain, found = backbone.model.state_dict(), rounded.model.state_dict()
    assert list(found) == list(plain)
    changed = {name for name in plain if not torch.equal(plain[name], found[name])}
    assert {name.rpartition(".layers.")[2].partition(".")[2] for name in changed} == {
        *(f"self_attn.{name}_proj.weight" for name in "qkvo"),
        *(f"mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
    }
    for name in changed:
        error = (plain[name] - found[name]).norm() / plain[name].norm()
        assert 0.001 < error < {"int8": 0.02, "nf4": 0.12}[bits], name


def test_adapters_learn_as_on_a_plain_base_of_the_same_weights(tiny_dir: Path, bits: str, backbone: Backbone) -> None:
    rounded = held(tiny_dir, bits)
    backbone.model.load_state_dict(rounded.model.state_dict())
    found = []
    for one in (rounded, backbone):
        weights = shaken(one)
        loss = logits(one).log_softmax(-1)[..., 7].mean()
        loss.backward()
        found.append((loss.item(), {name: weight.grad for name, weight in weights.items()}))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert len(found[0][1]) == 28
    for name, gradient in found[0][1].items():
        assert (gradient - found[1][1][name]).norm() <= 1e-5 * gradient.norm(), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_export_is_an_ordinary_directory_in_the_compute_precision(
    tiny_dir: Path, tmp_path: Path, bits: str, dtype: torch.dtype
) -> None:
    rounded = load_backbone(tiny_dir, device=CPU, dtype=dtype, base_precision=bits)
    shaken(rounded)
    rounded.save_policy(tmp_path / "out")
    again = load_backbone(tmp_path / "out", device=CPU, dtype=dtype)
    assert not maps(again) and again.base_precision == AS_COMPUTED
    assert {weight.dtype for weight in again.model.parameters()} == {dtype}
    with torch.no_grad():
        one, other = logits(rounded), logits(again)
        with rounded.using(None):
            base = logits(rounded)
    assert (one - other).norm() <= (1e-5 if dtype == torch.float32 else 2e-2) * one.norm()
    assert (one - base).norm() > 0.1 * one.norm()


def test_sampling_says_what_the_forward_pass_says(tiny_dir: Path, bits: str) -> None:
    """The adapter runs beside the base: alone or in a batch the same text, its log-probabilities those of training."""
    rounded = held(tiny_dir, bits)
    shaken(rounded)
    prompts = [[5, 6, 7], [9, 8], [4, 4, 4, 4]]
    with rounded.merged():
        together = generate(rounded, prompts, Decoding(8, 1.0), [1, 2, 3])
        alone = [generate(rounded, [prompt], Decoding(8, 1.0), [at + 1])[0] for at, prompt in enumerate(prompts)]
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]
    for prompt, answer in zip(prompts, together, strict=True):
        ids = torch.tensor([[*prompt, *answer.ids]])
        response = torch.tensor([[False] * len(prompt) + [True] * len(answer.ids)])
        with torch.no_grad():
            told = rounded.token_logprobs(rounded.run_top(rounded.run_bottom(ids)), ids, response)
        torch.testing.assert_close(told.logprobs_N, answer.logprobs_T, rtol=0, atol=1e-5)


def test_a_model_of_other_maps_is_refused(library: Any) -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=32))
    with pytest.raises(ConfigError, match="base_precision: most weights of GPT2LMHeadModel are not in linear maps"):
        quantize(model, "int8", CPU)


# ---------------------------------------------------------------- the stages


def stage(folder: Path, kind: Kind, inputs: dict[str, Path], *, ends: int = EXIT_OK, **config: Any) -> Path:
    data: dict[Kind, dict[str, Any]] = {
        Kind.SFT: {"demonstrations": demonstrations(8, valid=2)},
        Kind.REWARD: {"rankings": rankings(8, valid=2), "demonstrations": demonstrations(2)},
        Kind.PPO: {"prompts": [{"id": f"p{at}", "messages": [user(text)]} for at, text in enumerate(TOPICS)]},
    }
    train = {Kind.SFT: sft.train, Kind.REWARD: reward.train, Kind.PPO: ppo.train}[kind]
    steps = {"learning_rate": 3e-3} if config.get("epochs", 1) else {}  # a head fitted exactly takes none
    run = make_run(folder, kind, config=steps | config, inputs=inputs, data=data[kind])
    assert main(train, [str(run)]) == ends
    return run


@pytest.mark.parametrize("value_model", ["head", "adapter"])
def test_the_loop_runs_on_a_rounded_base(tmp_path: Path, tiny_dir: Path, bits: str, value_model: str) -> None:
    """Fine-tuned, then a reward and a critic on the same trunk; the reference is that base, and the runs say what it is."""
    tuned = stage(tmp_path / "sft", Kind.SFT, {"policy": tiny_dir}, epochs=4, batch_size=2, base_precision=bits)
    metrics = Result.read(tuned).metrics
    assert metrics["valid_loss_after"] < metrics["valid_loss_before"]
    policy = {"policy": tuned / "output"}
    scored = stage(tmp_path / "reward", Kind.REWARD, policy, base_precision=bits)
    inputs = policy | {"reward": scored / "output", "gold": scored / "output"}
    small = {"updates": 1, "rollout_prompts": 4, "max_new_tokens": 6, "value_model": value_model}
    improved = stage(tmp_path / "ppo", Kind.PPO, inputs, base_precision=bits, **small)
    for run in (tuned, scored, improved):
        assert (Result.read(run).precision, Result.read(run).base_precision) == ("float32", bits)
    metrics, first = Result.read(improved).metrics, numbers(improved)[0]
    assert metrics["reward_on_shared_trunk"] is True
    assert abs(metrics["kl_before"]) < 1e-4
    assert first["rollout/logp_drift"] < 1e-5
    assert first["objective/gold_score"] == pytest.approx(first["objective/score"], abs=1e-3)
    plain = load_backbone(improved / "output", **ON_TINY)
    assert not maps(plain)


def test_a_stopped_run_goes_on_with_the_same_numbers(tmp_path: Path, tiny_dir: Path, bits: str) -> None:
    """A checkpoint holds the adapter only: the base is rounded again, to the same codes."""
    policy, config = {"policy": tiny_dir}, {"batch_size": 2, "epochs": 2, "base_precision": bits}
    whole = stage(tmp_path / "whole", Kind.SFT, policy, **config)
    end_step = Session.end_step

    def stopping(self: Session, step: int, **kept: Any) -> None:
        self.should_stop = step == 3
        end_step(self, step, **kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "end_step", stopping)
        parts = stage(tmp_path / "parts", Kind.SFT, policy, ends=EXIT_INTERRUPTED, **config)
    assert main(sft.train, [str(parts)]) == EXIT_OK
    assert numbers(parts) == numbers(whole)
    assert (parts / "output/model.safetensors").read_bytes() == (whole / "output/model.safetensors").read_bytes()


def test_a_reward_shares_only_the_trunk_it_was_made_on(tmp_path: Path, tiny_dir: Path, bits: str) -> None:
    made = {
        kind: stage(tmp_path / kind, Kind.REWARD, {"policy": tiny_dir}, base_precision=kind) / "output"
        for kind in (AS_COMPUTED, bits)
    }
    other = {"int8": "nf4", "nf4": "int8"}[bits]
    for mine, base, shared in (
        (bits, bits, True),
        (bits, other, False),
        (bits, AS_COMPUTED, False),
        (AS_COMPUTED, bits, True),
    ):
        policy = held(tiny_dir, base)
        found = load_reward(made[mine], backbone=policy, base_precision=base, **ON_TINY)
        assert (found.backbone is policy) is shared
        assert found.backbone.base_precision == base
        assert len(maps(found.backbone)) == (0 if base == AS_COMPUTED else 14)


def test_an_ensemble_scores_alike_on_a_shared_trunk_and_on_its_own(tmp_path: Path, tiny_dir: Path, bits: str) -> None:
    """On its own trunk the first member is taken out of the weights before they are rounded: the same codes again."""
    run = stage(tmp_path / "run", Kind.REWARD, {"policy": tiny_dir}, seeds=2, members=2, base_precision=bits)
    answers = [([5, 6, 7], [8, 9]), ([5, 6, 7], [10, 11, 12]), ([20, 21], [30])]
    own = load_reward(run / "output", base_precision=bits, **ON_TINY)
    shared = load_reward(run / "output", backbone=held(tiny_dir, bits), **ON_TINY)
    assert len(maps(own.backbone)) == len(maps(shared.backbone)) == 14
    torch.testing.assert_close(own.score(answers), shared.score(answers), rtol=0, atol=1e-3)


def test_a_head_is_fitted_on_a_rounded_trunk_and_its_features_are_not_mixed_up(
    tmp_path: Path, tiny_dir: Path, bits: str
) -> None:
    config = {"epochs": 0, "head_l2": 0.1, "feature_cache": "states", "seeds": 2, "members": 2}
    for at, kind in enumerate((AS_COMPUTED, bits, bits)):
        stage(tmp_path / str(at), Kind.REWARD, {"policy": tiny_dir}, base_precision=kind, **config)
        assert len(list((tmp_path / "states").iterdir())) == min(at, 1) + 1
    one, other, same = (Result.read(tmp_path / str(at)).metrics["log_loss"] for at in range(3))
    assert abs(one - other) > 1e-4
    assert same == pytest.approx(other, abs=1e-5)


# ---------------------------------------------------------------- refusals


def test_without_the_package_a_run_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # type: ignore[arg-type]  # what is not installed
    monkeypatch.delitem(sys.modules, "bitsandbytes.functional", raising=False)
    run = make_run(
        tmp_path / "run",
        Kind.SFT,
        config={"base_precision": "int8"},
        inputs={"policy": tmp_path},  # holds no model: it is not reached
        data={"demonstrations": demonstrations(2)},
    )
    assert main(sft.train, [str(run)]) == EXIT_BAD_SPEC
    said = "base_precision: needs bitsandbytes: install it (pip install 'loop-rlhf[quantized]') or use 'as computed'"
    assert said in Result.read(run).error
    assert sorted(path.name for path in run.iterdir()) == ["data", "result.json", "spec.json"]


@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if issubclass(CONFIGS[kind], TrainConfig)])
def test_only_a_frozen_base_can_be_rounded(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="base_precision: nf4 is for tuning 'lora'"):
        config_for(kind, {"tuning": "full", "base_precision": "nf4"})


def test_where_it_cannot_be_had(library: Any) -> None:
    config = SftConfig(base_precision="nf4")
    assert check_base_precision(config, CPU) == "nf4"
    assert check_base_precision(SftConfig(), torch.device("mps")) == ""
    with pytest.raises(ConfigError, match="base_precision: nf4 works on cuda and cpu, not on mps: use 'as computed'"):
        check_base_precision(config, torch.device("mps"))
    with pytest.raises(ConfigError, match="compile: does not apply when base_precision is 'int8': leave it off"):
        config_for(Kind.PPO, {"base_precision": "int8", "compile": True})
