"""metrics.jsonl into rows, also when a resumed stage cuts the file back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from labeling.runs import selectors
from labeling.runs.fencing import LostAttempt
from labeling.runs.follow import Follower
from labeling.runs.models import Run, RunMetric
from tests.factories import RunFactory
from training.contracts import canonical_json

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    now = timezone.now()
    return RunFactory.create(state="running", attempt=1, heartbeat_at=now, lease_expires_at=now)


def line(step: int, split: str = "train", **values: float) -> str:
    return canonical_json({"step": step, "time": 100.0 + step, "split": split, **values}) + "\n"


def rows_of(run: Run) -> list[tuple[int, int, dict[str, Any]]]:
    return list(RunMetric.objects.filter(run=run).order_by("row").values_list("row", "step", "values"))


def test_whole_lines_are_stored_and_a_half_one_waits(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    follower = Follower(path)
    assert not follower.store(run_id=run.pk, attempt=1)
    path.write_text(line(1, loss=2.0) + line(2, loss=1.5)[:-9])
    assert follower.store(run_id=run.pk, attempt=1)
    assert rows_of(run) == [(0, 1, {"loss": 2.0})]
    path.write_text(
        line(1, loss=2.0) + line(2, loss=1.5) + line(2, "valid", loss=1.7) + "not json\n" + line(3, loss=1.0)
    )
    assert follower.store(run_id=run.pk, attempt=1)
    assert not follower.store(run_id=run.pk, attempt=1)
    assert [row[:2] for row in rows_of(run)] == [(0, 1), (1, 2), (2, 2), (4, 3)]
    run.refresh_from_db()
    assert (run.latest, run.step, run.metrics_rows) == ({"loss": 1.0, "valid/loss": 1.7}, 3, 5)


def test_a_curve_by_candidates_does_not_move_the_run_back(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    follower = Follower(path)
    path.write_text(line(96, **{"sample/completions": 96}) + line(4, "best_of", **{"sample/gold_score": 0.5}))
    follower.store(run_id=run.pk, attempt=1)
    run.refresh_from_db()
    assert (run.step, run.latest) == (96, {"sample/completions": 96, "best_of/sample/gold_score": 0.5})


def test_progress_comes_from_the_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    follower = Follower(path)
    path.write_text(line(5, **{"progress/fraction": 0.25, "progress/eta_seconds": 90.5, "loss": 1.0}))
    follower.store(run_id=run.pk, attempt=1)
    run.refresh_from_db()
    assert (run.progress, run.eta_seconds, run.latest) == (0.25, 90.5, {"loss": 1.0})
    assert (selectors.steps_in_all(run), selectors.time_left(run)) == (20, "About 2 min left")


def test_a_file_cut_back_is_read_anew(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, loss=9.0) + line(2, loss=9.0) + line(3, loss=9.0))
    RunMetric.objects.create(run=run, row=0, step=1, time=1.0, values={"loss": 9.0})
    follower = Follower(path)
    assert not follower.store(run_id=run.pk, attempt=1)  # lines of an attempt before, not opened yet by this one
    assert len(rows_of(run)) == 1
    path.write_text(line(1, loss=2.0) + line(2, loss=1.0))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    follower.store(run_id=run.pk, attempt=1)
    assert rows_of(run) == [(0, 1, {"loss": 2.0}), (1, 2, {"loss": 1.0})]
    path.write_text(
        line(1, loss=2.0) + line(2, loss=7.0) + line(3, loss=0.5)
    )  # cut back below what was read, and grown again
    follower.store(run_id=run.pk, attempt=1)
    assert rows_of(run) == [(0, 1, {"loss": 2.0}), (1, 2, {"loss": 7.0}), (2, 3, {"loss": 0.5})]


def test_a_later_attempt_keeps_the_earlier_one_from_writing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    follower = Follower(path)
    path.write_text(line(1, loss=2.0))
    Run.objects.filter(pk=run.pk).update(attempt=2)
    with pytest.raises(LostAttempt):
        follower.store(run_id=run.pk, attempt=1)
    assert rows_of(run) == []


def test_long_series_keep_their_extremes_and_ends() -> None:
    values = [float(number % 7) for number in range(50_000)]
    values[31_415] = 99.0
    column = {"step": list(range(50_000)), "time": [0.0] * 50_000, "value": values}
    thinned = selectors.thin(column)
    assert len(thinned["value"]) <= selectors.MOST_POINTS
    assert (thinned["step"][0], thinned["step"][-1], max(thinned["value"])) == (0, 49_999, 99.0)
    assert thinned["step"] == sorted(thinned["step"])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (40, "40 s"),
        (89.7, "2 min"),
        (720, "12 min"),
        (7800, "2 h 10 min"),
        (7200, "2 h"),
        (273_600, "3 days 4 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert selectors.spoken(seconds) == words
