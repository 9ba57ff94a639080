"""Filters of lists: what says something and is right, and nothing else."""

from __future__ import annotations

import pytest
from django import forms

from labeling.core.errors import BadInput
from labeling.core.filters import FilterForm, KindAndStateFilter, chosen
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


def test_what_acts_on_all_that_match_refuses_a_wrong_filter() -> None:
    assert Filter({"kind": "a"}).meant() == {"kind": "a"}
    assert Filter(None).meant() == {}
    with pytest.raises(BadInput) as refused:
        Filter({"kind": "b"}).meant()
    assert refused.value.field == "kind"


def test_a_list_by_kind_and_state_offers_all_first_and_passes_over_what_it_does_not_know() -> None:
    choices = {"kinds": [("sft", "SFT")], "states": [("over", "Over")]}
    form = KindAndStateFilter({"kind": "sft", "state": ""}, **choices)
    assert form.fields["kind"].choices == [("", "Every kind"), ("sft", "SFT")]
    assert form.wanted() == {"kind": "sft"}
    assert KindAndStateFilter({"kind": "odd", "state": "over"}, **choices).wanted() == {}


@pytest.mark.django_db
def test_values_that_are_not_allowed_are_passed_over() -> None:
    train = PromptFactory(split="train")
    PromptFactory(split="test", project=train.project)
    rows = Prompt.objects.filter(project=train.project)
    assert list(chosen(rows, {"split": "train", "owner_key": "x"}, split=Prompt.Split.values)) == [train]
    assert chosen(rows, {"split": "secret"}, split=Prompt.Split.values).count() == 2
