"""A stage on several processes: torchrun, whose exit status is that of the stage.

    python -m training.launch [torchrun's options] STAGE RUN_DIR
    python -m training.launch --nproc-per-node 4 sft RUN_DIR
    python -m training.launch --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 sft RUN_DIR

On several hosts run the same line on each; all must see RUN_DIR and the inputs under the same paths.
"""

from __future__ import annotations

import os
import sys

from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from training.contracts import EXIT_BAD_SPEC, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, Kind


def main(argv: list[str]) -> int:
    """Run the stage; returns its exit status (see contracts.EXIT_…): the one of the first rank that failed."""
    *options, stage, run_dir = argv if len(argv) > 1 else ["", ""]
    if stage not in list(Kind):
        print(f"usage: python -m training.launch [torchrun's options] {'|'.join(Kind)} RUN_DIR", file=sys.stderr)
        return EXIT_BAD_SPEC
    if not any(option.startswith(("--rdzv", "--nnodes")) for option in options):
        options.append("--standalone")  # a meeting point of its own, on a free port of this host
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun's default, without its warning
    try:
        torchrun.run(torchrun.parse_args([*options, "-m", f"training.{stage}", run_dir]))
    except ChildFailedError as problem:
        _, failure = problem.get_first_failure()
        return failure.exitcode if failure.exitcode > 0 else EXIT_FAILED
    except SignalException:  # it has passed the signal on and waited for the ranks
        return EXIT_INTERRUPTED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
