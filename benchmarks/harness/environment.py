"""Where the peers are installed, and how a benchmark goes there.

`make bench-peers` makes a virtual environment of its own under var/peers: Loop's own pins of torch and transformers,
TRL 1.16.0 beside them, and TRL 1.12.0, the last with a PPOTrainer, in a folder of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "var" / "peers"
OLD_TRL = PEERS / "trl-1.12.0"

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def go_to_peers(module: str, *, ppo: bool = False) -> None:
    """Start this benchmark again in the peers' environment; returns at once when it is there already.

    `ppo` puts TRL 1.12.0 before 1.16.0. Exits with 2 when the peers are not installed.
    """
    if Path(sys.prefix).resolve() == PEERS.resolve():
        return
    python = PEERS / "bin" / "python"
    if not python.exists() or not OLD_TRL.is_dir():
        print("TRL is not installed for comparison: run `make bench-peers` once, then this again.", file=sys.stderr)
        sys.exit(2)
    paths = [str(OLD_TRL), str(ROOT)] if ppo else [str(ROOT)]
    sys.stdout.flush()
    os.execve(
        python,
        [str(python), "-m", module, *sys.argv[1:]],
        {**os.environ, **QUIET, "PYTHONPATH": os.pathsep.join(paths)},
    )
