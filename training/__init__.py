"""Training: datasets in, checkpoints and completions out. Imports no web framework; see README.md."""

import os

# OpenMP threads that wait spin on their core. Beside any other busy process that stops a run almost entirely (measured: two
# fine-tuning runs on two cores, not one step in 40 s; with short spins each takes its half). Read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
