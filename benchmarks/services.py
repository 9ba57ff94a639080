"""How long PostgreSQL and Valkey take to start, cold (new data) and warm (data there already).

    make bench NAME=services ARGS="--rounds 5"

Every start is a whole `manage.py up --services-only -- true`: supervisor, both servers ready, ordered stop. The starts
alternate, so that a busy moment of the machine meets both. `baseline` is the same command line's own start
(`manage.py up --help`), which no choice of servers can save.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness.result import report

ROOT = Path(__file__).resolve().parent.parent


def seconds(*arguments: str) -> float:
    """Wall time of one `manage.py up` on servers of its own; raises CalledProcessError when it fails."""
    env = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    begin = time.perf_counter()
    command = [sys.executable, str(ROOT / "manage.py"), "up", *arguments]
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of each kind of start, one of each a round."""
    taken: dict[str, list[float]] = {"baseline": [], "cold": [], "warm": []}
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="loop-bench-") as folder:
            os.chmod(folder, 0o711)
            start = ("--services-only", "--var", f"{folder}/var", "--", "true")
            taken["baseline"].append(seconds("--help"))
            taken["cold"].append(seconds(*start))
            taken["warm"].append(seconds(*start))
        shown = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in taken.items())
        print(f"round {number}/{rounds}: {shown}", flush=True)
    return taken


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="starts of each kind (default: %(default)s)")
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    taken = measure(rounds)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    result = {
        "benchmark": "services",
        "rounds": rounds,
        "cold_over_warm": round(medians["cold"] / medians["warm"], 2),
        **{f"{name}_seconds": round(value, 3) for name, value in medians.items()},
        **{f"{name}_fastest_seconds": round(min(values), 3) for name, values in taken.items()},
    }
    report(result)


if __name__ == "__main__":
    main()
