"""What a reward model learns from: rankings to learn, rankings held out, demonstrations that set the zero."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from training.backbone import Backbone
from training.chat import TokenRow
from training.configs import ConfigError, RewardConfig
from training.contracts import ContractError, RankingRecord, canonical_json
from training.records import RankingRow, comparing, demonstration_rows, ranking_rows
from training.score_scale import MEASURED

if TYPE_CHECKING:
    from training.session import Session


@dataclass(frozen=True)
class RewardData:
    """Rankings with at least one pair (margins as the loss takes them), held-out rankings as they are, demonstrations."""

    rows: list[RankingRow]
    valid: list[RankingRow]
    shown: list[TokenRow]
    tied: int  # rankings left out because every completion is tied
    single: int  # rankings left out, learned from and held out, because they have one completion
    sha256: str  # of the rankings learned from


def load_data(session: Session, backbone: Backbone) -> RewardData:
    """Read and check the session's records. Raises ContractError without a pair to learn from, ConfigError without one to choose by."""
    config: RewardConfig = session.config
    limit = min(config.max_tokens, backbone.context_length)
    given = session.records("rankings")
    ranked = comparing(given)
    records, held_out = split_records(ranked, config.valid_fraction, session.spec.seed)
    every = ranking_rows(records, backbone.tokenizer, limit)
    rows = [replace(row, margin=row.margin * config.margin_scale) for row in every if row.pairs]
    if not rows:
        raise ContractError("data.rankings has no train row with two different ranks: there is no pair to learn from")
    valid = ranking_rows(held_out, backbone.tokenizer, limit)
    check_valid(valid, config)
    shown = [record for record in session.records("demonstrations") if record.split == "train"][:MEASURED]
    if config.normalise == "demonstrations" and not shown:
        session.note("normalise: the run has no demonstrations, so the completions are made to average 0")
    return RewardData(
        rows,
        valid,
        demonstration_rows(shown, backbone.tokenizer, limit),
        tied=len(every) - len(rows),
        single=len(given) - len(ranked),
        sha256=data_sha256(records),
    )


def check_valid(valid: Sequence[RankingRow], config: RewardConfig) -> None:
    """Raise ConfigError when seeds are to be compared, or a curve drawn, and no held-out pair is there to do it by."""
    if any(row.pairs for row in valid):
        return
    mend = "give data.rankings rows of split 'valid', or raise valid_fraction"
    if config.seeds > config.members:
        raise ConfigError(
            "seeds", f"the best of {config.seeds} is chosen on held-out rankings, and there are none: {mend}"
        )
    if config.curve_points:
        raise ConfigError(
            "curve_points", f"a learning curve is measured on held-out rankings, and there are none: {mend}"
        )


def split_records(
    records: Sequence[RankingRecord], fraction: float, seed: int
) -> tuple[list[RankingRecord], list[RankingRecord]]:
    """Train and valid records. Without a valid split, `fraction` of the train prompts is held out, whole prompts at a time."""
    train = [record for record in records if record.split == "train"]
    valid = [record for record in records if record.split == "valid"]
    prompts = sorted({record.prompt_id for record in train})
    count = min(math.ceil(len(prompts) * fraction), len(prompts) - 1)
    if valid or count < 1:
        return train, valid
    held = set(random.Random(f"{seed}:valid").sample(prompts, count))
    return (
        [record for record in train if record.prompt_id not in held],
        [record for record in train if record.prompt_id in held],
    )


def data_sha256(records: Sequence[RankingRecord]) -> str:
    """Identity of the rankings learned from."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(canonical_json(vars(record)).encode())
    return digest.hexdigest()
