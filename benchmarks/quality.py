"""Does the quality page find what was planted? A week of 20 simulated labelers and 2,000 rankings.

    make bench NAME=quality ARGS="--seed 1"

Seventeen labelers have noise, ties and taste of their own; a clicker, one who always takes the first and one who always
takes the longest hide among them. All claim and submit through the services of people, on a temporary database. The truth
is what the same labelers give when every one of them judges every comparison six times over (120 judgements a comparison).
`agreement_in_ci`: the truth lies in the page's 95 % interval. `alpha_abs_err`: |Krippendorff's α of the page − true α|.
`bad_actors_top`: how many of the three stand in the first three places of the page. `…_bias_found`: the page says so of the
right person.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import django

from benchmarks.harness.result import report


def step(begin: float, text: str) -> None:
    """Say what is done."""
    print(f"{time.monotonic() - begin:6.1f} s  {text}", flush=True)


def within(truth: float, estimate: dict[str, Any]) -> bool:
    """Whether the interval of a stored estimate holds the truth."""
    return bool(estimate["low"] <= truth <= estimate["high"])


def kinds_of(rows: list[dict[str, Any]], labeler: int) -> set[str]:
    """What the page says of one labeler."""
    return {finding["kind"] for row in rows if row["id"] == labeler for finding in row["findings"]}


def main() -> None:
    """Play the week, look at the page, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=0, help="of labelers and completions (default: %(default)s)")
    parser.add_argument(
        "--tasks", type=int, default=500, help="comparisons, each ranked by four (default: %(default)s)"
    )
    options = parser.parse_args()
    if not 60 <= options.tasks <= 500:
        parser.error("--tasks must be between 60 and 500")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeling.settings")
    django.setup()
    from django.core.management import call_command

    from labeling.quality import services
    from labeling.quality.models import Summary
    from labeling.simulation import week as simulation

    begin = time.monotonic()
    call_command("migrate", verbosity=0)
    step(begin, "empty database")
    said = lambda done: done % 250 == 0 and step(begin, f"{done} rankings")  # noqa: E731
    week = simulation.play(tasks=options.tasks, seed=options.seed, after_each=said)
    services.refresh(project=week.project)
    summary = Summary.objects.get(project=week.project)
    step(begin, f"figures of {summary.figures['all']['rankings']} rankings, computed in {summary.seconds:.1f} s")
    truth = simulation.truth(week)
    step(begin, f"truth: {truth}")
    whole, rows = summary.figures["all"], summary.figures["labelers"]
    agreement, alpha = whole["agreement"]["labelers"], summary.figures["alpha"]["places"]
    names = {pk: name for name, pk in week.bad.items()}
    for name, estimate in (
        ("agreement", agreement),
        ("alpha", alpha),
        ("earlier", whole["earlier"]),
        ("longer", whole["longer"]),
    ):
        print(f"{name:>10}: {estimate['value']:.4f} [{estimate['low']:.4f}, {estimate['high']:.4f}]")
    for row in rows:
        if row["findings"]:
            told = ", ".join(f"{finding['kind']} p={finding['probability']:.1e}" for finding in row["findings"])
            print(f"  labeler {row['id']} ({names.get(row['id'], 'honest')}): {told}")
    found = {
        "agreement_in_ci": within(truth.agreement, agreement),
        "alpha_abs_err": round(abs(alpha["value"] - truth.alpha), 4),
        "bad_actors_top": len({row["id"] for row in rows[:3]} & set(week.bad.values())),
        "position_bias_found": bool({"order", "place"} & kinds_of(rows, week.bad["always first"])),
        "length_bias_found": "length" in kinds_of(rows, week.bad["always longer"]),
        "alpha_in_ci": within(truth.alpha, alpha),
        "position_in_ci": within(truth.earlier, whole["earlier"]),
        "length_in_ci": within(truth.longer, whole["longer"]),
        "false_bias_alarms": sum(
            bool({"order", "place", "length"} & kinds_of(rows, row["id"])) for row in rows if row["id"] not in names
        ),
        "rankings": whole["rankings"],
        "seconds": round(time.monotonic() - begin, 1),
    }
    report(found)
    good = found["agreement_in_ci"] and found["bad_actors_top"] == 3
    sys.exit(0 if good and found["position_bias_found"] and found["length_bias_found"] else 1)


if __name__ == "__main__":
    main()
