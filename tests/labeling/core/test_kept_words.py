"""What rows keep in English is read in the reader's language."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import translation

from labeling.core import kept_words
from labeling.datasets.kept_words import NOT_WRITTEN
from labeling.prompts.kept_words import ANY
from labeling.prompts.models import Prompt
from labeling.rounds import kept_words as rounds
from labeling.runs import kept_words as runs
from labeling.runs.models import Run


def test_a_kept_sentence_is_told_in_the_readers_language() -> None:
    with translation.override("zh-hans"):
        assert kept_words.told("in another split") == "属于其他划分"
    assert kept_words.told("in another split") == "in another split"


def test_what_was_filled_in_and_the_lines_below_stay() -> None:
    error = NOT_WRITTEN % {"problem": "[Errno 28] No space left"} + "\n\nlast line of a log"
    with translation.override("zh-hans"):
        assert (
            kept_words.told(error)
            == "[Errno 28] No space left。请腾出空间或修复文件夹，然后重新写入。\n\nlast line of a log"
        )
    assert kept_words.told(error) == error


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last):\n  x", "Sign in", "100 %(n)s; 5 %"])
def test_what_is_no_kept_sentence_stays_as_it_is(text: str) -> None:
    with translation.override("zh-hans"):
        assert kept_words.told(text) == text


def test_a_list_of_sentences_is_told_one_by_one() -> None:
    with translation.override("zh-hans"):
        assert kept_words.told("late; withdrawn") == "迟交; 已撤回"


def test_rows_are_written_in_english_whoever_asks() -> None:
    with translation.override("zh-hans"), kept_words.in_english():
        assert translation.gettext("Sign in") == "Sign in"


def test_every_kind_of_brief_has_a_summary() -> None:
    assert list(ANY) == Prompt.Kind.values


def test_every_part_of_a_sentence_is_told() -> None:
    again = runs.ATTEMPT % {"attempt": 1, "most": 3, "why": runs.SIGNALLED % {"signal": "SIGKILL"}}
    gate = {"name": rounds.ACCURACY, "value": "55.0%", "target": rounds.AT_LEAST % {"number": "60%"}}
    run = {"name": rounds.NAMED_RUN % {"name": "rm-1"}, "value": rounds.NOT_STARTED, "target": rounds.SUCCEEDED}
    blocked = rounds.BELOW_THRESHOLD % {"short": "; ".join([rounds.SHORTFALL % gate, rounds.SHORTFALL % run])}
    with translation.override("zh-hans"):
        assert kept_words.told(again) == "第 1/3 次尝试：训练进程被 SIGKILL 终止。"
        assert kept_words.told(blocked) == (
            "留出排序上的准确率：55.0%，需要：至少 60%; 运行 rm-1：未开始，需要：成功。请重试该阶段、收集更多工作，或仍然继续。"
        )


def test_every_state_of_a_run_has_a_word() -> None:
    assert {state: str(label).lower() for state, label in Run.State.choices} == rounds.RUN_STATES


def test_services_still_refuse_in_the_words_that_rounds_tell() -> None:
    rooms = Path(kept_words.__file__).parent.parent
    said = "".join(path.read_text() for path in rooms.rglob("*.py") if path.name != "kept_words.py")
    assert [sentence for sentence in rounds.REFUSALS if f'_("{sentence}")' not in said] == []
