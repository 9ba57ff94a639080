"""Held-out numbers of a policy against its reference, and of a reward model against rankings.

    python -m training.evaluate RUN_DIR

Reads inputs.policy, inputs.reference and inputs.reward (both optional), data.prompts and data.rankings (one of them at
least; only rows of the config's split); leaves report.json in output/ and, with prompts, completions.jsonl. Policy and
reference answer the same prompts with the same seeds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from training import distributed
from training.agreement import agreement
from training.answers import answer_statistics, measure
from training.backbone import Backbone, load_backbone
from training.checkpointing import kept_part
from training.configs import EvaluateConfig
from training.contracts import CompletionRecord, ContractError, PromptRecord, RankingRecord, canonical_json
from training.held_out import write_scores
from training.records import comparing, prompt_rows, ranking_rows
from training.reward_model import RewardModel, load_reward
from training.sampling import Decoding, Sampled, answer_text, generate, row_seed
from training.session import Metrics, Session, main

RESAMPLES = 2000
MICRO_TOKENS = 8192  # padded tokens in one forward pass
SHOWN = 8  # pairs of answers written to samples.jsonl


def train(session: Session) -> Metrics:
    """Evaluate what the spec names; return the report's main numbers."""
    config: EvaluateConfig = session.config
    prompts = [record for record in session.records("prompts") if record.split == config.split]
    given = [record for record in session.records("rankings") if record.split == config.split]
    rankings = comparing(given)
    if not prompts and not rankings:
        less = f" but rankings of one completion ({len(given)})" if given else ""
        raise ContractError(f"neither data.prompts nor data.rankings has a row of split '{config.split}'{less}")
    if rankings and not session.inputs("reward"):
        raise ContractError("data.rankings is given: inputs.reward must name the reward model to judge by it")
    parts = bool(rankings) + bool(prompts) * (1 + bool(session.inputs("reference")))
    report: dict[str, Any] = {"split": config.split, "seed": session.spec.seed, "config": config.to_dict()}
    session.journal.plan(done=0, total=parts)
    reward = None
    if session.inputs("reward"):
        reward = load_reward(
            session.input("reward"), device=session.device, dtype=session.dtype, micro_tokens=MICRO_TOKENS
        )
    if rankings and reward:
        report["reward"] = judge_reward(session, reward, rankings) | {"single_rows": len(given) - len(rankings)}
        session.log(1, **numbers_of("reward", report["reward"]))
    if prompts:
        report |= judge_policy(session, reward, prompts, done=bool(rankings), parts=parts)
    if session.writes:
        text = json.dumps(report, indent=1, sort_keys=True) + "\n"
        (session.staging / "report.json").write_text(text, encoding="utf-8")
    return {
        name: value
        for part in ("reward", "policy", "reference", "comparison")
        for name, value in numbers_of(part, report.get(part, {}), intervals=True).items()
    }


def numbers_of(part: str, row: dict[str, Any], *, intervals: bool = False) -> dict[str, Any]:
    """The plain numbers (and, if asked, the intervals) of a report's part, with the part before their names."""
    kinds = (int, float, list) if intervals else (int, float)
    return {f"{part}/{name}": v for name, v in row.items() if isinstance(v, kinds) and name != "calibration"}


def judge_reward(session: Session, reward: RewardModel, records: Sequence[RankingRecord]) -> dict[str, Any]:
    """Accuracy (ties in score count ½) with interval, calibration and the rest of `agreement`; held-out scores are kept."""
    config: EvaluateConfig = session.config
    rows = ranking_rows(records, reward.backbone.tokenizer, min(config.max_tokens, reward.backbone.context_length))
    sizes = [row.longest * len(row.completions) for row in rows]
    scores = kept_part(session.run_dir, "scores", lambda: distributed.in_shares(rows, sizes, reward.score_rankings))
    if session.writes and config.split != "train":
        write_scores(session.staging, rows, scores)
    return agreement(scores, rows, seed=session.spec.seed)


# ---------------------------------------------------------------- policy against reference


def judge_policy(
    session: Session, reward: RewardModel | None, records: Sequence[PromptRecord], *, done: int, parts: int
) -> dict[str, Any]:
    """Answers of both policies, their statistics, KL between them, and who wins under the reward."""
    config: EvaluateConfig = session.config
    policy = load_backbone(session.input("policy"), device=session.device, dtype=session.dtype)
    rows = prompt_rows(records, policy.tokenizer, max_tokens=config.max_tokens)
    prompts = [row.ids for row in rows for _ in range(config.n)]
    names = [row.id for row in rows for _ in range(config.n)]
    numbers = list(range(config.n)) * len(rows)
    seeds = [row_seed(session.spec.seed, name, number) for name, number in zip(names, numbers, strict=True)]

    def answers_of(side: str, model: Backbone) -> list[Sampled]:
        def sample(own: list[int]) -> list[dict[str, Any]]:
            chosen = [prompts[at] for at in own], Decoding(config.max_new_tokens, config.temperature)
            own_seeds, own_names = [seeds[at] for at in own], [names[at] for at in own]
            found = generate(
                model, *chosen, own_seeds, batch_rows=config.batch_rows, names=own_names, check=session.check_stop
            )
            return [{"ids": one.ids, "logprobs": one.logprobs_T.tolist(), "finished": one.finished} for one in found]

        def sample_all() -> list[dict[str, Any]]:
            return distributed.in_shares(list(range(len(prompts))), [len(ids) for ids in prompts], sample)

        rows = kept_part(session.run_dir, f"{side}-answers", sample_all)
        session.count(sum(len(row["ids"]) for row in rows))
        return [Sampled(row["ids"], torch.tensor(row["logprobs"]), None, row["finished"]) for row in rows]

    answers = {"policy": answers_of("policy", policy)}
    if not session.writes:  # the first rank alone looks at them
        for path in session.inputs("reference"):
            answers_of("reference", load_backbone(path, device=session.device, dtype=session.dtype))
        return {}
    report: dict[str, Any] = {"policy": describe(policy, prompts, answers["policy"], reward, config)}
    session.log(done + 1, **numbers_of("policy", report["policy"]))
    backbones = {"policy": policy}
    if session.inputs("reference"):
        reference = load_backbone(session.input("reference"), device=session.device, dtype=session.dtype)
        if reference.tokenizer.get_vocab() != policy.tokenizer.get_vocab():
            raise ContractError("inputs.reference has another tokenizer than inputs.policy: their KL is not defined")
        backbones["reference"] = reference
        answers["reference"] = answers_of("reference", reference)
        report["reference"] = describe(reference, prompts, answers["reference"], reward, config)
        report["comparison"] = compare(report, reference, prompts, answers, names, config, session.spec.seed)
        session.log(
            parts, **numbers_of("reference", report["reference"]), **numbers_of("comparison", report["comparison"])
        )
    for part in report.values():
        part.pop("per_answer", None)
    write_completions(session, backbones, answers, names, numbers)
    show(session, policy, records, answers)
    return report


def describe(
    model: Backbone,
    prompts: list[list[int]],
    answers: Sequence[Sampled],
    reward: RewardModel | None,
    config: EvaluateConfig,
) -> dict[str, Any]:
    """Length, repetition, ends, entropy and, with a reward model, mean score."""
    ids = [answer.ids for answer in answers]
    found = measure(model, prompts, ids, micro_tokens=MICRO_TOKENS, temperature=config.temperature)
    row: dict[str, Any] = {
        "answers": len(answers),
        **answer_statistics(answers),
        "entropy": float(torch.cat(found.entropy).mean()),
        "per_answer": {"logprob": [float(part.sum()) for part in found.logprobs]},
    }
    if reward is not None:
        if reward.backbone.tokenizer.get_vocab() != model.tokenizer.get_vocab():
            raise ContractError("inputs.reward has another tokenizer than inputs.policy: it cannot read its tokens")
        scores = reward.score(list(zip(prompts, ids, strict=True)))
        row["score"] = float(scores.mean())
        row["score_std"] = float(scores.std(correction=0))
        row |= {} if reward.spread is None else {"score_spread": reward.spread}
        row["per_answer"]["score"] = scores.tolist()
    return row


def compare(
    report: dict[str, Any],
    reference: Backbone,
    prompts: list[list[int]],
    answers: dict[str, list[Sampled]],
    names: Sequence[str],
    config: EvaluateConfig,
    seed: int,
) -> dict[str, Any]:
    """KL(policy ‖ reference) on the policy's answers and, with scores, how often the policy's answer wins.

    Every answer of a prompt meets every answer of the other policy to it; ties count ½. 95 % intervals: bootstrap over
    prompts. `win_rate_length_matched` counts only pairs whose lengths differ by at most a tenth (None without such pairs).
    """
    ids = [answer.ids for answer in answers["policy"]]
    under = measure(reference, prompts, ids, micro_tokens=MICRO_TOKENS, temperature=config.temperature)
    own = report["policy"]["per_answer"]["logprob"]
    kl = [a - float(b.sum()) for a, b in zip(own, under.logprobs, strict=True)]
    tokens = sum(map(len, ids))
    found: dict[str, Any] = {"kl": fmean(kl), "kl_per_token": sum(kl) / tokens, "prompts": len(dict.fromkeys(names))}
    if "score" not in report["policy"]:
        return found
    scores = {side: report[side]["per_answer"]["score"] for side in ("policy", "reference")}
    for name, counts in (("win_rate", None), ("win_rate_length_matched", alike)):
        wins = wins_by_prompt(names, scores, answers, counts)
        found[name] = fmean(wins) if wins else None
        found[f"{name}_ci95"] = bootstrap(wins, seed=seed) if wins else None
        found[f"{name}_prompts"] = len(wins)
    return found


def alike(one: Sampled, other: Sampled) -> bool:
    """Whether two answers are about equally long."""
    return abs(len(one.ids) - len(other.ids)) <= 0.1 * max(len(one.ids), len(other.ids))


def wins_by_prompt(
    names: Sequence[str],
    scores: dict[str, list[float]],
    answers: dict[str, list[Sampled]],
    counts: Callable[[Sampled, Sampled], bool] | None,
) -> list[float]:
    """Per prompt the share of pairs (policy's answer, reference's answer) that the policy wins; prompts without pairs are left out."""
    rows: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        rows.setdefault(name, []).append(at)
    shares = []
    for group in rows.values():
        results = [
            1.0
            if scores["policy"][a] > scores["reference"][b]
            else 0.5
            if scores["policy"][a] == scores["reference"][b]
            else 0.0
            for a in group
            for b in group
            if counts is None or counts(answers["policy"][a], answers["reference"][b])
        ]
        if results:
            shares.append(fmean(results))
    return shares


def bootstrap(values: Sequence[float], *, seed: int) -> list[float]:
    """95 % interval of the mean, resampling the values."""
    values_P: Tensor = torch.tensor(values, dtype=torch.float64)
    drawn = torch.randint(len(values), (RESAMPLES, len(values)), generator=torch.Generator().manual_seed(seed))
    quantiles = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = values_P[drawn].mean(1).quantile(quantiles).tolist()
    return [low, high]


# ---------------------------------------------------------------- files


def write_completions(
    session: Session,
    backbones: dict[str, Backbone],
    answers: dict[str, list[Sampled]],
    names: Sequence[str],
    numbers: Sequence[int],
) -> None:
    """All answers as records, so that people can be asked about them too."""
    config: EvaluateConfig = session.config
    facts = {
        "temperature": config.temperature,
        "top_p": 1.0,
        "max_new_tokens": config.max_new_tokens,
        "seed": session.spec.seed,
    }
    lines = []
    for side, found in answers.items():
        for answer, prompt, number in zip(found, names, numbers, strict=True):
            record = CompletionRecord(
                id=f"{prompt}:{side}:{number}",
                prompt_id=prompt,
                policy=side,
                text=answer_text(backbones[side], answer),
                token_count=len(answer.ids),
                finish_reason="stop" if answer.finished else "length",
                logprob=float(answer.logprobs_T.sum()),
                sampling=facts | {"number": number},
            )
            lines.append(canonical_json(asdict(record)) + "\n")
    (session.staging / "completions.jsonl").write_text("".join(lines), encoding="utf-8")


def show(
    session: Session, policy: Backbone, records: Sequence[PromptRecord], answers: dict[str, list[Sampled]]
) -> None:
    """The first answer of each side to a few prompts, for samples.jsonl."""
    for at, record in enumerate(records[:SHOWN]):
        for side, found in answers.items():
            answer = found[at * session.config.n]
            text, prompt = answer_text(policy, answer), record.messages[-1]["content"]
            session.sample(0, prompt=prompt, text=text, policy=side, tokens=len(answer.ids))


if __name__ == "__main__":
    sys.exit(main(train))
