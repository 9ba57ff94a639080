"""What the demo says at its end: `report.json`, and the table. Every number is read from the rows that the rounds left."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from labeling.checkpoints import selectors as registry
from labeling.checkpoints.models import Checkpoint
from labeling.comparisons.models import Comparison, Completion
from labeling.demonstrations.models import Demonstration
from labeling.projects.models import Project
from labeling.quality import selectors as quality
from labeling.quality.intervals import Estimate
from labeling.rounds import leaderboard
from labeling.rounds import selectors as rounds
from labeling.rounds.gates import rankings_of
from labeling.rounds.models import Round
from labeling.runs.models import Run
from labeling.simulation.lineage import is_sound
from training.contracts import write_atomic

PAIRS = 3
WIDTH = 100


def report(*, project: Project, seed: int, count: int, seconds: float) -> dict[str, Any]:
    """The report: the keys that others rely on first, then what only people read."""
    played = [found for number in range(1, count + 1) if (found := rounds.numbered(project=project, number=number))]
    return {
        "seconds": round(seconds, 1),
        "seed": seed,
        "rounds": [round_facts(loop_round) for loop_round in played],
        "lineage_ok": is_sound(deployed(project)),
        "project": project.slug,
        "stages": [stage_facts(loop_round) for loop_round in played],
        "pairs": [pair for loop_round in played[-1:] for pair in pairs_of_answers(loop_round)],
    }


def round_facts(loop_round: Round) -> dict[str, Any]:
    """The numbers of one round. `labels` counts its demonstrations and rankings, those that judged its policy included."""
    found = leaderboard.standing(loop_round)
    win = found.win if found else None
    reward = numbers(loop_round.reward_run)
    here = rankings_of(loop_round, Comparison.Purpose.TRAINING).count()
    return {
        "number": loop_round.number,
        "labels": demonstrations_in(loop_round) + here + (found.rankings if found else 0),
        "reward_accuracy": reward.get("accuracy"),
        "reward_rows": reward.get("rows"),
        "kl": numbers(loop_round.ppo_run).get("kl_after"),
        "win_rate": win.value if win else None,
        "win_rate_ci95": [win.low, win.high] if win else None,
        "n_eval": win.groups if win else 0,
    }


def stage_facts(loop_round: Round) -> dict[str, Any]:
    """What the table shows beyond that."""
    found = leaderboard.standing(loop_round)
    snapshots = {
        "demonstrations": loop_round.demonstrations_snapshot,
        "rankings": loop_round.rankings_snapshot,
        "prompts": loop_round.prompts_snapshot,
        "held-out prompts": loop_round.heldout_snapshot,
    }
    agreement = quality.agreement(loop_round.project)
    return {
        "number": loop_round.number,
        "rows": {name: snapshot.rows for name, snapshot in snapshots.items() if snapshot},
        "sft": numbers(loop_round.sft_run),
        "reward": numbers(loop_round.reward_run),
        "ppo": numbers(loop_round.ppo_run),
        "seconds": {
            run.kind if run != loop_round.next_run else "next": run.result.get("seconds")
            for run in (
                loop_round.sft_run,
                loop_round.sample_run,
                loop_round.reward_run,
                loop_round.ppo_run,
                loop_round.next_run,
            )
            if run is not None
        },
        "matched_win_rate": interval(found.matched if found else None),
        "agreement": interval(agreement),
        "evaluation_rankings": found.rankings if found else 0,
    }


def numbers(run: Run | None) -> dict[str, Any]:
    """The metrics of a finished run."""
    return dict(run.result.get("metrics", {})) if run else {}


def interval(found: Estimate | None) -> list[float] | None:
    """[value, low, high]."""
    return [found.value, found.low, found.high] if found else None


def demonstrations_in(loop_round: Round) -> int:
    """Demonstrations written for this round's tasks."""
    rows = Demonstration.objects.filter(project=loop_round.project, superseded_by=None, late=False)
    return rows.filter(task__round_number=loop_round.number).count()


def deployed(project: Project) -> Checkpoint | None:
    """The promoted policy."""
    return registry.promoted(project=project, kind=Checkpoint.Kind.POLICY)


def pairs_of_answers(loop_round: Round) -> list[dict[str, str]]:
    """Answers of both policies to the first held-out prompts, in the order of import: not chosen by anybody."""
    rows = Completion.objects.filter(source_run=loop_round.next_run_id, prompt__split="test").order_by("prompt", "id")
    found: dict[int, dict[int, Completion]] = {}
    for row in rows.select_related("prompt"):
        found.setdefault(row.prompt_id, {}).setdefault(row.checkpoint_id, row)
    pairs = []
    for answers in found.values():
        before = answers.get(loop_round.policy_id or 0)
        after = answers.get(loop_round.new_policy_id or 0)
        if before and after:
            prompt = str(before.prompt.messages[-1]["content"])
            pairs.append({"prompt": prompt, "before": before.text, "after": after.text})
    return pairs[:PAIRS]


def write(path: Path, facts: dict[str, Any]) -> None:
    """`report.json`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(facts, indent=1) + "\n")


def is_better(facts: dict[str, Any]) -> bool:
    """Whether every round's interval lies above one half."""
    return all(row["win_rate_ci95"] and row["win_rate_ci95"][0] > 0.5 for row in facts["rounds"])


# ---------------------------------------------------------------- the table


def table(facts: dict[str, Any]) -> str:
    """The report for people."""
    parts = []
    for row, stage in zip(facts["rounds"], facts["stages"], strict=True):
        parts.append(f"Round {row['number']}")
        parts += [f"  {name:<37}{value}" for name, value in lines(row, stage)]
        parts.append("")
    if facts["pairs"]:
        parts.append("Answers to held-out prompts, before PPO and after:")
    for pair in facts["pairs"]:
        parts.append(f"\n  {pair['prompt']}")
        parts += [wrapped(f"{name:<8}", pair[name]) for name in ("before", "after")]
    lineage = "holds" if facts["lineage_ok"] else "IS BROKEN"
    parts.append(f"\nLineage from the deployed policy down to every label {lineage}. {facts['seconds']:.0f} s in all.")
    return "\n".join(parts)


def lines(row: dict[str, Any], stage: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of the table's rows; what was not measured is left out."""
    sft, reward, ppo = stage["sft"], stage["reward"], stage["ppo"]
    kept = "valid_loss_before" if sft.get("valid_loss_before") is not None else "loss_first"
    after = "valid_loss_after" if kept == "valid_loss_before" else "loss_last"
    where = "held-out demonstrations" if kept == "valid_loss_before" else "first and last step"
    found = [
        ("labels", f"{row['labels']}"),
        ("snapshot rows", ", ".join(f"{name} {count}" for name, count in stage["rows"].items())),
        ("SFT loss", f"{change(sft, kept, after)}  ({where})" if sft else ""),
        ("labelers agree", share(stage["agreement"])),
        ("reward accuracy, held-out rankings", reward_line(row, reward)),
        ("PPO reward", change(ppo, "score_before", "score_after")),
        ("PPO KL, nats an answer", change(ppo, "kl_before", "kl_after")),
        ("PPO length, tokens", change(ppo, "length_before", "length_after")),
        ("PPO entropy, nats a token", change(ppo, "entropy_before", "entropy_after")),
        ("win rate over the parent", win_line(row, stage)),
        ("  among answers of like length", share(stage["matched_win_rate"])),
    ]
    return [(name, value) for name, value in found if value]


def reward_line(row: dict[str, Any], reward: dict[str, Any]) -> str:
    """Accuracy with its interval and what it was measured on."""
    if row["reward_accuracy"] is None:
        return ""
    ends = reward.get("accuracy_ci95")
    text = share([row["reward_accuracy"], *ends]) if ends else f"{row['reward_accuracy']:.3f}"
    return f"{text}  ({reward.get('valid_pairs')} pairs; trained on {row['reward_rows']} rankings)"


def win_line(row: dict[str, Any], stage: dict[str, Any]) -> str:
    """The win rate and what it rests on."""
    if row["win_rate"] is None:
        return "not measured"
    text = share([row["win_rate"], *row["win_rate_ci95"]])
    return f"{text}  ({row['n_eval']} prompts, {stage['evaluation_rankings']} rankings)"


def share(found: list[float] | None) -> str:
    """`0.712 [0.650, 0.771]`."""
    return f"{found[0]:.3f} [{found[1]:.3f}, {found[2]:.3f}]" if found else ""


def change(metrics: dict[str, Any], before: str, after: str) -> str:
    """`2.31 → 1.87`."""
    if metrics.get(before) is None or metrics.get(after) is None:
        return ""
    first, last = (round(metrics[name], 3) + 0.0 for name in (before, after))  # no "-0.000"
    return f"{first:.3f} → {last:.3f}"


def wrapped(label: str, text: str) -> str:
    """An answer behind its label, folded."""
    indent = "    " + " " * len(label)
    body = textwrap.fill(" ".join(text.split()) or "(nothing)", WIDTH, initial_indent="", subsequent_indent=indent)
    return f"    {label}{body}"
