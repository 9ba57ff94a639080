"""One frozen causal language model shared by named LoRA adapters: policy, value, reward; the reference is "no adapter".

Layers below the first adapted one give the same states for every adapter, so they run once (`run_bottom`, without
gradients) and each adapter continues from there (`run_top`). Models whose layers cannot be called one by one in the
Llama manner are run whole. Rows are right-padded: causal attention never looks at padding, so no mask is needed.

Tensor axes: B rows, T positions, D width, N chosen positions in row-major order.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training import adapters, distributed, sharding
from training.attention import Hidden, Mask, attention_of
from training.chat import end_id
from training.checkpointing import fingerprint
from training.configs import AS_COMPUTED, ConfigError, TrainConfig
from training.contracts import ContractError
from training.flex import attending
from training.loading import choose_device, load_model
from training.logprobs import TokenLogprobs, linear_logprobs
from training.probes import check_output_layer, splits_exactly

__all__ = ["Backbone", "Hidden", "TokenLogprobs", "choose_device", "load_backbone", "stop_ids"]


@dataclass(eq=False)
class Backbone:
    """A language model (or, with `head` None, only its trunk) with named adapters. Build it with `load_backbone`."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: torch.dtype
    path: str
    splits: bool = False  # layers can be called one by one
    first_adapted: int | None = None
    active: str | None = None
    full: bool = False  # every weight is trained, in fp32 with autocast to dtype
    reference: PreTrainedModel | None = field(default=None, repr=False)
    base_precision: str = AS_COMPUTED  # or int8, nf4: how the frozen maps are held
    longest: int = 1 << 30  # tokens in a row, at most, in this run

    # ------------------------------------------------------------ shape

    @property
    def shown(self) -> PreTrainedModel:
        """The model that computes now: the frozen reference under full tuning and `using(None)`, else the model."""
        if self.full and self.active is None:
            if self.reference is None:
                raise RuntimeError(
                    "full tuning changes the base: call tune(..., keep_reference=True) to compare with it"
                )
            return self.reference
        return self.model

    @property
    def trunk(self) -> Any:
        """The model without its output layer."""
        return self.shown.base_model

    @property
    def hidden_size(self) -> int:
        """Width D."""
        return int(self.model.config.hidden_size)

    @property
    def layer_count(self) -> int:
        """Transformer layers held (after truncation)."""
        return int(self.model.config.num_hidden_layers)

    @property
    def context_length(self) -> int:
        """Longest row the model was made for, or the run says it will have, in tokens."""
        return min(self.longest, int(getattr(self.model.config, "max_position_embeddings", None) or 1 << 30))

    @property
    def pad_id(self) -> int:
        """What fills the end of short rows; never looked at, so any id will do."""
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None else end_id(self.tokenizer))

    def fingerprint(self) -> str:
        """Identity of the weights this was loaded from; "" for a hub name."""
        return fingerprint(self.path)

    # ------------------------------------------------------------ adapters

    def add_adapter(
        self, name: str, rank: int, alpha: float, first_layer: int = 0, last_layer: int | None = None
    ) -> dict[str, nn.Parameter]:
        """Put a LoRA adapter on layers first_layer … last_layer (inclusive; None = the last); return its parameters, fp32."""
        last = self.layer_count - 1 if last_layer is None else last_layer
        if not 0 <= first_layer <= last < self.layer_count:
            raise ConfigError(
                "first_adapted_layer",
                f"layers {first_layer} to {last} do not exist: this model has 0 to {self.layer_count - 1}",
            )
        pattern, layers = adapters.decoder_layers(self.model.base_model, self.layer_count)
        span = range(first_layer, last + 1)
        found = adapters.add_lora(self.model, name, layers=layers, pattern=pattern, rank=rank, alpha=alpha, span=span)
        self.model.eval()
        for parameter in found.values():
            parameter.data = parameter.data.to(self.device, torch.float32)
            parameter.requires_grad_(True)
        self.first_adapted = first_layer if self.first_adapted is None else min(self.first_adapted, first_layer)
        self._activate(self.active)
        return found

    def tune(
        self, config: TrainConfig, name: str = "policy", *, keep_reference: bool = False
    ) -> dict[str, nn.Parameter]:
        """Make the model trainable as the config says (LoRA or full), switch to it and return the parameters by name."""
        if config.tuning == "lora":
            found = self.add_adapter(name, config.lora_rank, config.lora_alpha, config.first_adapted_layer)
            self._activate(name)
        else:
            if keep_reference:
                self.reference = copy.deepcopy(self.model)
            self.full = True
            self.active = name
            self.model.float().requires_grad_(True)
        if config.shard:
            sharding.shard(self)
        return dict(self.model.named_parameters()) if self.full else found

    @contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """Inside the block compute with adapter `name`; None is the reference: exactly the base."""
        before = self.active
        self._activate(name)
        try:
            yield
        finally:
            self._activate(before)

    def _activate(self, name: str | None) -> None:
        self.active = name
        if not self.full:
            adapters.activate(self.model, name)

    @contextmanager
    def merged(self, name: str = "policy") -> Iterator[None]:
        """Inside the block weights are whole and the adapter is folded in, for sampling; afterwards they are as before, bit for bit.

        A base in 8 or 4 bits stays as small as it is: there the adapter runs beside it.
        """
        beside = self.full or self.base_precision != AS_COMPUTED
        folded = nullcontext() if beside else adapters.merged(self.model, name)
        with sharding.gathered(self.model), self.using(name if beside else None), folded:
            yield

    # ------------------------------------------------------------ forward

    def run_bottom(
        self, ids_BT: Tensor, mask: Mask | None = None, positions: Tensor | None = None, *, layer: int | None = None
    ) -> Hidden:
        """Run the layers below `layer` (default: the first adapted one) without gradients, once for all adapters.

        `mask` None: rows are right-padded. [B, T] (1 = real token): padding anywhere. [B or 1, 1, T, T] bool, or blocks: who sees whom.
        """
        mask, positions = attention_of(ids_BT, mask, positions)
        if mask is not None and not self.splits and mask.shape[-2] > 1:
            raise ContractError(f"{type(self.model).__name__} cannot take attention masks; give right-padded rows")
        layer = (self.first_adapted or 0) if layer is None else layer
        if self.full or not self.splits or layer == 0:
            return Hidden(ids_BT, None, 0, positions, mask)
        sharding.gather_ends(self.shown)
        with torch.no_grad():
            states = self._layers(self.trunk.embed_tokens(ids_BT), 0, layer, positions, mask)
        return Hidden(ids_BT, states, layer, positions, mask)

    def run_top(self, hidden: Hidden, *, layers: int | None = None) -> Tensor:
        """States after the remaining layers (the first `layers` of the model in all; None = every one) and the final norm."""
        sharding.gather_ends(self.shown)
        with self.precision():
            if not self.splits:
                if layers not in (None, self.layer_count):
                    raise ContractError(f"{type(self.model).__name__} cannot stop at layer {layers}; load it truncated")
                out = self.trunk(input_ids=hidden.ids_BT, position_ids=hidden.positions_BT, use_cache=False)
                last: Tensor = out.last_hidden_state
                return last
            states = hidden.states_BTD
            if states is None:
                embedded = self.trunk.embed_tokens(hidden.ids_BT)
                states = embedded.float() if self.full else embedded  # a bf16 reference then adds up as the policy does
            states = self._layers(states, hidden.layer, layers or self.layer_count, hidden.positions_BT, hidden.mask)
            final: Tensor = self.trunk.norm(states)
            return final

    def _layers(self, states: Tensor, start: int, stop: int, positions: Tensor, mask: Mask | None) -> Tensor:
        trunk = self.trunk
        rotary = trunk.rotary_emb(states, position_ids=positions)
        with attending(trunk.config, mask):
            for layer in trunk.layers[start:stop]:
                states = layer(
                    states, attention_mask=mask, position_ids=positions, position_embeddings=rotary, use_cache=False
                )
        return states

    def precision(self) -> AbstractContextManager[Any]:
        """Autocast under full bf16 tuning (weights are kept in fp32); nothing otherwise."""
        if self.full and self.dtype != torch.float32:
            return torch.autocast(self.device.type, self.dtype)
        return nullcontext()

    def logits(self, states: Tensor) -> Tensor:
        """fp32 logits of states from `run_top`."""
        with self.precision():
            table: Tensor = self.shown.get_output_embeddings()(states)
            return table.float()

    def token_logprobs(
        self, states_BTD: Tensor, ids_BT: Tensor, response_BT: Tensor, *, temperature: float = 1.0, least: int = 0
    ) -> TokenLogprobs:
        """log π(token) of the tokens marked in `response_BT`, each from the state before it; logits only there, fp32, / T.

        The first `least` of a row are taken as drawn from those that do not end an answer (min_new_tokens of sampling).
        """
        chosen_BT = response_BT[:, 1:]
        early_N = response_BT.cumsum(1)[:, 1:][chosen_BT] <= least if least else None
        states_ND = states_BTD[:, :-1][chosen_BT]
        head = self.shown.get_output_embeddings()
        with self.precision():
            logprobs_N, entropy_N = linear_logprobs(
                states_ND, head, ids_BT[:, 1:][chosen_BT], temperature, early_N, stop_ids(self) if least else ()
            )
        return TokenLogprobs(logprobs_N, entropy_N, states_ND)

    # ------------------------------------------------------------ export

    def export_state(self, name: str) -> dict[str, Tensor]:
        """All weights with adapter `name` folded in, by the plain model's names, in the compute precision; spread ones on the first rank only."""
        state = adapters.base_state(self.model)
        if sharding.is_sharded(self.model):
            state = sharding.for_files(state)
        if state and not self.full:
            state |= adapters.merged_weights(self.model, name, state)
        return {
            key: value.detach().to(self.dtype) if value.is_floating_point() else value for key, value in state.items()
        }

    def save_policy(self, folder: Path, name: str = "policy") -> None:
        """Write a plain `transformers` directory (merged weights, tokenizer); the adapter also by itself in `adapter/`. Every rank calls it."""
        state = self.export_state(name)
        if not distributed.is_first():
            return
        folder.mkdir(parents=True, exist_ok=True)
        if self.model.config.tie_word_embeddings:
            state.pop("lm_head.weight", None)
        self.model.config.dtype = self.dtype
        self.model.save_pretrained(folder, state_dict=state)
        self.tokenizer.save_pretrained(folder)
        if not self.full:
            adapters.save_adapter(self.model, name, folder / "adapter", base=self.path)


def stop_ids(backbone: Backbone) -> list[int]:
    """Tokens that end an answer: the chat template's end of turn and the model's own end-of-text ids, as far as they can be drawn."""
    own = getattr(backbone.model.generation_config, "eos_token_id", None)
    ids = [own] if isinstance(own, int) else list(own or [])
    if backbone.tokenizer.eos_token_id is not None:
        ids.append(int(backbone.tokenizer.eos_token_id))
    drawable = backbone.model.get_output_embeddings().weight.shape[0]
    return [token for token in dict.fromkeys([end_id(backbone.tokenizer), *ids]) if token < drawable]


def load_backbone(
    path: str | Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    layers: int = 0,
    head: str = "language",
    base_precision: str = AS_COMPUTED,
    longest: int = 1 << 30,
) -> Backbone:
    """Load a model frozen and without dropout; see `loading.load_model` for the arguments and what it refuses.

    `longest` row of the run, in tokens: layers that look back over a window as long as that are called one by one too.
    """
    model, tokenizer = load_model(
        path, device=device, dtype=dtype, layers=layers, head=head, base_precision=base_precision
    )
    backbone = Backbone(model, tokenizer, device, dtype, str(path), base_precision=base_precision, longest=longest)
    backbone.splits = splits_exactly(backbone)
    if head == "language":
        check_output_layer(backbone)
    return backbone
