"""Filters of lists: what says something and is right, and nothing else."""

from __future__ import annotations

import pytest
from django import forms

from labeling.core.filters import FilterForm, chosen
from labeling.prompts.models import Prompt
from tests.factories import PromptFactory


class Filter(FilterForm):
    """Two filters."""

    kind = forms.ChoiceField(required=False, choices=[("", "Every"), ("a", "A")])
    count = forms.IntegerField(required=False)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (None, {}),
        ({"kind": "a", "count": "3"}, {"kind": "a", "count": 3}),
        ({"kind": "a", "count": ""}, {"kind": "a"}),
        ({"kind": "a", "count": "many"}, {}),
        ({"kind": "b"}, {}),
    ],
)
def test_only_filters_that_say_something_right_are_wanted(
    said: dict[str, str] | None, wanted: dict[str, object]
) -> None:
    assert Filter(said).wanted() == wanted


@pytest.mark.django_db
def test_values_that_are_not_allowed_are_passed_over() -> None:
    train = PromptFactory(split="train")
    PromptFactory(split="test", project=train.project)
    rows = Prompt.objects.filter(project=train.project)
    assert list(chosen(rows, {"split": "train", "owner_key": "x"}, split=Prompt.Split.values)) == [train]
    assert chosen(rows, {"split": "secret"}, split=Prompt.Split.values).count() == 2
