"""What a freshly loaded model can do, found by trying it on a few tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.contracts import ContractError

if TYPE_CHECKING:
    from training.backbone import Backbone


@torch.no_grad()
def check_output_layer(backbone: Backbone) -> None:
    """Refuse models that scale or cap their logits after the output layer: their probabilities would be wrong here."""
    ids = torch.arange(4, device=backbone.device)[None, :] % backbone.model.config.vocab_size
    own = backbone.model(input_ids=ids, use_cache=False).logits.float()
    if not torch.allclose(backbone.logits(backbone.run_top(backbone.run_bottom(ids))), own, rtol=1e-2, atol=1e-2):
        raise ContractError(f"{type(backbone.model).__name__} changes its logits after the output layer: not supported")


@torch.no_grad()
def splits_exactly(backbone: Backbone) -> bool:
    """Whether calling the layers one by one gives what the model's own forward gives (tried on a few tokens).

    One by one they look back over all of a row: a window must be as long as the longest row.
    """
    config, trunk = backbone.model.config, backbone.model.base_model
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    named = all(hasattr(trunk, part) for part in ("embed_tokens", "layers", "rotary_emb", "norm"))
    window = getattr(config, "sliding_window", None)
    known = {"full_attention"} if window is None else {"full_attention", "sliding_attention"}
    if not named or not kinds <= known or (window is not None and window < backbone.context_length):
        return False
    ids = torch.arange(12, device=backbone.device)[None, :] % config.vocab_size
    whole = trunk(input_ids=ids, use_cache=False).last_hidden_state.float()
    backbone.splits = True
    try:
        parts = backbone.run_top(backbone.run_bottom(ids, layer=backbone.layer_count // 2)).float()
    except (TypeError, AttributeError, RuntimeError, ValueError):
        return False
    slack = 1e-4 if backbone.dtype == torch.float32 else 5e-2
    return bool((parts - whole).norm() <= slack * whole.norm())
