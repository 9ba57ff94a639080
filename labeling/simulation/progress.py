"""What the terminal shows while the demo works: one moving line per stage, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from typing import TextIO

WIDTH = 24
PLAIN_EVERY = 10.0  # seconds between plain lines


class Display:
    """Stages one after the other, each with a share done, the time left and a number worth watching."""

    def __init__(self, stream: TextIO, *, stages: int) -> None:
        self.stream = stream
        self.stages = stages
        self.moving = stream.isatty()
        self.number = 0
        self.title = ""
        self.note = ""
        self.last = ""  # the newest plain line: it is not said twice
        self.since = self.told = time.monotonic()

    def stage(self, title: str) -> None:
        """Begin a stage, unless it is the one that is under way; the one before it is over."""
        if title == self.title:
            return
        self.finish()
        self.title, self.note, self.last = title, "", ""
        self.number += 1
        self.since = self.told = time.monotonic()
        if not self.moving:
            self.write(f"{self.head()} …\n")

    def show(self, share: float, *, eta: float | None = None, note: str = "") -> None:
        """How far the stage is; `note` is its key number."""
        self.note = note or self.note
        left = f", {clock(eta)} left" if eta else ""
        tail = f", {self.note}" if self.note else ""
        text = f"{share:4.0%}{left}{tail}"
        if self.moving:
            full = round(share * WIDTH)
            self.write(f"\r\033[K{self.head():<34} {'█' * full}{'░' * (WIDTH - full)} {text}"[:200])
        elif time.monotonic() - self.told >= PLAIN_EVERY and text != self.last:
            self.told, self.last = time.monotonic(), text
            self.write(f"        {text}\n")

    def finish(self) -> None:
        """End the stage under way with its time and its last number."""
        if not self.title:
            return
        tail = f", {self.note}" if self.note else ""
        start = "\r\033[K" if self.moving else ""
        self.write(f"{start}{self.head():<34} done in {clock(time.monotonic() - self.since)}{tail}\n")
        self.title = ""

    def fail(self) -> None:
        """Leave the line of the stage under way as it stands: what went wrong comes below it."""
        if self.title:
            self.write(f"{'' if not self.moving else chr(10)}{self.head()} did not end well\n")
            self.title = ""

    def head(self) -> str:
        """`[3/8] Sampling completions`."""
        return f"[{self.number}/{self.stages}] {self.title}"

    def write(self, text: str) -> None:
        """At once, whoever reads."""
        self.stream.write(text)
        self.stream.flush()


def clock(seconds: float) -> str:
    """`2:05`."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
