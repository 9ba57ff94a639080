"""What one may choose from is listed as programs send it, and as the reader calls it."""

from __future__ import annotations

from django.utils import translation

from labeling.core.choices import offered
from labeling.people.models import Role
from labeling.runs.models import Run


def test_values_are_named_once_where_their_label_is_the_same_word() -> None:
    assert offered(Role) == "contractor, reviewer, engineer, admin"
    assert offered(Run.Kind).startswith("pretrain, sft (Supervised fine-tuning), ")


def test_values_come_with_the_readers_words() -> None:
    with translation.override("zh-hans"):
        assert offered(Role) == "contractor (签约标注员), reviewer (审核员), engineer (工程师), admin (管理员)"
