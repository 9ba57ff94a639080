"""What a setting is: default, help, unit and bounds of a dataclass field, checked on the way in. Standard library only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Self, get_type_hints


class ConfigError(ValueError):
    """A setting is wrong. `field` names it, `problem` says what to do."""

    def __init__(self, field_name: str, problem: str) -> None:
        super().__init__(f"{field_name}: {problem}")
        self.field = field_name
        self.problem = problem


def opt(
    default: Any,
    help: str,  # noqa: A002 - the field's own word
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
    group: str = "main",
) -> Any:
    """A config field: its default, one line of help, bounds or choices, unit, and the part of the form it stands in."""
    return field(
        default=default,
        metadata={"help": help, "low": low, "high": high, "choices": choices, "unit": unit, "group": group},
    )


WRITERS = ("tensorboard", "wandb", "trackio")
AS_COMPUTED = "as computed"


@dataclass(frozen=True)
class Config:
    """Shared by all stages."""

    device: str = opt("auto", "where to compute", choices=("auto", "cpu", "cuda", "mps"), group="machine")
    precision: str = opt("auto", "auto is bf16 on CUDA, else fp32", choices=("auto", "fp32", "bf16"), group="machine")
    threads: int = opt(0, "CPU threads; 0 leaves torch's own choice", low=0, high=1024, group="machine")
    writers: str = opt("", "more places for the numbers, comma separated: tensorboard, wandb, trackio", group="machine")

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Self:
        """Build and validate; raises ConfigError for unknown keys, wrong types and values out of bounds."""
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for name, value in row.items():
            if name not in cls.__dataclass_fields__:
                raise ConfigError(name, f"unknown setting; {cls.__name__} has {', '.join(cls.__dataclass_fields__)}")
            values[name] = _coerce(name, value, hints[name])
        config = cls(**values)
        config.validate()
        return config

    def validate(self) -> None:
        """Check bounds and choices, then `check()`; raises ConfigError."""
        for item in fields(self):
            value, meta = getattr(self, item.name), item.metadata
            if meta.get("choices") and value not in meta["choices"]:
                raise ConfigError(item.name, f"must be one of {', '.join(meta['choices'])}, not {value!r}")
            low, high = meta.get("low"), meta.get("high")
            if low is not None and value < low or high is not None and value > high:
                raise ConfigError(item.name, f"must be from {low} to {'any' if high is None else high}, not {value}")
        self.writer_names()
        self.check()

    def writer_names(self) -> tuple[str, ...]:
        """`writers` as names, each once; raises ConfigError for one that does not exist."""
        names = tuple(dict.fromkeys(name.strip() for name in self.writers.split(",") if name.strip()))
        for name in names:
            if name not in WRITERS:
                raise ConfigError("writers", f"there is no '{name}'; there are {', '.join(WRITERS)}")
        return names

    def check(self) -> None:
        """Rules that span fields; raises ConfigError."""

    def check_idle(self, names: Sequence[str], *, without: str = "", when: str = "") -> None:
        """Raise ConfigError for a setting that has been changed and does nothing `without` another, or `when` one is as it is."""
        for name in names:
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) == default:
                continue
            if without:
                raise ConfigError(name, f"does nothing without {without}: leave it at {default}")
            value = getattr(self, when)
            raise ConfigError(name, f"does nothing when {when} is {value}: leave it at {default}")

    def check_reads(self, inputs: Collection[str], data: Collection[str]) -> None:
        """Rules that span settings and what the spec names: `inputs` are roles, `data` record kinds; raises ConfigError."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-ready values."""
        return asdict(self)


def _coerce(name: str, value: Any, kind: Any) -> Any:
    if kind in (bool, str) and isinstance(value, kind):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ConfigError(name, f"must be {getattr(kind, '__name__', kind)}, not {type(value).__name__}")


def describe(cls: type[Config]) -> list[dict[str, Any]]:
    """One entry per field for forms and documentation: name, type, default, help, bounds, choices, unit, group."""
    hints = get_type_hints(cls)
    return [
        {
            "name": item.name,
            "type": hints[item.name].__name__,
            "default": None if item.default is MISSING else item.default,
            **item.metadata,
        }
        for item in fields(cls)
    ]


@dataclass(frozen=True)
class TrainConfig(Config):
    """Shared by the stages that change weights."""

    tuning: str = opt("lora", "train a low-rank adapter or every weight", choices=("lora", "full"), group="adapter")
    lora_rank: int = opt(8, "rank of the adapter", low=1, high=1024, group="adapter")
    lora_alpha: float = opt(16.0, "scale of the adapter is alpha / rank", low=0.001, high=4096, group="adapter")
    first_adapted_layer: int = opt(
        0, "layers below stay frozen and run once a batch", low=0, high=1024, unit="layer", group="adapter"
    )
    base_precision: str = opt(
        AS_COMPUTED,
        "weights of the frozen base: as computed, or rounded to 8 or 4 bits with the adapter beside them",
        choices=(AS_COMPUTED, "int8", "nf4"),
        group="adapter",
    )
    learning_rate: float = opt(1e-4, "peak learning rate", low=0.0, high=1.0)
    warmup_steps: int = opt(0, "steps from a tenth of the peak to the peak", low=0, high=1_000_000, unit="steps")
    schedule: str = opt("cosine", "after warm-up: constant, or cosine to a tenth", choices=("constant", "cosine"))
    weight_decay: float = opt(0.0, "AdamW weight decay", low=0.0, high=10.0)
    max_grad_norm: float = opt(1.0, "gradients are clipped to this norm", low=0.0001, high=1e6)
    shard: bool = opt(
        False, "spread the weights, and the optimiser's state of them, over the processes (FSDP2)", group="machine"
    )
    micro_tokens: int = opt(
        4096, "padded tokens in one forward pass", low=16, high=100_000_000, unit="tokens", group="machine"
    )
    checkpoint_every: int = opt(
        50,
        "steps between checkpoints for resume; 0 = only when stopped",
        low=0,
        high=1_000_000,
        unit="steps",
        group="machine",
    )

    def validate(self) -> None:
        super().validate()
        if self.shard and self.base_precision != AS_COMPUTED:
            raise ConfigError(
                "shard", f"cannot spread a base rounded to {self.base_precision}: set base_precision to 'as computed'"
            )
        if self.base_precision != AS_COMPUTED and self.tuning != "lora":
            raise ConfigError(
                "base_precision", f"{self.base_precision} is for tuning 'lora': only a frozen base can be rounded"
            )
        for name in ("lora_rank", "lora_alpha", "first_adapted_layer") if self.tuning == "full" else ():
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) != default:
                raise ConfigError(name, f"does not apply when tuning is 'full': leave it at {default}")
