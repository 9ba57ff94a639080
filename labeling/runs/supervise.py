"""Watching one attempt at a run: heartbeats, metrics, stops, and what its end means (reliability.md JOB-5…10).

A supervisor is a process of its own and belongs to no worker. Whatever it writes names its attempt; the moment the
database answers that the attempt is over, it ends its trainer and leaves.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Coalesce, Now

from labeling.runs import directory, ending, fencing, processes, publish
from labeling.runs.fencing import LostAttempt
from labeling.runs.follow import Follower
from labeling.runs.models import Run
from labeling.runs.trainer import Trainer

log = logging.getLogger(__name__)
POLL_SECONDS = 0.1
TICK_SECONDS = 0.5
SILENT = (OperationalError, InterfaceError)  # the database does not answer
Outcome = TypeVar("Outcome")


class Supervisor:
    """One attempt, from `starting` to its end."""

    def __init__(self, run_id: UUID, attempt: int) -> None:
        self.run_id = run_id
        self.attempt = attempt
        self.token = processes.token_of(run_id, attempt)
        self.renewed = self.ticked = time.monotonic()
        self.stop_asked = False  # by a person: the run is cancelled
        self.told_to_leave = False  # by a signal: the run goes on elsewhere
        self.too_slow = False

    def run(self) -> None:
        """Do everything; returns when nothing of the attempt is left, whatever happened."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.leave)
        try:
            run = self.take_over()
            if run.cancel_requested_at:
                ending.cancelled(run_id=self.run_id, attempt=self.attempt, exit_code=None)
                return
            self.watch(run)
        except LostAttempt as problem:
            log.warning("%s; leaving", problem)

    def leave(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: stop the stage at its next checkpoint and give the run back."""
        self.told_to_leave = True

    def take_over(self) -> Run:
        """Record who we are; from here on the lease is ours."""
        supervisor = processes.identify(os.getpid())
        self.process = {**processes.here(), "supervisor": supervisor}
        run = fencing.change(run_id=self.run_id, attempt=self.attempt, process=self.process)
        fencing.renew(run_id=self.run_id, attempt=self.attempt)
        self.renewed = time.monotonic()
        return run

    # ---- while the stage runs

    def watch(self, run: Run) -> None:
        """Start the stage and stay with it."""
        folder = directory.path_of(run)
        self.follower = Follower(folder / "metrics.jsonl")
        trainer = Trainer(folder, kind=run.kind, token=self.token, device=run.device)
        try:
            self.announce(trainer)
            while (code := trainer.exit_code()) is None:
                self.tick(trainer)
                time.sleep(POLL_SECONDS)
        except LostAttempt:
            trainer.stop()  # it may keep what it has done, for whoever goes on
            trainer.wait(min(10.0, settings.RUN_CANCEL_GRACE_SECONDS))
            raise
        finally:
            trainer.end()
        self.while_beating(self.store_all)
        self.finish(run, code)

    def announce(self, trainer: Trainer) -> None:
        """`starting` becomes `running`, unless a stop was asked for meanwhile."""
        changes = {
            "process": {**self.process, "trainer": processes.identify(trainer.popen.pid)},
            "started_at": Coalesce("started_at", Now()),
        }
        with contextlib.suppress(*SILENT), transaction.atomic():
            run = fencing.hold(run_id=self.run_id, attempt=self.attempt)
            to = Run.State.RUNNING if run.state == Run.State.STARTING else ""
            fencing.change(run_id=self.run_id, attempt=self.attempt, to=to, **changes)

    def tick(self, trainer: Trainer) -> None:
        """Twice a second: lease, metrics, stops and time limits."""
        now = time.monotonic()
        if now - self.ticked >= TICK_SECONDS:
            self.ticked = now
            if self.beat():
                trainer.switch.say("beat")
        if now - self.renewed > settings.RUN_FENCE_SECONDS:
            log.error("no renewal for %.0f s: the lease may be somebody else's soon; leaving", now - self.renewed)
            raise LostAttempt(f"attempt {self.attempt} of run {self.run_id} could not renew its lease")
        if self.stop_asked or self.told_to_leave:
            trainer.stop()
        if trainer.asked_to_stop and now - trainer.asked_to_stop > settings.RUN_CANCEL_GRACE_SECONDS:
            trainer.kill()
        if not self.follower.has_begun and now - trainer.started > settings.RUN_START_SECONDS:
            self.too_slow = True
            trainer.kill()

    def beat(self) -> bool:
        """Renew when due, read whether to stop, store new metrics; False when the database did not answer."""
        try:
            if time.monotonic() - self.renewed >= settings.RUN_HEARTBEAT_SECONDS:
                asked = fencing.renew(run_id=self.run_id, attempt=self.attempt)
                self.renewed = time.monotonic()
            else:
                asked = fencing.stop_asked(run_id=self.run_id)
            self.stop_asked = asked is not None
            self.follower.store(run_id=self.run_id, attempt=self.attempt)
        except SILENT as problem:
            log.warning("the database does not answer: %s", problem)
            connection.close()
            return False
        return True

    # ---- after the stage

    def store_all(self) -> None:
        """The rest of the metrics."""
        while self.follower.store(run_id=self.run_id, attempt=self.attempt):
            pass

    def finish(self, run: Run, code: int) -> None:
        """Write what the end of the stage means."""
        folder = directory.path_of(run)
        if code == 0 and directory.finished(folder):
            self.while_beating(lambda: publish.publish(run_id=self.run_id, attempt=self.attempt))
        else:
            verdict = ending.judge(
                code, folder=folder, stopped=self.stop_asked, left=self.told_to_leave, timed_out=self.too_slow
            )
            self.while_beating(
                lambda: ending.settle(run_id=self.run_id, attempt=self.attempt, exit_code=code, verdict=verdict)
            )

    def while_beating(self, work: Callable[[], Outcome]) -> Outcome:
        """Do something that may take long, or that the database may refuse for a while, keeping the lease meanwhile."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            while True:
                future = pool.submit(closing_connection(work))
                while not future.done():
                    time.sleep(POLL_SECONDS)
                    self.keep_lease()
                try:
                    return future.result()
                except SILENT as problem:
                    log.warning("the database does not answer: %s; trying again", problem)
                    time.sleep(1.0)
                    self.keep_lease()

    def keep_lease(self) -> None:
        """Renew when due; the stage is over, so a failure costs nothing until the lease is somebody else's."""
        if time.monotonic() - self.renewed < settings.RUN_HEARTBEAT_SECONDS:
            return
        try:
            fencing.renew(run_id=self.run_id, attempt=self.attempt)
            self.renewed = time.monotonic()
        except SILENT:
            connection.close()


def closing_connection(work: Callable[[], Outcome]) -> Callable[[], Outcome]:
    """`work` for another thread, which gives its database connection back."""

    def done() -> Outcome:
        try:
            return work()
        finally:
            connection.close()

    return done
