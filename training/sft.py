"""Supervised fine-tuning on demonstrations (Ouyang et al. 2022, step 1): next-token loss on the answers only.

    python -m training.sft RUN_DIR

All turns of the assistant are learned. Short demonstrations share rows (packing.py) where that costs less than padding.
Reads data.demonstrations (`train`; `valid` for the held-out loss) and inputs.policy; leaves a policy in output/.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from training import sharding
from training.backbone import Backbone, load_backbone
from training.chat import encode_prompt
from training.configs import SftConfig
from training.contracts import ContractError, DemonstrationRecord
from training.language_loss import accumulate, arrange, mean_loss
from training.optimization import batch_at, build_optimizer, optimizer_step
from training.records import demonstration_rows
from training.sampling import Decoding, answer_text, generate
from training.session import Metrics, Session, main

SHOWN = 3  # texts written to samples.jsonl after every epoch
SHOWN_TOKENS = 48


def train(session: Session) -> Metrics:
    """Tune the policy on the demonstrations; return the run's metrics."""
    config: SftConfig = session.config
    records: list[DemonstrationRecord] = session.records("demonstrations")
    parts = {name: [record for record in records if record.split == name] for name in ("train", "valid")}
    if not parts["train"]:
        raise ContractError("data.demonstrations has no row of split 'train'")
    backbone = load_backbone(
        session.input("policy"),
        device=session.device,
        dtype=session.dtype,
        base_precision=config.base_precision,
        longest=config.max_tokens + SHOWN_TOKENS,
    )
    limit = min(config.max_tokens, backbone.context_length)
    rows = demonstration_rows(parts["train"], backbone.tokenizer, limit)
    valid_rows = arrange(backbone, demonstration_rows(parts["valid"], backbone.tokenizer, limit), config.pack)

    weights = backbone.tune(config)
    optimizer = build_optimizer(weights, config)
    kept = session.restore(weights, optimizer)
    per_epoch = math.ceil(len(rows) / config.batch_size)
    total = per_epoch * config.epochs
    shown = parts["valid"][:SHOWN] or parts["train"][:SHOWN]
    if not kept:
        kept = {"valid_before": mean_loss(backbone, valid_rows, config.micro_tokens)}
        if valid_rows:
            session.log(0, "valid", **{"sft/loss": kept["valid_before"]})
        show(session, backbone, shown, step=0)

    for step in session.steps(total):
        chosen = [rows[at] for at in batch_at(step, len(rows), config.batch_size, seed=session.spec.seed)]
        loss = accumulate(backbone, arrange(backbone, chosen, config.pack), config.micro_tokens)
        rate, norm = optimizer_step(optimizer, step, total, config)
        kept.setdefault("loss_first", loss)
        kept["loss_last"] = loss
        session.count(sum(len(row.ids) for row in chosen))
        numbers = {"sft/loss": loss, "sft/grad_norm": norm, "sft/learning_rate": rate, "sft/epoch": step / per_epoch}
        session.log(step, **numbers)
        if step % per_epoch == 0:
            kept["valid_after"] = mean_loss(backbone, valid_rows, config.micro_tokens)
            if valid_rows:
                session.log(step, "valid", **{"sft/loss": kept["valid_after"]})
            show(session, backbone, shown, step=step)
        session.end_step(step, weights=weights, optimizer=optimizer, extra=kept)

    backbone.save_policy(session.staging)
    return {
        "loss_first": kept["loss_first"],
        "loss_last": kept["loss_last"],
        "valid_loss_before": kept["valid_before"],
        "valid_loss_after": kept["valid_after"],
        "rows": len(rows),
        "valid_rows": len(parts["valid"]),
        "response_tokens": sum(sum(row.response) for row in rows),
        "steps": total,
    }


def show(session: Session, backbone: Backbone, records: Sequence[DemonstrationRecord], *, step: int) -> None:
    """Write the policy's own greedy answers to a few prompts to samples.jsonl."""
    prompts = [encode_prompt(backbone.tokenizer, record.messages[:-1]) for record in records]
    room = min(SHOWN_TOKENS, backbone.context_length - max(map(len, prompts)))
    if room < 1:
        return
    check = None if step else session.check_stop  # later on, the finished step is checkpointed first
    with sharding.gathered(backbone.model):
        if not session.writes:
            return
        answers = generate(backbone, prompts, Decoding(room, temperature=0.0), [0] * len(prompts), check=check)
    for record, answer in zip(records, answers, strict=True):
        text = answer_text(backbone, answer)
        session.sample(step, prompt=record.messages[-2]["content"], text=text, tokens=len(answer.ids))


if __name__ == "__main__":
    sys.exit(main(train))
