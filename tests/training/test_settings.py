"""No setting of any stage is ignored: changed alone, each changes what a run writes, does or refuses. PPO's: test_ppo.py."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.run_directories import (
    ENDINGS,
    TOPICS,
    assistant,
    demonstrations,
    lines,
    make_run,
    numbers,
    rankings,
    user,
)
from training import checkpointing, evaluate, pretrain, reward, sample, session, sft
from training.configs import CONFIGS, TrainConfig
from training.contracts import EXIT_BAD_SPEC, EXIT_OK, Kind, Result
from training.session import Metrics, Session, main

TRAIN: dict[Kind, Callable[[Session], Metrics]] = {
    Kind.PRETRAIN: pretrain.train,
    Kind.SFT: sft.train,
    Kind.SAMPLE: sample.train,
    Kind.REWARD: reward.train,
    Kind.EVALUATE: evaluate.train,
}


@dataclass(frozen=True)
class Change:
    """The setting's new value; what else is set, before and after; whether it ends in a refusal that names it."""

    value: Any
    given: dict[str, Any] = field(default_factory=dict)
    refused: bool = False


EVERY = {
    "device": Change("cuda" if not torch.cuda.is_available() else "mps", refused=True),
    "precision": Change("bf16"),
    "threads": Change(2),
    "writers": Change("tensorbord", refused=True),
}
RATE = {
    "learning_rate": Change(1e-3),
    "warmup_steps": Change(3),
    "schedule": Change("constant"),
    "weight_decay": Change(5.0),
    "max_grad_norm": Change(0.01),
    "micro_tokens": Change(16),
    "checkpoint_every": Change(1),
}
ADAPTER = {
    "tuning": Change("full"),
    "lora_rank": Change(3),
    "lora_alpha": Change(40.0),
    "first_adapted_layer": Change(1),
    "base_precision": Change("int8", refused=find_spec("bitsandbytes") is None),
    "shard": Change(True, {"tuning": "full"}, refused=True),  # one process has nobody to share with
}
EXACT = {"epochs": 0, "head_l2": 0.1, "batch_size": 16, "learning_rate": 1e-4}  # no steps: the last two are defaults
CANDIDATES = {"seeds": 2, "members": 2}
CHANGES: dict[Kind, dict[str, Change]] = {
    Kind.SFT: EVERY
    | RATE
    | ADAPTER
    | {
        "epochs": Change(3),
        "batch_size": Change(2),
        "max_tokens": Change(8, refused=True),
        "pack": Change("never", {"batch_size": 6}),
    },
    Kind.PRETRAIN: EVERY
    | RATE
    | {
        "tuning": Change("lora", refused=True),
        "lora_rank": Change(3, refused=True),
        "lora_alpha": Change(40.0, refused=True),
        "first_adapted_layer": Change(1, refused=True),
        "base_precision": Change("nf4", refused=True),
        "shard": Change(True, refused=True),
        "steps": Change(4),
        "batch_rows": Change(2),
        "context": Change(32),
        "vocab_size": Change(320),
        "layers": Change(1),
        "hidden": Change(16),
        "heads": Change(4),
        "weights": Change("a=1,b=0"),
    },
    Kind.REWARD: EVERY
    | RATE
    | ADAPTER
    | {
        "epochs": Change(2),
        "batch_size": Change(2),
        "max_tokens": Change(16, refused=True),
        "trunk_layers": Change(1),
        "head_learning_rate": Change(0.1),
        "head_l2": Change(1.0),
        "feature_cache": Change("states", EXACT),
        "readout": Change("mean"),
        "weighting": Change("pair"),
        "margin_scale": Change(0.0),
        "label_smoothing": Change(0.3),
        "centre_penalty": Change(2.0),
        "valid_fraction": Change(0.5),
        "normalise": Change("none"),
        "unit_variance": Change(False),
        "seeds": Change(2),
        "members": Change(2, {"seeds": 2}),
        "combine": Change("min", CANDIDATES),
        "variance_penalty": Change(3.0, CANDIDATES | {"combine": "variance"}),
        "curve_points": Change(2),
        "pack": Change("never"),
        "packed_attention": Change("flex", refused=True),  # has a kernel on CUDA only
    },
    Kind.SAMPLE: EVERY
    | {
        "n": Change(3),
        "temperature": Change(0.3),
        "top_p": Change(0.3),
        "max_new_tokens": Change(5),
        "min_new_tokens": Change(8),
        "batch_rows": Change(2),
        "system": Change("Be brief."),
        "shots": Change(2),
        "best_of": Change(2),
        "compile": Change(True, refused=True),  # CUDA graphs
    },
    Kind.EVALUATE: EVERY
    | {
        "split": Change("valid"),
        "n": Change(3),
        "temperature": Change(0.3),
        "max_new_tokens": Change(5),
        "batch_rows": Change(2),
        "max_tokens": Change(8, refused=True),
    },
}
TOLD_BY = {  # settings of the machine change how a run computes, and where they must leave alone what
    "precision": "precision",
    "threads": "threads",
    "checkpoint_every": "checkpoints",
    "micro_tokens": "shapes",
    "pack": "shapes",
    "batch_rows": "shapes",
    "feature_cache": "beside",
}
DOCUMENTS = [
    {"text": f"{topic} is a thing. {ending} " * 2, "source": "ab"[at % 2], "split": "valid" if at % 9 == 0 else "train"}
    for at, (topic, ending) in enumerate((topic, ending) for topic in TOPICS for ending in ENDINGS)
]
SMALL_MODEL = {"context": 64, "vocab_size": 400, "layers": 2, "hidden": 32, "heads": 2, "batch_rows": 3, "steps": 3}
SMALL: dict[Kind, dict[str, Any]] = {
    Kind.PRETRAIN: SMALL_MODEL | {"learning_rate": 3e-3},
    Kind.SFT: {"batch_size": 4, "epochs": 2, "learning_rate": 3e-3},
    Kind.REWARD: {"batch_size": 4, "learning_rate": 3e-3, "valid_fraction": 0.2},
    Kind.SAMPLE: {"n": 2, "max_new_tokens": 8, "shots": 1},
    Kind.EVALUATE: {"n": 2, "max_new_tokens": 8},
}


def prompts() -> list[dict[str, Any]]:
    return [
        {"id": f"p{at}", "messages": [user(f"Tell me about {topic}.")], "split": "test" if at < 3 else "valid"}
        for at, topic in enumerate(TOPICS[:5])
    ]


def uneven_rankings() -> list[dict[str, Any]]:
    """A tie in one and a margin in another, so that weighting and margins matter."""
    rows = rankings(8)
    rows[0]["ranks"] = [1, 2, 2]
    pair = rankings(1, k=2)[0] | {"id": "pair", "prompt_id": "pair", "margin": 1.0}
    return [*rows, pair]


def long_demonstration() -> dict[str, Any]:
    """Several short ones fit into a row of its length."""
    return {"id": "long", "messages": [user("Tell me more."), assistant(" ".join(ENDINGS * 2))]}


def data_of(kind: Kind) -> dict[str, list[dict[str, Any]]]:
    return {
        Kind.PRETRAIN: {"documents": DOCUMENTS},
        Kind.SFT: {"demonstrations": [*demonstrations(7, valid=2), long_demonstration()]},
        Kind.REWARD: {"rankings": uneven_rankings(), "demonstrations": demonstrations(3)},
        Kind.SAMPLE: {"prompts": prompts(), "demonstrations": demonstrations(2)},
        Kind.EVALUATE: {
            "prompts": prompts(),
            "rankings": [row | {"split": "test" if at < 3 else "valid"} for at, row in enumerate(rankings(5))],
        },
    }[kind]


def outcome(folder: Path, kind: Kind, inputs: dict[str, Path], config: dict[str, Any]) -> dict[str, Any]:
    """All that can be seen of a run but its clock: what it wrote, how it computed, what it refused."""
    seen: dict[str, Any] = {"shapes": [], "threads": [], "checkpoints": 0}
    named = {role: path for role, path in inputs.items() if role in ("policy", "reward") and kind != Kind.PRETRAIN}
    if kind not in (Kind.SAMPLE, Kind.EVALUATE):
        named.pop("reward", None)
    run = make_run(folder / "run", kind, config=SMALL[kind] | config, inputs=named, data=data_of(kind), seed=3)
    with pytest.MonkeyPatch.context() as patch:
        embed, save = torch.nn.Embedding.forward, checkpointing.save_resume_point

        def forward(self: torch.nn.Embedding, ids_BT: torch.Tensor) -> torch.Tensor:
            seen["shapes"].append(tuple(ids_BT.shape))
            return embed(self, ids_BT)

        def save_resume_point(*args: Any, **options: Any) -> Path:
            seen["checkpoints"] += 1
            return save(*args, **options)

        patch.setattr(torch.nn.Embedding, "forward", forward)
        patch.setattr(checkpointing, "save_resume_point", save_resume_point)
        patch.setattr(session.torch, "set_num_threads", seen["threads"].append)
        status = main(TRAIN[kind], [str(run)])
    result = Result.read(run)
    seen |= {"status": status, "error": result.error, "metrics": result.metrics, "precision": result.precision}
    seen |= {"lines": numbers(run), "beside": sorted(path.name for path in folder.iterdir())} if not status else {}
    if kind in (Kind.SAMPLE, Kind.EVALUATE) and not status:
        seen["texts"] = [row["text"] for row in lines(run / "output" / "completions.jsonl")]
        seen["samples"] = [row["step"] for row in lines(run / "samples.jsonl")]
    return seen


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Outcomes without the change, each computed once."""
    known: dict[tuple[Kind, str], dict[str, Any]] = {}

    def find(kind: Kind, inputs: dict[str, Path], given: dict[str, Any]) -> dict[str, Any]:
        key = (kind, repr(given))
        if key not in known:
            known[key] = outcome(tmp_path_factory.mktemp("before"), kind, inputs, given)
        return known[key]

    return find


@pytest.mark.parametrize("kind", TRAIN)
def test_every_setting_has_its_test(kind: Kind) -> None:
    assert set(CHANGES[kind]) == {item.name for item in fields(CONFIGS[kind])}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CHANGES.items() for name in names])
def test_no_setting_is_ignored(
    kind: Kind,
    name: str,
    tmp_path: Path,
    tiny_dir: Path,
    reward_dir: Path,
    before: Callable[..., dict[str, Any]],
) -> None:
    change, inputs = CHANGES[kind][name], {"policy": tiny_dir, "reward": reward_dir}
    after = outcome(tmp_path, kind, inputs, change.given | {name: change.value})
    if change.refused:
        assert after["status"] == EXIT_BAD_SPEC
        assert name in after["error"] and not (tmp_path / "run" / "output").exists()
        return
    plain = before(kind, inputs, change.given)
    assert (plain["status"], after["status"]) == (EXIT_OK, EXIT_OK), plain["error"] + after["error"]
    changed = {part for part in plain if plain[part] != after[part]}
    if CONFIGS[kind].__dataclass_fields__[name].metadata["group"] == "machine":
        assert TOLD_BY[name] in changed
    else:
        assert changed - {"shapes"}


@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if issubclass(CONFIGS[kind], TrainConfig)])
def test_an_adapters_settings_are_refused_without_an_adapter(kind: Kind) -> None:
    for name, value in (("lora_rank", 4), ("lora_alpha", 8.0), ("first_adapted_layer", 1)):
        with pytest.raises(ValueError, match=f"{name}: does not apply when tuning is 'full': leave it at"):
            CONFIGS[kind].from_dict({"tuning": "full", name: value})
