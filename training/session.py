"""What every stage shares: read the spec, seed, pick the device, log, checkpoint, stop when told, publish, report.

    python -m training.sft RUN_DIR

`main(train)` runs `train(session)` in a run directory (see contracts.py). The stage writes its result into
`session.staging` and returns the run's metrics; the folder then becomes `output/` and `result.json` is written last.
Starting the same directory again resumes from the newest checkpoint, or exits 0 at once when it has succeeded.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from transformers.utils import logging as transformers_logging

from training import checkpointing, distributed
from training.backbone import choose_device
from training.configs import ConfigError, TrainConfig, config_for
from training.contracts import (
    EXIT_BAD_SPEC,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    NEEDS,
    ContractError,
    Result,
    RunSpec,
    read_records,
    sha256_of,
    verify_manifest,
)
from training.journal import Journal
from training.quantization import check_base_precision
from training.writers import open_writers

Metrics = dict[str, Any]


class Interrupted(Exception):
    """SIGTERM or SIGINT came; what is needed to go on has been written."""


class Session:
    """One stage at work in a run directory. Use as a context manager: it takes and gives back the stop signals."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.spec = RunSpec.read(run_dir)
        self.config: Any = config_for(self.spec.kind, self.spec.config)
        self.config.check_reads(
            *({name for name, refs in part.items() if refs} for part in (self.spec.inputs, self.spec.data))
        )
        self.device, self.dtype = choose_device(self.config)
        self.base_precision = check_base_precision(self.config, self.device)
        self.should_stop = False
        self.resumed: checkpointing.ResumePoint | None = None
        self.staging: Path = run_dir / "output"  # while `publishing`, the folder that becomes output/
        self._check_inputs()
        self._check_data()
        if self.config.threads:
            torch.set_num_threads(self.config.threads)
        random.seed(self.spec.seed)
        torch.manual_seed(self.spec.seed)
        transformers_logging.disable_progress_bar()
        self.writes = distributed.is_first()
        if self.writes:
            checkpointing.clear_leftovers(run_dir)
            checkpointing.clear_leftovers(run_dir / "checkpoints")
            (run_dir / "result.json").unlink(missing_ok=True)
        distributed.wait()
        self.resumed = checkpointing.latest_resume_point(run_dir)
        writers = open_writers(self.config, self.spec, run_dir, first_step=self.first_step) if self.writes else []
        position = self.resumed.extra["journal"] if self.resumed else None
        self.journal = Journal(run_dir, position, writers, quiet=not self.writes)

    def __enter__(self) -> Session:
        self._handlers = {name: signal.signal(name, self._stop) for name in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._handlers.items():
            signal.signal(name, handler)
        self.journal.close()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_stop = True

    # ------------------------------------------------------------ what the spec names

    def _check_inputs(self) -> None:
        for role, refs in self.spec.inputs.items():
            for at, ref in enumerate(refs):
                where, folder = f"inputs.{role}[{at}]", Path(ref.path)
                if not folder.is_dir():
                    if folder.is_absolute() or ref.sha256:
                        raise ContractError(f"{where}: there is no directory {ref.path}")
                    continue  # a hub name
                if ref.sha256:
                    manifest = folder / "manifest.json"
                    if not manifest.is_file() or sha256_of(manifest) != ref.sha256:
                        raise ContractError(f"{where}: manifest.json of {folder.name} is not the one in spec.json")
                    verify_manifest(folder)

    def _check_data(self) -> None:
        for kind, refs in self.spec.data.items():
            for at, ref in enumerate(refs):
                where, path = f"data.{kind}[{at}]", self.run_dir / ref.path
                if not path.resolve().is_relative_to(self.run_dir.resolve()) and not path.is_symlink():
                    raise ContractError(f"{where}: {ref.path} lies outside the run directory")
                if not path.is_file():
                    raise ContractError(f"{where}: there is no file {ref.path} in the run directory")
                if ref.sha256 and sha256_of(path) != ref.sha256:
                    raise ContractError(f"{where}: {ref.path} differs from the sha256 in spec.json; write it again")

    def inputs(self, role: str) -> list[str]:
        """Paths (or hub names) of all checkpoints given in this role."""
        return [ref.path for ref in self.spec.inputs.get(role, [])]

    def input(self, role: str) -> str:
        """The one checkpoint of this role; raises ContractError when there are several."""
        paths = self.inputs(role)
        if len(paths) != 1:
            raise ContractError(f"spec.json: inputs.{role} must name exactly one checkpoint, not {len(paths)}")
        return paths[0]

    def records(self, kind: str) -> list[Any]:
        """All records of this kind, parsed and counted; [] when the spec names none. Raises ContractError."""
        found: list[Any] = []
        for at, ref in enumerate(self.spec.data.get(kind, [])):
            rows = read_records(kind, [self.run_dir / ref.path])
            if ref.rows not in (-1, len(rows)):
                raise ContractError(f"data.{kind}[{at}]: {ref.path} has {len(rows)} rows, spec.json says {ref.rows}")
            found += rows
        return found

    # ------------------------------------------------------------ steps, numbers, texts

    @property
    def first_step(self) -> int:
        """The first step still to do (1 in a fresh run)."""
        return self.resumed.step + 1 if self.resumed else 1

    def steps(self, total: int) -> Iterator[int]:
        """Yield the steps still to do, 1 … total; a stop between steps raises Interrupted (see `end_step`)."""
        self.journal.plan(done=self.first_step - 1, total=total)
        yield from range(self.first_step, total + 1)

    def log(self, step: int, split: str = "train", /, **metrics: float | None) -> None:
        """Append numbers to metrics.jsonl; None is left out, a number that is not finite raises FloatingPointError."""
        self.journal.log(step, split, metrics)

    def count(self, tokens: int) -> None:
        """Add to the tokens behind `progress/tokens_per_second`."""
        self.journal.tokens += tokens

    def sample(self, step: int, *, prompt: str, text: str, **facts: Any) -> None:
        """Append a text to look at to samples.jsonl."""
        self.journal.sample({"step": step, "prompt": prompt, "text": text, **facts})

    def note(self, text: str) -> None:
        """One line for log.txt."""
        print(text, file=sys.stderr, flush=True)

    # ------------------------------------------------------------ going on later

    def restore(self, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer | None = None) -> dict[str, Any]:
        """In a resumed run, put back weights, optimiser and random states; return what the stage kept ({} in a fresh run)."""
        if self.resumed is None:
            distributed.same_everywhere(weights.values())
            return {}
        self.resumed.restore(weights, optimizer)
        return dict(self.resumed.extra["stage"])

    def end_step(
        self,
        step: int,
        *,
        weights: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Call when a step and its logging are done: checkpoints when due; raises Interrupted when told to stop."""
        self.should_stop = distributed.any_rank(self.should_stop)
        every = self.config.checkpoint_every if isinstance(self.config, TrainConfig) else 0
        if self.should_stop or (every and step % every == 0):
            kept = {"stage": extra or {}, "journal": self.journal.position()}
            checkpointing.save_resume_point(self.run_dir, step, weights=weights, optimizer=optimizer, extra=kept)
        if self.should_stop:
            distributed.wait()  # a rank that leaves early may take the one that writes with it
            raise Interrupted

    def check_stop(self, *, alone: bool = False) -> None:
        """Raise Interrupted when told to stop; what was done since the last checkpoint will be done again.

        Of several ranks none may leave alone, so all go on to the end of the step, unless nobody waits for this one.
        """
        if self.should_stop and (alone or distributed.size() == 1):
            raise Interrupted


# ---------------------------------------------------------------- running a stage


def main(train: Callable[[Session], Metrics], argv: list[str] | None = None) -> int:
    """Run one stage in the directory named on the command line; returns the exit status (see contracts.EXIT_…)."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m training.STAGE RUN_DIR   (a directory with spec.json and data/)", file=sys.stderr)
        return EXIT_BAD_SPEC
    run_dir = Path(arguments[0]).resolve()
    if _succeeded(run_dir):
        print("this run has already succeeded", file=sys.stderr)
        return EXIT_OK
    started = time.time()
    try:
        with distributed.joined(), Session(run_dir) as session:
            return _run(session, train, started)
    except Interrupted:
        print("stopped; start it again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ContractError, ConfigError) as problem:
        return _fail(run_dir, str(problem), started, EXIT_BAD_SPEC)
    except Exception as problem:
        _tell(traceback.format_exc())
        told = f"{type(problem).__name__}: {problem}"
        if checkpointing.ran_out_of_space(problem):
            told = f"no space left to write ({problem}); {_what_is_kept(run_dir)}"
        return _fail(run_dir, told, started, EXIT_FAILED)


def _run(session: Session, train: Callable[[Session], Metrics], started: float) -> int:
    if not session.writes:
        train(session)
        distributed.wait()
        return EXIT_OK
    spec = session.spec
    facts = {"kind": NEEDS[spec.kind].writes, "stage": str(spec.kind), "run": spec.run, "name": spec.name}
    with checkpointing.new_directory(session.run_dir / "output", **facts) as staging:
        session.staging = staging
        metrics = train(session)
    Result(
        state="succeeded",
        metrics=metrics,
        manifest_sha256=sha256_of(session.run_dir / "output" / "manifest.json"),
        device=str(session.device),
        precision=str(session.dtype).removeprefix("torch."),
        base_precision=session.base_precision,
        seconds=round(time.time() - started, 3),
    ).write(session.run_dir)
    shutil.rmtree(session.run_dir / "checkpoints", ignore_errors=True)  # nothing is left to resume
    distributed.wait()
    return EXIT_OK


def _fail(run_dir: Path, problem: str, started: float, status: int) -> int:
    _tell(f"error: {problem}")
    said = run_dir / "result.json"
    if "RANK" in os.environ and said.is_file() and said.stat().st_mtime >= started - 1.0:
        return status  # the rank that failed first knows why; this one lost its peer
    try:
        Result(state="failed", error=problem, seconds=round(time.time() - started, 3)).write(run_dir)
    except OSError as silence:  # a full disk has no room for its own report
        _tell(f"error: result.json could not be written: {silence}")
    return status


def _tell(text: str) -> None:
    """To the log, when there is room for it."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


def _what_is_kept(run_dir: Path) -> str:
    """What to do about a full disk, and where the run will go on."""
    point = checkpointing.latest_resume_point(run_dir)
    where = f"it goes on after step {point.step}" if point else "it begins anew"
    return f"free some space on the disk of {run_dir.name} and start the same directory again: {where}"


def _succeeded(run_dir: Path) -> bool:
    try:
        result = Result.read(run_dir)
        return result.state == "succeeded" and sha256_of(run_dir / "output" / "manifest.json") == result.manifest_sha256
    except (ContractError, OSError):
        return False
