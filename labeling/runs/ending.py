"""What the end of a stage means: over, or once more (reliability.md JOB-10)."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from labeling.core.broker import wake
from labeling.runs import directory, fencing
from labeling.runs import kept_words as words
from labeling.runs.models import Run
from training.contracts import EXIT_BAD_SPEC, EXIT_INTERRUPTED, EXIT_OK

SHOWN_LINES = 12


@dataclass(frozen=True)
class Verdict:
    """`retry` is for causes outside the stage; everything else ends the run, as `cancelled` or `failed`.

    An `orderly` end (a host that is shut down, say) does not use up one of the run's attempts.
    """

    text: str
    retry: bool = False
    orderly: bool = False
    cancelled: bool = False


def judge(code: int, *, folder: Path, stopped: bool, left: bool, timed_out: bool) -> Verdict:
    """The verdict on a stage that ended with this exit code (negative: the signal) and published nothing."""
    if stopped:
        return Verdict(words.STOPPED, cancelled=True)
    if timed_out:
        return Verdict(with_tail(words.TOO_SLOW, folder))
    if code == EXIT_INTERRUPTED or left:
        return Verdict(words.INTERRUPTED, retry=True, orderly=True)
    if code < 0:
        return Verdict(with_tail(words.SIGNALLED % {"signal": signal_name(-code)}, folder), retry=True)
    said = directory.reported_error(folder)
    if code == EXIT_BAD_SPEC and said:
        return Verdict(said)
    if code == EXIT_OK:
        return Verdict(with_tail(words.NO_RESULT, folder))
    return Verdict(with_tail(said or words.STATUS % {"code": code}, folder))


def signal_name(number: int) -> str:
    """SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return words.SIGNAL % {"number": number}


def with_tail(text: str, folder: Path) -> str:
    """The text, and below it the end of the log."""
    tail = directory.log_tail(folder, lines=SHOWN_LINES)
    return f"{text}\n\n{tail}" if tail else text


def settle(*, run_id: UUID, attempt: int, exit_code: int | None, verdict: Verdict) -> Run:
    """Write the verdict: queue again while attempts are left, else end. Raises LostAttempt."""
    if verdict.cancelled:
        return cancelled(run_id=run_id, attempt=attempt, exit_code=exit_code)
    with transaction.atomic():
        run = fencing.hold(run_id=run_id, attempt=attempt)
        if run.cancel_requested_at:
            return cancelled(run_id=run_id, attempt=attempt, exit_code=exit_code)
        run.max_attempts += verdict.orderly
        if verdict.retry and attempt < run.max_attempts:
            return queue_again(run, verdict.text, exit_code)
        given_up = words.GIVEN_UP % {"attempts": attempt, "why": verdict.text}
        text = given_up if verdict.retry else verdict.text
        wake_others()
        return fencing.change(
            run_id=run_id, attempt=attempt, to=Run.State.FAILED, error=text, exit_code=exit_code, finished_at=Now()
        )


def queue_again(run: Run, text: str, exit_code: int | None) -> Run:
    """Back to the queue, without a device, saying why."""
    wake("runs.start", str(run.pk))
    why = {"attempt": run.attempt, "most": run.max_attempts, "why": text.partition("\n")[0]}
    return fencing.change(
        run_id=run.pk,
        attempt=run.attempt,
        to=Run.State.QUEUED,
        waiting_for=(words.ATTEMPT % why)[:200],
        max_attempts=run.max_attempts,
        exit_code=exit_code,
        heartbeat_at=None,
        device="",
        process={},
    )


@transaction.atomic
def cancelled(*, run_id: UUID, attempt: int, exit_code: int | None) -> Run:
    """End a run that somebody asked to stop."""
    wake_others()
    return fencing.change(
        run_id=run_id, attempt=attempt, to=Run.State.CANCELLED, exit_code=exit_code, finished_at=Now()
    )


def wake_others() -> None:
    """A device is free and a round may go on: the sweeps look at once rather than at their next turn."""
    wake("runs.sweep")
    wake("rounds.sweep")
